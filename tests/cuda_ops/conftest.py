"""CUDA sources on a processor: compiled by the C++ compiler and run thread by thread, to check what they compute."""

import ctypes
import itertools
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from tsbench.cuda_ops import build, choice

HEADER = Path(__file__).parent / "cuda_on_host.h"


class OnHost:
    """Kernels of one source; `launch` takes what `tsbench.cuda_ops.launch.launch` takes after the source."""

    def __init__(self, library: Path, barriers: bool) -> None:
        self.library, self.barriers = ctypes.CDLL(str(library)), barriers

    def launch(
        self,
        name: str,
        grid: Sequence[int],
        block: int,
        arguments: Sequence[torch.Tensor | int | float | None],
        shared_bytes: int = 0,
    ) -> None:
        kernel = getattr(self.library, name)
        packed = [_packed(one) for one in arguments]
        whole = [*grid, *[1] * (3 - len(grid))]
        memory = ctypes.create_string_buffer(shared_bytes + 16)
        self.library.set_launch(*whole, block, ctypes.byref(memory))

        def run(cell: tuple[int, ...], thread: int) -> None:
            self.library.set_thread(*reversed(cell), thread)
            kernel(*packed)

        for cell in itertools.product(*(range(size) for size in reversed(whole))):
            if not self.barriers:
                for thread in range(block):
                    run(cell, thread)
                continue
            threads = [threading.Thread(target=run, args=(cell, thread)) for thread in range(block)]
            for one in threads:
                one.start()
            for one in threads:
                one.join()


def _packed(argument):
    if isinstance(argument, torch.Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    if argument is None:
        return ctypes.c_void_p(0)
    return ctypes.c_float(argument) if isinstance(argument, float) else ctypes.c_longlong(argument)


@pytest.fixture(scope="session")
def on_host(tmp_path_factory) -> Callable[[Path], OnHost]:
    """Compiles a CUDA source for the processor: `on_host(source).launch(name, grid, block, arguments)`."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler: g++ runs CUDA sources on the processor here")
    folder = tmp_path_factory.mktemp("kernels")
    found: dict[Path, OnHost] = {}

    def compiled(source: Path) -> OnHost:
        if source not in found:
            target = folder / f"{source.stem}.so"
            subprocess.run(
                [
                    *(compiler, "-std=c++17", "-O1", "-shared", "-fPIC", f"-I{build.FOLDER}"),
                    *("-include", str(HEADER), "-o", str(target), "-x", "c++", str(source)),
                ],
                check=True,
            )
            text = source.read_text(encoding="utf-8")
            found[source] = OnHost(target, "__sync" in text or "__shfl" in text)
        return found[source]

    return compiled


@pytest.fixture(autouse=True)
def fresh_choice(monkeypatch, tmp_path):
    """No choice from outside, a warning not yet given, and a cache folder of the test's own."""
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    monkeypatch.setattr(choice, "_warned", False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
