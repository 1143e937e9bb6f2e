"""Losses of quantiles at the task's levels: as they are, weighted by the size of the data, scaled as MASE."""

import torch

from tsbench.evaluation.reading import Quantiles

from .base import Metric


def quantile_loss(
    forecast: Quantiles, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """2 |(y − f_q) · ([y ≤ f_q] − q)|, mean over the levels q: with ever more levels it becomes the CRPS.

    Twice the loss of Koenker and Bassett (1978), as in GluonTS and fev; at q = 0.5 the absolute error.

    Args:
        forecast: float64, values of shape (quantile, sample, lead_time, channel).
        observed: shape (sample, lead_time, channel), same units.
        scale: not used.

    Returns:
        Losses in units of `observed` and ones, shape (sample, lead_time, channel).

    Example:
        >>> forecast = Quantiles(torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1), (0.5, 0.9))
        >>> round(quantile_loss(forecast, torch.zeros(1, 1, 1), torch.ones(1))[0].item(), 12)
        0.7
    """
    return _mean_loss(forecast, observed), torch.ones_like(observed)


def weighted_quantile_loss(
    forecast: Quantiles, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean quantile loss and the absolute value of the observation, for a ratio of sums.

    Args:
        forecast: float64, values of shape (quantile, sample, lead_time, channel).
        observed: shape (sample, lead_time, channel), same units.
        scale: not used.

    Returns:
        Losses and absolute values in units of `observed`, shape (sample, lead_time, channel).
    """
    return _mean_loss(forecast, observed), observed.abs()


def scaled_quantile_loss(
    forecast: Quantiles, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean quantile loss over the seasonal error; values without a defined, positive one do not count.

    Args:
        forecast: float64, values of shape (quantile, sample, lead_time, channel).
        observed: shape (sample, lead_time, channel), same units.
        scale: mean absolute seasonal difference, broadcast to `observed`; NaN where undefined.

    Returns:
        Scaled losses and weights (1 where the scale is defined, else 0), shape (sample, lead_time, channel).
    """
    return over_scale(_mean_loss(forecast, observed), scale)


def over_scale(error: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Errors over a scale, and weights: 1 where the scale is defined and positive; else both are 0."""
    defined = scale > 0  # false for NaN as well
    scaled = torch.where(defined, error / torch.where(defined, scale, 1.0), 0.0)
    return scaled, defined.to(error).expand_as(error)


def _mean_loss(forecast: Quantiles, observed: torch.Tensor) -> torch.Tensor:
    total = torch.zeros_like(observed)
    for level, values in zip(forecast.levels, forecast.values, strict=True):
        below = observed - values
        total += 2 * torch.where(below > 0, level * below, (level - 1) * below)
    return total / len(forecast.levels)


MQL = Metric(
    "mql",
    "Mean quantile loss",
    quantile_loss,
    "Koenker and Bassett (1978), twice, mean over the task's levels, windows, steps and variables",
    reads="quantiles",
)
WQL = Metric(
    "wql",
    "Weighted quantile loss",
    weighted_quantile_loss,
    "GIFT-Eval (arXiv 2410.10393), there named CRPS: sum of losses over sum of |y|, mean over levels",
    reads="quantiles",
)
SQL = Metric(
    "sql",
    "Scaled quantile loss",
    scaled_quantile_loss,
    "fev (arXiv 2509.26468): quantile loss over the seasonal error of MASE; here pooled over variables",
    reads="quantiles",
)
