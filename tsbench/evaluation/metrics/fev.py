"""The metrics of fev under its names: sums over samples and steps for each channel, then the channels' mean.

As in fev 0.10 (arXiv 2509.26468; package `fev.metrics`): percentages are fractions, values that are undefined
(an observation of 0 in MAPE, a case without a seasonal error) drop out, and a channel of which nothing is
left leaves the whole metric without a value. The point of a probabilistic forecast is its median.
"""

import torch

from .base import Combine, Finish, Metric, Reads, Statistic
from .point import absolute_error, squared_error
from .quantile import over_scale, quantile_loss, scaled_quantile_loss, weighted_quantile_loss
from .relative import scaled_error

Point = torch.Tensor
Statistics = tuple[torch.Tensor, ...]


def absolute_percentage_error(forecast: Point, observed: torch.Tensor, scale: torch.Tensor) -> Statistics:
    """|y − f| / |y|; values with y = 0 do not count.

    Args:
        forecast: float64, shape (sample, lead_time, channel).
        observed: same shape and units as `forecast`.
        scale: not used.

    Returns:
        Fractions and weights (0 or 1), shape (sample, lead_time, channel).
    """
    return over_scale((observed - forecast).abs(), observed.abs())


def symmetric_fraction(forecast: Point, observed: torch.Tensor, scale: torch.Tensor) -> Statistics:
    """2 |y − f| / (|y| + |f|); values with y = f = 0 do not count (in M4 they count as 0: `smape`).

    Args:
        forecast: float64, shape (sample, lead_time, channel).
        observed: same shape and units as `forecast`.
        scale: not used.

    Returns:
        Fractions and weights (0 or 1), shape (sample, lead_time, channel).
    """
    return over_scale(2 * (observed - forecast).abs(), observed.abs() + forecast.abs())


def squared_logarithmic_error(forecast: Point, observed: torch.Tensor, scale: torch.Tensor) -> Statistics:
    """(log(1 + y) − log(1 + f))²; values with y or f below −1 do not count.

    Args:
        forecast: float64, shape (sample, lead_time, channel).
        observed: same shape and units as `forecast`.
        scale: not used.

    Returns:
        Squares and weights (0 or 1), shape (sample, lead_time, channel).
    """
    square = (observed.log1p() - forecast.log1p()).square()
    defined = ~square.isnan()
    return torch.where(defined, square, 0.0), defined.to(observed)


def squared_scaled_error(forecast: Point, observed: torch.Tensor, scale: torch.Tensor) -> Statistics:
    """(y − f)² over the mean squared seasonal difference; values without a positive one do not count.

    Args:
        forecast: float64, shape (sample, lead_time, channel).
        observed: same shape and units as `forecast`.
        scale: mean squared seasonal difference, broadcast to `observed`; NaN where undefined.

    Returns:
        Squares and weights (0 or 1), shape (sample, lead_time, channel).
    """
    return over_scale((observed - forecast).square(), scale)


def error_over_size(forecast: Point, observed: torch.Tensor, scale: torch.Tensor) -> Statistics:
    """|y − f| and |y|, for a ratio of sums.

    Args:
        forecast: float64, shape (sample, lead_time, channel).
        observed: same shape and units as `forecast`.
        scale: not used.

    Returns:
        Absolute errors and absolute values, shape (sample, lead_time, channel).
    """
    return (observed - forecast).abs(), observed.abs()


def error_and_bias(forecast: Point, observed: torch.Tensor, scale: torch.Tensor) -> Statistics:
    """|y − f|, f − y and ones: absolute error and bias.

    Args:
        forecast: float64, shape (sample, lead_time, channel).
        observed: same shape and units as `forecast`.
        scale: not used.

    Returns:
        Absolute errors, signed errors and ones, shape (sample, lead_time, channel).
    """
    error = forecast - observed
    return error.abs(), error, torch.ones_like(observed)


def error_and_bias_over_size(forecast: Point, observed: torch.Tensor, scale: torch.Tensor) -> Statistics:
    """|y − f|, f − y and |y|: absolute error and bias, relative to the size of the data.

    Args:
        forecast: float64, shape (sample, lead_time, channel).
        observed: same shape and units as `forecast`.
        scale: not used.

    Returns:
        Absolute errors, signed errors and absolute values, shape (sample, lead_time, channel).
    """
    error = forecast - observed
    return error.abs(), error, observed.abs()


def _with_bias(sums: torch.Tensor) -> torch.Tensor:
    """(Σ|y − f| + |Σ(f − y)|) / weight."""
    return (sums[0] + sums[1].abs()) / sums[2]


def _metric(
    name: str,
    statistic: Statistic,
    *,
    finish: Finish = "mean",
    reads: Reads = "point",
    combine: Combine | None = None,
    power: int = 1,
) -> Metric:
    return Metric(
        f"fev.{name}",
        f"{name} (fev)",
        statistic,
        f"fev.metrics.{name} of fev 0.10 (arXiv 2509.26468)",
        finish=finish,
        reads=reads,
        sums=2 if combine is None else 3,
        combine=combine,
        by_channel=True,
        power=power,
    )


FEV = (
    _metric("MAE", absolute_error),
    _metric("MSE", squared_error),
    _metric("RMSE", squared_error, finish="root"),
    _metric("MASE", scaled_error),
    _metric("RMSSE", squared_scaled_error, finish="root", power=2),
    _metric("WAPE", error_over_size),
    _metric("MAPE", absolute_percentage_error),
    _metric("SMAPE", symmetric_fraction),
    _metric("RMSLE", squared_logarithmic_error, finish="root"),
    _metric("MQL", quantile_loss, reads="quantiles"),
    _metric("WQL", weighted_quantile_loss, reads="quantiles"),
    _metric("SQL", scaled_quantile_loss, reads="quantiles"),
    _metric("MAEB", error_and_bias, combine=_with_bias),
    _metric("WAPEB", error_and_bias_over_size, combine=_with_bias),
)
