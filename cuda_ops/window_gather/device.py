"""The operator as CUDA kernels: which kernel a request needs, its blocks and its memory."""

import math
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from .. import launch
from .windowed import NUMBERS, Masks, Request, Tensors

SOURCE = Path(__file__).with_name("window_gather.cu")
THREADS, WIDEST_TILE, NARROWEST_TILE = 256, 32, 8
"""Threads of a block; channels of a tile: 32 of 4 bytes fill a memory transaction, 8 still fill a sector."""
SHARED_BYTES = 48 * 1024
UNITS_OF_A_BLOCK = 16 * THREADS
"""Units of a window that one block copies; a longer window takes several blocks."""
MOST_BLOCKS_ACROSS = 65535

Run = Callable[..., None]


def gather(series: torch.Tensor, start: torch.Tensor, request: Request, run: Run | None = None) -> Tensors:
    """As `window_gather`, on checked arguments, all on one device.

    Args:
        series: shape (row, channel).
        start: first row of each context, int64, shape (window,).
        request: what is asked for.
        run: runs a kernel, (name, grid, block, arguments, shared_bytes); by default on the GPU.
    """
    run = run or partial(launch.launch, SOURCE)
    series, start = series.contiguous(), start.contiguous()
    chosen = series.shape[1] if request.channels is None else len(request.channels)
    result = {"dtype": request.result_type(series.dtype), "device": series.device}
    context = torch.empty(len(start), request.context, chosen, **result)
    target = torch.empty(len(start), request.horizon, chosen, **result)
    masks: Masks = None, None
    if request.bounds is not None:
        own, inside = (one.new_empty(one.shape[:2], dtype=torch.bool) for one in (context, target))
        masks = own, inside
    mean = deviation = None
    if request.normalise:
        mean = torch.empty(len(start), 1, chosen, **result)
        deviation = torch.empty_like(mean)
    if len(start) and (chosen or request.bounds is not None):
        if request.copies and request.bounds is None and request.channels is None:
            _run_runs(run, series, start, context, target)
        elif request.copies:
            _run_rows(run, series, start, request, context, target, masks)
        else:
            _run_numbers(run, series, start, request, context, target, masks, mean, deviation)
    return context, target, masks[0], masks[1], mean, deviation


def _run_runs(
    run: Run, series: torch.Tensor, start: torch.Tensor, context: torch.Tensor, target: torch.Tensor
) -> None:
    row = series.shape[1] * series.element_size()
    # Contexts and targets begin at multiples of a row: a unit that divides the row is aligned in all of them.
    width = math.gcd(16, row, series.data_ptr(), context.data_ptr(), target.data_ptr() or 16)
    units = (context.shape[1] + target.shape[1]) * row // width
    grid = len(start), min(-(-units // UNITS_OF_A_BLOCK), MOST_BLOCKS_ACROSS)
    sizes = len(series), row // width, context.shape[1], target.shape[1]
    run(f"runs_{8 * width}", grid, THREADS, [series, start, context, target, *sizes])


def _run_rows(
    run: Run,
    series: torch.Tensor,
    start: torch.Tensor,
    request: Request,
    context: torch.Tensor,
    target: torch.Tensor,
    masks: Masks,
) -> None:
    tile = _tile(context.shape[2])
    arrays = [series, start, *_optional(request), context, target, *masks]
    run(
        f"rows_{8 * series.element_size()}",
        _grid(context, tile),
        _threads(context, target, tile),
        [*arrays, *_sizes(series, request, context, target), tile],
    )


def _run_numbers(
    run: Run,
    series: torch.Tensor,
    start: torch.Tensor,
    request: Request,
    context: torch.Tensor,
    target: torch.Tensor,
    masks: Masks,
    mean: torch.Tensor | None,
    deviation: torch.Tensor | None,
) -> None:
    size = 8 if NUMBERS[series.dtype] == torch.float64 else 4
    tile, held = _tile(context.shape[2]), False
    if request.normalise:
        while tile > NARROWEST_TILE and _held_bytes(context, tile, size) > SHARED_BYTES:
            tile = max(NARROWEST_TILE, tile // 2)
        held = _held_bytes(context, tile, size) <= SHARED_BYTES
    threads = _threads(context, target, tile)
    shared = _held_bytes(context, tile, size) if held else threads * size
    (epsilon,) = struct.unpack("<q", struct.pack("<d", request.epsilon))
    scales = [None if one is None else one.contiguous() for one in (request.scale, request.offset)]
    arrays = [series, start, *_optional(request), *scales, context, target, *masks, mean, deviation]
    sizes = [*_sizes(series, request, context, target), tile, int(held), epsilon]
    name = f"numbers_{str(series.dtype).removeprefix('torch.')}"
    run(name, _grid(context, tile), threads, [*arrays, *sizes], shared)


def _optional(request: Request) -> list[torch.Tensor | None]:
    return [
        None if one is None else one.contiguous() for one in (request.channels, request.bounds, request.owner)
    ]


def _sizes(
    series: torch.Tensor, request: Request, context: torch.Tensor, target: torch.Tensor
) -> tuple[int, ...]:
    owners = 0 if request.bounds is None else len(request.bounds)
    steps = context.shape[1], target.shape[1]
    return len(series), series.shape[1], context.shape[2], owners, *steps, int(request.repeat)


def _tile(chosen: int) -> int:
    return min(max(chosen, 1), WIDEST_TILE)


def _threads(context: torch.Tensor, target: torch.Tensor, tile: int) -> int:
    return tile * max(1, min(THREADS // tile, max(context.shape[1], target.shape[1])))


def _held_bytes(context: torch.Tensor, tile: int, size: int) -> int:
    """Shared memory of a block that holds its context and one number a thread."""
    return (context.shape[1] * tile + THREADS) * size


def _grid(context: torch.Tensor, tile: int) -> tuple[int, int]:
    return len(context), max(1, -(-context.shape[2] // tile))
