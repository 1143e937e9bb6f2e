"""The operator in torch operations, on any device: windows are copied as runs of memory.

A table whose rows lie one after the other has each window as one run, and `index_select` on the overlapping
view (start, run) copies runs: three to five times as fast on a CPU as `unfold` and an index, which copy
element by element. Only windows that reach beyond the table are looked up row by row.
"""

from collections.abc import Callable

import torch

from .windowed import Masks, Request, Tensors

NUMBERS_AT_ONCE = 2**19
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
    masks: Masks = None, None
    padded = False
    if request.bounds is not None:
        context, target, masks, padded = _inside_bounds(series, start, request)
    elif request.copies and request.channels is None:
        context, target = _whole(series, start, request)
    else:
        context = _runs(series, start, request.context)
        target = _runs(series, start + request.context, request.horizon)
    if request.channels is not None:
        context, target = context.index_select(2, request.channels), target.index_select(2, request.channels)
    hidden = (~masks[0]).unsqueeze(2) if padded and masks[0] is not None else None
    if request.normalise:
        return _normalised(context, target, masks, hidden, request)
    context, target = request.numbers(context), request.numbers(target)
    if hidden is not None:
        context.masked_fill_(hidden, 0)
    if request.copies:
        return context, target, masks[0], masks[1], None, None
    return request.finished(series.dtype, context, target, masks, None, None)


def _inside_bounds(
    series: torch.Tensor, start: torch.Tensor, request: Request
) -> tuple[torch.Tensor, torch.Tensor, Masks, bool]:
    """Contexts, with any value in rows before a series; targets; masks; and whether there are such rows."""
    assert request.bounds is not None
    assert request.owner is not None
    first, end = request.bounds.index_select(0, request.owner).unbind(dim=1)
    missing = first - start
    steps = torch.arange(max(request.context, request.horizon), device=series.device)
    own = steps[: request.context] >= missing.unsqueeze(1)  # (window, context)
    if request.repeat:
        left = end - start - request.context
        inside = steps[: request.horizon] < left.unsqueeze(1)
        beyond = bool((left < request.horizon).any())
    else:
        inside = own.new_ones(len(start), request.horizon)
        beyond = False
    padded = bool((missing > 0).any())
    if not beyond and not bool((start < 0).any()):
        return *_whole(series, start, request), (own, inside), padded
    rows = start.unsqueeze(1) + steps[: request.context]
    context = _looked_up_where(series, rows, start < 0)
    rows = start.unsqueeze(1) + request.context + steps[: request.horizon]
    rows = torch.minimum(rows, end.unsqueeze(1) - 1)
    target = _looked_up_where(series, rows, start + request.context + request.horizon > end)
    return context, target, (own, inside), padded


def _whole(series: torch.Tensor, start: torch.Tensor, request: Request) -> tuple[torch.Tensor, torch.Tensor]:
    """Context and target as views of one copy."""
    whole = _runs(series, start, request.context + request.horizon)
    context, target = whole.split_with_sizes((request.context, request.horizon), 1)
    return context, target


def _runs(series: torch.Tensor, start: torch.Tensor, length: int) -> torch.Tensor:
    """Windows (window, length, channel) that lie in the table, each one run of memory."""
    rows, columns = series.shape
    if not len(start) or not length or not columns:
        return series.new_empty(len(start), length, columns)
    runs = series.as_strided((rows - length + 1, length * columns), (columns, 1))
    return runs.index_select(0, start).view(len(start), length, columns)


def _looked_up_where(series: torch.Tensor, rows: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Windows (window, time, channel) of given rows: the chosen ones row by row, the others as runs."""
    length = rows.shape[1]
    if len(series) < length or not length:
        return _looked_up(series, rows)
    windows = _runs(series, rows[:, 0].clamp(0, len(series) - length), length)
    found = chosen.nonzero()[:, 0]
    if len(found):
        windows[found] = _looked_up(series, rows[found])
    return windows


def _looked_up(series: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    if not rows.numel():
        return series.new_empty(*rows.shape, series.shape[1])
    found = series.index_select(0, rows.clamp(0, len(series) - 1).flatten())
    return found.view(*rows.shape, series.shape[1])


def _normalised(
    context: torch.Tensor,
    target: torch.Tensor,
    masks: Masks,
    hidden: torch.Tensor | None,
    request: Request,
) -> Tensors:
    """Block by block of windows; two passes over each context, whose `hidden` rows do not count."""
    out = request.result_type(context.dtype)
    given = context, target
    in_place = request.scale is None and context.dtype == out
    if in_place:
        contexts, targets = (one.contiguous() for one in given)  # copies of the series already
    else:
        contexts, targets = (torch.empty(one.shape, dtype=out, device=one.device) for one in given)
    means = contexts.new_empty(context.shape[0], 1, context.shape[2])
    deviations = torch.empty_like(means)
    size = max(1, NUMBERS_AT_ONCE // max(1, context[:1].numel() + target[:1].numel()))
    if context.device.type != "cpu":
        size = max(1, len(context))  # a device has no such cache, and each launch costs
    for begin in range(0, len(context), size):
        part = slice(begin, begin + size)
        numbers, ahead = contexts[part], targets[part]
        if not in_place:
            numbers, ahead = request.numbers(context[part]), request.numbers(target[part])
        found = _normalise(numbers, ahead, None if hidden is None else hidden[part], request)
        if not in_place:
            contexts[part], targets[part] = numbers, ahead
        means[part], deviations[part] = found
    return contexts, targets, masks[0], masks[1], means, deviations


def _normalise(
    context: torch.Tensor, target: torch.Tensor, hidden: torch.Tensor | None, request: Request
) -> tuple[torch.Tensor, torch.Tensor]:
    """Change context and target in place; mean and deviation. `hidden`: shape (window, context, 1)."""
    windows, steps, channels = context.shape
    count: torch.Tensor | int = steps
    if hidden is not None:
        count = (~hidden).sum(dim=1, keepdim=True).clamp_min(1)
        context.masked_fill_(hidden, 0)
    folds = _folds(steps, channels)

    def mean_of(numbers: torch.Tensor) -> torch.Tensor:
        folded = numbers.view(windows, steps // folds, folds * channels).sum(dim=1)
        return folded.view(windows, folds, channels).sum(dim=1, keepdim=True) / count

    mean = mean_of(context)
    _by_channel(torch.Tensor.sub_, context, mean)
    if hidden is not None:
        context.masked_fill_(hidden, 0)
    deviation = (mean_of(context.square()) + request.epsilon).sqrt_()
    _by_channel(torch.Tensor.div_, context, deviation)
    _by_channel(torch.Tensor.sub_, target, mean)
    _by_channel(torch.Tensor.div_, target, deviation)
    return mean, deviation


def _by_channel(operation: Callable[..., object], numbers: torch.Tensor, statistic: torch.Tensor) -> None:
    """Change numbers (window, time, channel) in place by a statistic (window, 1, channel)."""
    windows, steps, channels = numbers.shape
    folds = _folds(steps, channels)
    folded = numbers.view(windows, steps // folds, folds * channels)
    operation(folded, statistic.repeat(1, 1, folds) if folds > 1 else statistic)


def _folds(steps: int, channels: int) -> int:
    """Steps laid side by side, a divisor: a few channels alone make inner loops too short to be fast."""
    if not 1 < channels < INNER_LOOP or not steps:
        return 1
    return next(one for one in range(min(steps, INNER_LOOP // channels), 0, -1) if steps % one == 0)
