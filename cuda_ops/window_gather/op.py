"""`window_gather`: windows by start index from a table of series, context and target in one call.

Owns the public function, its registration with `torch.library` and the choice of path. The series is data: no
gradient flows into it.
"""

import torch

from .. import choice, launch
from ..surroundings import count_no_operations
from . import device, eager, reference
from .windowed import Request, Tensors, Windowed, check, check_places


def window_gather(
    series: torch.Tensor,
    start: torch.Tensor,
    context: int,
    horizon: int,
    *,
    channels: torch.Tensor | None = None,
    bounds: torch.Tensor | None = None,
    owner: torch.Tensor | None = None,
    scale: torch.Tensor | None = None,
    offset: torch.Tensor | None = None,
    normalise: bool = False,
    epsilon: float = 1e-5,
    repeat: bool = False,
    check_starts: bool = True,
) -> Windowed:
    """Contexts and targets of a batch of windows.

    Without `scale` and `normalise` values are copied as they are, of any type: the same bits on every path.
    With one of them the result is float32 (float64 of float64); integers are then computed in float64.

    Args:
        series: one series, or many laid end to end, shape (row, channel). Rows that are not contiguous are
            copied first.
        start: first row of each window's context, int64, shape (window,); on the series' device or the CPU.
        context: steps.
        horizon: steps.
        channels: which channels, int64, shape (chosen,); all by default.
        bounds: first row and row after the last of each series, int64, shape (series, 2). Then a context may
            begin before its series: it is padded with 0 on the left, and masks are given back.
        owner: series of each window, int64, shape (window,); goes with `bounds`.
        scale: a stored value v stands for v · scale + offset, float64, shape (channel,).
        offset: see `scale`; likewise.
        normalise: subtract the mean of each context and divide by its deviation, √(variance + epsilon), for
            each channel; the target by the same. Rows before a series do not count.
        epsilon: added to the variance.
        repeat: targets may reach beyond their series; they repeat its last row there, masked.
        check_starts: look at the values of starts, owners and channels first, which waits for a device where
            they lie on one. Without it, and in compiled code, a window with a wrong start comes out as zeros
            on the CUDA path; elsewhere torch refuses rows that are not in the table, in its own words.

    Returns:
        The windows; see `Windowed`.

    Raises:
        InputError: on wrong shapes, types or places; names the first wrong window.

    Example:
        >>> table = torch.arange(12.0).reshape(6, 2)
        >>> window_gather(table, torch.tensor([1]), 2, 1).target
        tensor([[[6., 7.]]])
    """
    given = Request(context, horizon, channels, bounds, owner, scale, offset, normalise, epsilon, repeat)
    check(series, start, given)
    if torch.compiler.is_compiling():
        found = torch.ops.tsbench.window_gather(series.detach(), start, *_flat(given))
        return _windowed(found, given)
    if check_starts:
        check_places(series, start, given)
    return Windowed(*_gather(series.detach(), start, given))


def bytes_moved(windows: int, context: int, horizon: int, channels: int, stored: int, given_back: int) -> int:
    """Bytes that a call must at least read and write: each value once, without masks and statistics.

    Args:
        windows: how many.
        context: steps.
        horizon: steps.
        channels: of a window.
        stored: bytes of a value in the series.
        given_back: bytes of a value in the result.
    """
    return windows * (context + horizon) * channels * (stored + given_back)


def obstacle(where: torch.device) -> str | None:
    """Why the CUDA kernels cannot run on a device, or None."""
    return launch.obstacle(device.SOURCE, where)


def _gather(series: torch.Tensor, start: torch.Tensor, request: Request) -> Tensors:
    path = choice.path("window_gather", series.device, obstacle)
    request = request.on(series.device)
    start = start.to(series.device, non_blocking=True)
    if path == "reference":
        return reference.gather(series, start, request)
    return (device.gather if path == "cuda" else eager.gather)(series, start, request)


def _flat(request: Request) -> tuple:
    """The request as the registered operator takes it."""
    return tuple(getattr(request, name) for name in request.__dataclass_fields__)


def _windowed(found: tuple[torch.Tensor, ...], request: Request) -> Windowed:
    """What the registered operator gives back, whose absent parts are empty tensors."""
    context, target, context_mask, target_mask, mean, deviation = found
    masks = (context_mask, target_mask) if request.bounds is not None else (None, None)
    return Windowed(context, target, *masks, *((mean, deviation) if request.normalise else (None, None)))


@torch.library.custom_op("tsbench::window_gather", mutates_args=())
def _registered(
    series: torch.Tensor,
    start: torch.Tensor,
    context: int,
    horizon: int,
    channels: torch.Tensor | None,
    bounds: torch.Tensor | None,
    owner: torch.Tensor | None,
    scale: torch.Tensor | None,
    offset: torch.Tensor | None,
    normalise: bool,
    epsilon: float,
    repeat: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    given = Request(context, horizon, channels, bounds, owner, scale, offset, normalise, epsilon, repeat)
    past, future, *others = _gather(series, start, given)
    if future.untyped_storage().data_ptr() == past.untyped_storage().data_ptr():
        # What a registered operator gives back must not share memory.
        past, future = (one.clone(memory_format=torch.contiguous_format) for one in (past, future))
    rest = [series.new_empty(0) if one is None else one for one in others]
    return past, future, rest[0], rest[1], rest[2], rest[3]


@_registered.register_fake
def _shapes(
    series,
    start,
    context,
    horizon,
    channels,
    bounds,
    owner,
    scale,
    offset,
    normalise,
    epsilon,
    repeat,
):
    given = Request(context, horizon, channels, bounds, owner, scale, offset, normalise, epsilon, repeat)
    windows, chosen = start.shape[0], series.shape[1] if channels is None else channels.shape[0]
    kind = given.result_type(series.dtype)
    absent = series.new_empty(0)
    masks, statistics = (
        [absent, torch.empty_like(absent)],
        [torch.empty_like(absent), torch.empty_like(absent)],
    )
    if bounds is not None:
        masks = [series.new_empty(windows, steps, dtype=torch.bool) for steps in (context, horizon)]
    if normalise:
        statistics = [series.new_empty(windows, 1, chosen, dtype=kind) for _ in range(2)]
    first, second = (series.new_empty(windows, steps, chosen, dtype=kind) for steps in (context, horizon))
    return first, second, masks[0], masks[1], statistics[0], statistics[1]


count_no_operations(torch.ops.tsbench.window_gather)
