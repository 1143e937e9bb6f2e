"""The operator in torch operations, on any device: windows are copied as runs of memory.

A table whose rows lie one after the other has each window as one run, and `index_select` on the overlapping
view (start, run) copies runs: three to five times as fast on a CPU as `unfold` and an index, which copy
element by element. Only windows that reach beyond the table are looked up row by row.
"""

from collections.abc import Callable

import torch

from .windowed import Request, Tensors

NUMBERS_AT_ONCE = 2**18
"""Values that are normalised at once, so that they stay in the cache between the passes."""
INNER_LOOP = 64
"""Values of an inner loop that suffice to be fast."""


def gather(series: torch.Tensor, start: torch.Tensor, request: Request) -> Tensors:
    """As `window_gather`, on checked arguments.

    Args:
        series: shape (row, channel).
        start: first row of each context, int64, shape (window,).
        request: what is asked for.
    """
    series = series.contiguous()
    masks = None, None
    if request.copies and request.bounds is None and request.channels is None:
        whole = _runs(series, start, request.context + request.horizon)
        context, target = whole.split_with_sizes((request.context, request.horizon), 1)
        return context, target, *masks, None, None
    if request.bounds is None:
        context = _runs(series, start, request.context)
        target = _runs(series, start + request.context, request.horizon)
    else:
        assert request.owner is not None
        first, end = request.bounds.index_select(0, request.owner).unbind(dim=1)
        steps = torch.arange(request.context + request.horizon, device=series.device)
        rows = start[:, None] + steps  # (window, time)
        masks = rows[:, : request.context] >= first[:, None], rows[:, request.context :] < end[:, None]
        context = _padded(series, start, rows[:, : request.context])
        target = _repeated(series, start + request.context, rows[:, request.context :], end)
    if request.channels is not None:
        context, target = context.index_select(2, request.channels), target.index_select(2, request.channels)
    own = masks[0]
    if own is not None and bool(own.all()):
        own = None
    if request.normalise:
        return _normalised(context, target, masks, own, request)
    context, target = request.numbers(context), request.numbers(target)
    if own is not None:
        context.masked_fill_(~own[..., None], 0)
    return request.finished(series.dtype, context, target, masks, None, None)


def _runs(series: torch.Tensor, start: torch.Tensor, length: int) -> torch.Tensor:
    """Windows (window, length, channel) that lie in the table, each one run of memory."""
    rows, columns = series.shape
    if not len(start) or not length or not columns:
        return series.new_empty(len(start), length, columns)
    runs = series.as_strided((rows - length + 1, length * columns), (columns, 1))
    return runs.index_select(0, start).view(len(start), length, columns)


def _padded(series: torch.Tensor, start: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Contexts (window, context, channel), with any value in rows before the table."""
    if len(series) < rows.shape[1]:
        return _looked_up(series, rows)
    context = _runs(series, start.clamp_min(0), rows.shape[1])
    before = (start < 0).nonzero()[:, 0]
    if len(before):
        context[before] = _looked_up(series, rows[before])
    return context


def _repeated(
    series: torch.Tensor, origin: torch.Tensor, rows: torch.Tensor, end: torch.Tensor
) -> torch.Tensor:
    """Targets (window, horizon, channel); rows after the end of a series are its last one."""
    horizon = rows.shape[1]
    inside = torch.minimum(rows, end[:, None] - 1)
    if len(series) < horizon:
        return _looked_up(series, inside)
    target = _runs(series, origin.clamp_max(len(series) - horizon), horizon)
    beyond = (origin + horizon > end).nonzero()[:, 0]
    if len(beyond):
        target[beyond] = _looked_up(series, inside[beyond])
    return target


def _looked_up(series: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    if not rows.numel():
        return series.new_empty(*rows.shape, series.shape[1])
    found = series.index_select(0, rows.clamp(0, len(series) - 1).flatten())
    return found.view(*rows.shape, series.shape[1])


def _normalised(
    context: torch.Tensor,
    target: torch.Tensor,
    masks: tuple[torch.Tensor | None, torch.Tensor | None],
    own: torch.Tensor | None,
    request: Request,
) -> Tensors:
    """Block by block of windows; two passes over each context."""
    out = request.result_type(context.dtype)
    contexts, targets = (torch.empty(one.shape, dtype=out, device=one.device) for one in (context, target))
    means = contexts.new_empty(context.shape[0], 1, context.shape[2])
    deviations = torch.empty_like(means)
    size = max(1, NUMBERS_AT_ONCE // max(1, context[:1].numel() + target[:1].numel()))
    if context.device.type != "cpu":
        size = max(1, len(context))  # a device has no such cache, and each launch costs
    for begin in range(0, len(context), size):
        part = slice(begin, begin + size)
        hidden = None if own is None else ~own[part, :, None]
        found = _normalised_block(
            request.numbers(context[part]), request.numbers(target[part]), hidden, request
        )
        contexts[part], targets[part], means[part], deviations[part] = found
    return contexts, targets, *masks, means, deviations


def _normalised_block(
    context: torch.Tensor, target: torch.Tensor, hidden: torch.Tensor | None, request: Request
) -> tuple[torch.Tensor, ...]:
    """Context, target, mean and deviation; `hidden` marks rows that do not count, (window, context, 1)."""
    windows, steps, channels = context.shape
    count: torch.Tensor | int = steps
    if hidden is not None:
        count = (~hidden).sum(dim=1, keepdim=True).clamp_min(1)
        context = context.masked_fill(hidden, 0)
    folds = _folds(steps, channels)

    def mean_of(numbers: torch.Tensor) -> torch.Tensor:
        folded = numbers.view(windows, steps // folds, folds * channels).sum(dim=1)
        return folded.view(windows, folds, channels).sum(dim=1, keepdim=True) / count

    mean = mean_of(context)
    distance = _by_channel(torch.sub, context, mean)
    if hidden is not None:
        distance.masked_fill_(hidden, 0)
    deviation = (mean_of(distance.square()) + request.epsilon).sqrt_()
    target = _by_channel(torch.div, _by_channel(torch.sub, target, mean), deviation)
    return _by_channel(torch.div, distance, deviation), target, mean, deviation


def _by_channel(
    operation: Callable[..., torch.Tensor], numbers: torch.Tensor, statistic: torch.Tensor
) -> torch.Tensor:
    """Numbers (window, time, channel) with a statistic (window, 1, channel)."""
    windows, steps, channels = numbers.shape
    folds = _folds(steps, channels)
    folded = numbers.reshape(windows, steps // folds, folds * channels)
    return operation(folded, statistic.repeat(1, 1, folds)).view(numbers.shape)


def _folds(steps: int, channels: int) -> int:
    """Steps laid side by side, a divisor: a few channels alone make inner loops too short to be fast."""
    if not 1 < channels < INNER_LOOP or not steps:
        return 1
    return next(one for one in range(min(steps, INNER_LOOP // channels), 0, -1) if steps % one == 0)
