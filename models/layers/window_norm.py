"""Mean and spread of each look-back, by which forecasters normalise their windows and undo it afterwards."""

import torch

EPSILON = 1e-5


def window_statistics(series: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and population standard deviation of each window and channel over time.

    Args:
        series: shape (sample, time, channel).

    Returns:
        Mean and spread, each of shape (sample, 1, channel). The spread is sqrt(variance + 1e-5), as in the
        official codes of iTransformer, PatchTST and TimeMixer, so that a constant window has one.
    """
    mean = series.mean(dim=1, keepdim=True)
    spread = (series.var(dim=1, keepdim=True, correction=0) + EPSILON).sqrt()
    return mean, spread
