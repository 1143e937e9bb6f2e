"""The operator in a few lines of torch: `unfold`, index, normalise; with bounds, one window at a time."""

import torch

from .windowed import Request, Tensors


def gather(series: torch.Tensor, start: torch.Tensor, request: Request) -> Tensors:
    """As `window_gather`, on checked arguments.

    Args:
        series: shape (row, channel).
        start: first row of each context, int64, shape (window,).
        request: what is asked for.
    """
    length = request.context + request.horizon
    if not len(start):
        windows = series.new_zeros(0, length, series.shape[1])
        inside = torch.zeros(0, length, dtype=torch.bool, device=series.device)
    elif request.bounds is None:
        windows = series.unfold(0, length, 1)[start].transpose(1, 2)  # (window, time, channel)
        inside = torch.ones(len(start), length, dtype=torch.bool, device=series.device)
    else:
        assert request.owner is not None
        places = zip(start.tolist(), request.bounds[request.owner].tolist(), strict=True)
        parts = [_one(series, begin, first, end, request) for begin, (first, end) in places]
        windows, inside = (torch.stack(one) for one in zip(*parts, strict=True))
    if request.channels is not None:
        windows = windows[..., request.channels]
    own = inside[:, : request.context]
    windows = request.numbers(windows)
    context, target = windows[:, : request.context], windows[:, request.context :]
    context = torch.where(own[..., None], context, torch.zeros_like(context))
    mean = deviation = None
    if request.normalise:
        count = own.sum(dim=1)[:, None, None].clamp_min(1)
        mean = context.sum(dim=1, keepdim=True) / count
        distance = torch.where(own[..., None], context - mean, 0.0)
        deviation = (distance.square().sum(dim=1, keepdim=True) / count + request.epsilon).sqrt()
        context, target = distance / deviation, (target - mean) / deviation
    masks = (own, inside[:, request.context :]) if request.bounds is not None else (None, None)
    return request.finished(series.dtype, context, target, masks, mean, deviation)


def _one(
    series: torch.Tensor, begin: int, first: int, end: int, request: Request
) -> tuple[torch.Tensor, torch.Tensor]:
    """A window, (time, channel), and its rows inside the series; those after the end repeat the last one."""
    rows = torch.arange(begin, begin + request.context + request.horizon, device=series.device)
    inside = (first <= rows) & (rows < end)
    return series[rows.clamp(min(first, len(series) - 1), max(end - 1, 0))], inside
