"""Rows of `window_gather`: against a Dataset of samples and their collation, and `unfold` with an index."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch.utils.data import default_collate

from tsbench.cuda_ops import window_gather
from tsbench.cuda_ops.window_gather import bytes_moved, reference
from tsbench.cuda_ops.window_gather.op import obstacle
from tsbench.cuda_ops.window_gather.windowed import Request

from .measure import Row, compare, unmeasured

COPY_BYTES = 2**30


@dataclass(frozen=True)
class Case:
    """A batch of windows of a series.

    Attributes:
        windows, context, horizon, channels: sizes.
        rows: of the series, or of all series.
        stored: type of the series.
        normalise: whether each context is.
        padded: windows begin up to a context before their series, of which there are as many as windows.
        devices: where it is measured.
    """

    windows: int
    context: int
    horizon: int
    channels: int
    rows: int = 17420
    stored: torch.dtype = torch.float32
    normalise: bool = False
    padded: bool = False
    devices: tuple[str, ...] = ("cpu", "cuda")

    def __str__(self) -> str:
        words = [f"{self.windows} × ({self.context} + {self.horizon}) × {self.channels}"]
        words.append(str(self.stored).removeprefix("torch."))
        words += ["normalised"] * self.normalise + ["of many series"] * self.padded
        return ", ".join(words)


CASES = [
    Case(32, 96, 96, 7),
    Case(32, 96, 96, 7, normalise=True),
    Case(32, 96, 96, 1),
    Case(512, 96, 96, 7),
    Case(512, 96, 96, 7, normalise=True),
    Case(512, 96, 96, 7, stored=torch.int16, normalise=True),
    Case(512, 96, 96, 7, padded=True),
    Case(512, 336, 96, 7),
    Case(4096, 96, 96, 7),
    Case(64, 96, 96, 321, rows=8000),
    Case(64, 96, 96, 321, rows=8000, normalise=True),
    Case(65536, 96, 96, 7, devices=("cuda",)),
    Case(65536, 96, 96, 7, normalise=True, devices=("cuda",)),
    Case(4096, 512, 96, 321, rows=26304, devices=("cuda",)),
    Case(4096, 512, 96, 321, rows=26304, normalise=True, devices=("cuda",)),
]


def rows(device: str, repeats: int) -> Iterator[Row]:
    """All configurations on a device."""
    cases = [case for case in CASES if device in case.devices]
    if device == "cuda" and (not torch.cuda.is_available() or obstacle(torch.device("cuda", 0))):
        yield from unmeasured("window_gather", [str(case) for case in cases], device)
        return
    for case in cases:
        yield _measured(case, device, repeats)


def _measured(case: Case, device: str, repeats: int) -> Row:
    generator = torch.Generator().manual_seed(0)
    length = case.context + case.horizon
    numbers = torch.randn(case.rows, case.channels, generator=generator)
    series = (
        (numbers * 1000).round().to(case.stored) if case.stored == torch.int16 else numbers.to(case.stored)
    )
    named = {"normalise": case.normalise}
    start = torch.randint(0, case.rows - length + 1, (case.windows,), generator=generator)
    if case.stored == torch.int16:
        factor = torch.full((case.channels,), 1e-3, dtype=torch.float64)
        named |= {"scale": factor, "offset": torch.zeros_like(factor)}
    if case.padded:
        first = torch.randint(0, case.rows - length, (case.windows,), generator=generator)
        named |= {"bounds": torch.stack([first, torch.full_like(first, case.rows)], dim=1)}
        named |= {"owner": torch.arange(case.windows)}
        start = first - torch.randint(0, case.context, (case.windows,), generator=generator)
    series, start = series.to(device), start.to(device)
    named = {name: one.to(device) if isinstance(one, torch.Tensor) else one for name, one in named.items()}
    request = Request(case.context, case.horizon, **named)
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: window_gather(
            series, start, case.context, case.horizon, check_starts=device == "cpu", **named
        )
    }
    if device == "cpu" and not case.padded and case.stored == torch.float32:
        ways["samples, collated"] = lambda: _collated(series, start, case)
    ways["unfold, index" if not case.padded else "window by window"] = lambda: reference.gather(
        series, start, request
    )
    return compare(
        "window_gather", str(case), device, ways, repeats, lambda seconds: _rates(case, device, seconds)
    )


def _collated(series: torch.Tensor, start: torch.Tensor, case: Case) -> list[torch.Tensor]:
    """What a map-style Dataset with a default DataLoader does for a batch."""
    samples = []
    for begin in start.tolist():
        origin = begin + case.context
        context, target = series[begin:origin], series[origin : origin + case.horizon]
        if case.normalise:
            mean = context.mean(dim=0, keepdim=True)
            deviation = (context.var(dim=0, keepdim=True, correction=0) + 1e-5).sqrt()
            context, target = (context - mean) / deviation, (target - mean) / deviation
        samples.append((context, target))
    return default_collate(samples)


def _rates(case: Case, device: str, seconds: float) -> Mapping[str, float]:
    given_back = 4
    moved = bytes_moved(
        case.windows, case.context, case.horizon, case.channels, case.stored.itemsize, given_back
    )
    rate = moved / seconds
    return {"GB/s": rate / 1e9, "share of the copy bandwidth": rate / copy_bandwidth(device)}


@cache
def copy_bandwidth(device: str) -> float:
    """Bytes per second of a large copy on a device, reads and writes counted, measured once a run."""
    bytes_ = COPY_BYTES if device == "cuda" else COPY_BYTES // 8
    one = torch.zeros(bytes_, dtype=torch.uint8, device=device)
    other = torch.empty_like(one)
    copied = compare("copy", "", device, {"ours": lambda: other.copy_(one)}, 3)
    return 2 * bytes_ / copied.ways["ours"]
