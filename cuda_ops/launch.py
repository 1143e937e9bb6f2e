"""Runs compiled CUDA kernels on torch's tensors, devices and streams.

A kernel gets tensors as pointers, integers as 64-bit (`long long`) and floats as 32-bit: sources declare
their parameters so. It runs on torch's current stream of the tensors' device, so that order, CUDA graphs and
the allocator's bookkeeping are those of any torch operation.
"""

import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import build

_loading = threading.Lock()


def obstacle(source: Path, device: torch.device) -> str | None:
    """Why the kernels of a source cannot run on a CUDA device, or None; builds and loads them to find out."""
    with _loading:  # two threads would compile the same source
        return _loaded(source, device.index if device.index is not None else torch.cuda.current_device())[1]


def launch(
    source: Path,
    name: str,
    grid: Sequence[int],
    block: int,
    arguments: Sequence[torch.Tensor | int | float | None],
    shared_bytes: int = 0,
) -> None:
    """Run a kernel on the current stream of the device of its tensors.

    Args:
        source: the `.cu` file.
        name: of the kernel in it.
        grid: number of blocks, up to three numbers, none of them 0.
        block: threads of a block.
        arguments: in the kernel's order; None is a null pointer.
        shared_bytes: dynamic shared memory of a block.

    Raises:
        BuildFailed: where the source cannot be built or loaded.
    """
    device = next(one.device for one in arguments if isinstance(one, torch.Tensor))
    core = build.core_module(source.name)
    with torch.cuda.device(device):
        kernel = _kernel(source, name, device.index)
        stream = core.Stream.from_handle(torch.cuda.current_stream(device).cuda_stream)
        config = core.LaunchConfig(grid=tuple(grid), block=block, shmem_size=shared_bytes)
        core.launch(stream, config, kernel, *map(packed, arguments))


def packed(argument: torch.Tensor | int | float | None) -> Any:
    """An argument as cuda.core takes it: pointers and `long long` as int, `float` as numpy.float32."""
    if isinstance(argument, torch.Tensor):
        return argument.data_ptr()
    if argument is None:
        return 0
    return np.float32(argument) if isinstance(argument, float) else int(argument)


@cache
def _kernel(source: Path, name: str, index: int) -> Any:
    with _loading:
        loaded, reason = _loaded(source, index)
    if reason is not None:
        raise build.BuildFailed(reason)
    return loaded.get_kernel(name)


@cache
def _loaded(source: Path, index: int) -> tuple[Any, str | None]:
    """Kernels of a source on a device, or why there are none; asked once a process, failures too."""
    device = torch.device("cuda", index)
    try:
        core = build.core_module(source.name)
        with torch.cuda.device(device):
            torch.cuda.current_stream(device)
            core.Device(index).set_current()  # torch's own context
            code = core.ObjectCode.from_cubin(build.machine_code(source, build.architecture_of(device)))
            _ = code.handle  # loads it
    except build.BuildFailed as error:
        return None, str(error)
    except Exception as error:  # the driver's exceptions have no common class, and all mean the same here
        return None, f"{source.name} does not load on {device}: {build.first_line(error)}"
    return code, None
