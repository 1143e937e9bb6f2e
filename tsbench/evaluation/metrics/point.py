"""Errors of a point forecast in the units of the data: mean squared, mean absolute, root mean squared."""

import torch

from .base import Metric


def squared_error(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared error of each value.

    Args:
        forecast: float64, shape (sample, lead_time, channel).
        observed: same shape and units as `forecast`.
        scale: not used.

    Returns:
        Squared errors and ones, shape (sample, lead_time, channel).
    """
    return (forecast - observed).square(), torch.ones_like(observed)


def absolute_error(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Absolute error of each value.

    Args:
        forecast: float64, shape (sample, lead_time, channel).
        observed: same shape and units as `forecast`.
        scale: not used.

    Returns:
        Absolute errors and ones, shape (sample, lead_time, channel).
    """
    return (forecast - observed).abs(), torch.ones_like(observed)


_SOURCE = "plain mean over windows, steps and variables, as sklearn.metrics"

MSE = Metric("mse", "MSE", squared_error, _SOURCE)
MAE = Metric("mae", "MAE", absolute_error, _SOURCE)
RMSE = Metric("rmse", "RMSE", squared_error, f"square root of MSE; {_SOURCE}", finish="root")
