"""Cost of a stage: wall time, FLOPs, peak memory, energy. What cannot be counted is null."""

import contextlib
import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

UNCOUNTED = re.compile(r"rnn|lstm|gru")
"""Operators without a FLOP formula that hold most of the work where they occur."""


@dataclass
class Meter:
    """Readings of a stage, filled when the block of `measure` ends."""

    seconds: float = 0.0
    peak_memory_bytes: int | None = None
    energy_joules: float | None = None


@contextlib.contextmanager
def measure(device: str = "cpu") -> Iterator[Meter]:
    """Measure wall time, peak memory and energy of a block.

    Peak memory is the device's allocated peak on CUDA, else the highest resident size of this process since
    the block began (Linux; null elsewhere). Energy is the processor packages' (RAPL), null where it cannot be
    read.
    """
    meter = Meter()
    energy = _read_energy()
    resettable = _reset_peak(device)
    start = time.perf_counter()
    try:
        yield meter
    finally:
        meter.seconds = time.perf_counter() - start
        meter.peak_memory_bytes = _read_peak(device) if resettable else None
        after = _read_energy()
        if energy is not None and after is not None and after >= energy:
            meter.energy_joules = (after - energy) / 1e6


def count_flops(run: Callable[[], Any]) -> float | None:
    """Floating-point operations of a call, 2 per multiply-add, with fused fast paths off.

    A multiply-add of complex numbers is 8, a Fourier transform of n complex numbers 5 n log2 n (Cooley and
    Tukey's count, as FFTW's authors report speeds), of n real numbers half of that.

    Returns:
        The count, or None where nothing was counted or an operator without a formula took part.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    seen = _OperatorNames()
    counter = FlopCounterMode(display=False, custom_mapping=_formulas())
    try:
        # The fused attention of the processor has no formula; the plain one consists of counted products.
        with sdpa_kernel(SDPBackend.MATH), counter, seen:
            run()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
    total = counter.get_total_flops()
    if total == 0 or any(UNCOUNTED.search(name) for name in seen.names):
        return None
    return float(total)


def _formulas() -> dict[Any, Callable[..., float]]:
    """Formulas for complex products, which torch counts as real ones, and for Fourier transforms."""
    aten = torch.ops.aten
    products = {
        operator: _for_complex(flop_registry[operator])
        for operator in (aten.mm, aten.addmm, aten.bmm, aten.baddbmm)
    }
    transforms = {
        aten._fft_c2c: _fourier(5.0, of_output=False),
        aten._fft_r2c: _fourier(2.5, of_output=False),
        aten._fft_c2r: _fourier(2.5, of_output=True),
    }
    return {**products, **transforms}


def _for_complex(formula: Callable[..., float]) -> Callable[..., float]:
    def count(*args: Any, out_val: Any = None, **kwargs: Any) -> float:
        return formula(*args, out_val=out_val, **kwargs) * (4 if out_val.is_complex() else 1)

    count._get_raw = True  # type: ignore[attr-defined]  # tensors instead of shapes, for their dtype
    return count


def _fourier(factor: float, of_output: bool) -> Callable[..., float]:
    def count(values: Any, axes: list[int], *args: Any, out_val: Any = None, **kwargs: Any) -> float:
        whole = out_val if of_output else values
        return factor * whole.numel() * math.log2(math.prod(whole.shape[axis] for axis in axes))

    count._get_raw = True  # type: ignore[attr-defined]
    return count


class _OperatorNames(TorchDispatchMode):
    """Collects the names of the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.name())
        return func(*args, **(kwargs or {}))


def _reset_peak(device: str) -> bool:
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        return True
    try:
        # Linux: 5 resets the high-water mark of the resident size (man 5 proc).
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _read_peak(device: str) -> int | None:
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else None


def _read_energy() -> int | None:
    """Microjoules of all processor packages, or None."""
    total = None
    for path in sorted(Path("/sys/class/powercap").glob("intel-rapl:[0-9]*")):
        if path.name.count(":") > 1:  # a part of a package
            continue
        try:
            total = (total or 0) + int((path / "energy_uj").read_text())
        except OSError:
            return None
    return total
