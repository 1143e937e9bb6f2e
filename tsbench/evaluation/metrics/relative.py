"""Errors relative to a size: symmetric percentage error and error scaled by the seasonal naive one."""

import torch

from .base import Metric


def symmetric_percentage_error(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """200 |y − f| / (|y| + |f|) of each value, 0 where both are 0.

    M4 competition (Makridakis, Spiliotis and Assimakopoulos 2020, eq. 1).

    Args:
        forecast: float64, shape (sample, lead_time, channel).
        observed: same shape and units as `forecast`.
        scale: not used.

    Returns:
        Percentages and ones, shape (sample, lead_time, channel).
    """
    size = forecast.abs() + observed.abs()
    percentage = torch.where(size > 0, 200 * (forecast - observed).abs() / size, 0.0)
    return percentage, torch.ones_like(observed)


def scaled_error(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Absolute error over the mean absolute seasonal difference of the training part.

    Hyndman and Koehler (2006), eq. 5, with the task's period as season. Variables without a defined, positive
    scale do not count, as in fev.

    Args:
        forecast: float64, shape (sample, lead_time, channel).
        observed: same shape and units as `forecast`.
        scale: mean absolute seasonal difference, shape (channel,); NaN where undefined.

    Returns:
        Scaled errors and weights (1 where the scale is defined, else 0), shape (sample, lead_time, channel).
    """
    defined = scale > 0  # false for NaN as well
    error = torch.where(defined, (forecast - observed).abs() / torch.where(defined, scale, 1.0), 0.0)
    return error, defined.to(observed).expand_as(observed)


SMAPE = Metric(
    "smape", "sMAPE", symmetric_percentage_error, "Makridakis, Spiliotis and Assimakopoulos (2020), eq. 1"
)
MASE = Metric("mase", "MASE", scaled_error, "Hyndman and Koehler (2006), eq. 5")
