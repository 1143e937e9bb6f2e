"""Filling of missing values with the past only."""

import torch


def fill_forward(values: torch.Tensor, observed: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """Replace what was not observed by the last observed value before it.

    Args:
        values: shape (..., time, channel), any float dtype.
        observed: mask of the same shape, true where there is a value.
        start: value before the first observed one, shape (channel,).

    Returns:
        Filled values, same shape and dtype; values at observed places are unchanged.
    """
    steps = torch.arange(values.shape[-2], device=values.device)[:, None]
    last = torch.where(observed, steps, -1).cummax(dim=-2).values  # (..., time, channel)
    filled = values.gather(-2, last.clamp_min(0))
    return torch.where(last < 0, start.to(values), filled)
