"""Percentage errors of positive values, in per cent: the mean of each one's error, and the ratio of the sums.

In `tsbench.evaluation.metrics.fev` the same sums end as fractions and as means over channels.
"""

import torch

from .base import Metric
from .fev import absolute_percentage_error, error_over_size

Statistics = tuple[torch.Tensor, ...]


def percentage_error(forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor) -> Statistics:
    """100 |y − f| / |y|; values with y = 0 do not count.

    Args:
        forecast: float64, shape (sample, lead_time, channel).
        observed: same shape and units as `forecast`.
        scale: not used.

    Returns:
        Percentages and weights (0 or 1), shape (sample, lead_time, channel).

    Example:
        >>> y, f = torch.tensor([[100.0, 200.0], [110.0, 180.0]], dtype=torch.float64)
        >>> total, count = (one.sum() for one in percentage_error(f, y, y))
        >>> float(total / count)
        10.0
    """
    error, weight = absolute_percentage_error(forecast, observed, scale)
    return 100 * error, weight


def percentage_of_sum(forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor) -> Statistics:
    """100 |y − f| and |y|, for 100 Σ|y − f| / Σ|y|.

    Args:
        forecast: float64, shape (sample, lead_time, channel).
        observed: same shape and units as `forecast`.
        scale: not used.

    Returns:
        Percentages of 1 and weights, shape (sample, lead_time, channel).
    """
    error, size = error_over_size(forecast, observed, scale)
    return 100 * error, size


MAPE = Metric(
    "mape",
    "MAPE",
    percentage_error,
    "100 · sklearn.metrics.mean_absolute_percentage_error over positive values",
    view="panel",
)
WEIGHTED_MAPE = Metric(
    "weighted_mape",
    "weighted MAPE",
    percentage_of_sum,
    "100 Σ|y − f| / Σ|y| (Kolassa and Schütz 2007)",
    view="panel",
)

PERCENTAGES: tuple[Metric, ...] = (MAPE, WEIGHTED_MAPE)
