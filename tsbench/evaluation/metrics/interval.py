"""Central prediction intervals: how often they hold the observation, how wide they are, and their score."""

from functools import partial

import torch

from tsbench.evaluation.reading import Quantiles

from .base import Metric
from .quantile import over_scale


def coverage(
    forecast: Quantiles, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Whether the interval holds the observation; its bounds belong to it.

    Compared in single precision, that of the data: a bound that repeats an observed value holds it.

    Args:
        forecast: lower and upper bound, float64, values of shape (2, sample, lead_time, channel).
        observed: shape (sample, lead_time, channel), same units.
        scale: not used.

    Returns:
        0 or 1, and ones, shape (sample, lead_time, channel).
    """
    lower, upper = forecast.values.float()
    inside = (lower <= observed.float()) & (observed.float() <= upper)
    return inside.to(observed), torch.ones_like(observed)


def width(
    forecast: Quantiles, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Upper bound − lower bound; below zero where quantiles cross.

    Args:
        forecast: lower and upper bound, float64, values of shape (2, sample, lead_time, channel).
        observed: shape (sample, lead_time, channel), same units.
        scale: not used.

    Returns:
        Widths in units of `observed` and ones, shape (sample, lead_time, channel).
    """
    lower, upper = forecast.values
    return upper - lower, torch.ones_like(observed)


def scaled_interval_score(
    forecast: Quantiles, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(u − l + 2/α (l − y) [y < l] + 2/α (y − u) [y > u]) over the seasonal error, α = 1 − nominal coverage.

    The interval score of Gneiting and Raftery (2007), eq. 43, scaled as in the M4 competition. Values without
    a defined, positive scale do not count.

    Args:
        forecast: bounds l and u at the levels α/2 and 1 − α/2, float64, values of shape (2, sample,
            lead_time, channel).
        observed: shape (sample, lead_time, channel), same units.
        scale: mean absolute seasonal difference, broadcast to `observed`; NaN where undefined.

    Returns:
        Scores and weights (1 where the scale is defined, else 0), shape (sample, lead_time, channel).
    """
    (lower, upper), (level, _) = forecast.values, forecast.levels
    outside = (lower - observed).clamp(min=0) + (observed - upper).clamp(min=0)
    return over_scale(upper - lower + outside / level, scale)  # 2 / α is 1 / level


def _distance(sums: torch.Tensor, nominal: float) -> torch.Tensor:
    return (sums[0] / sums[1] - nominal).abs()


def _calibration(percent: int, levels: tuple[float, float]) -> tuple[Metric, Metric, Metric]:
    """Coverage, its distance from the nominal one, and width of a central interval."""
    nominal, interval = percent / 100, f"{percent} % intervals"
    ends = f"the quantiles {levels[0]:g} and {levels[1]:g}, both included"
    return (
        Metric(
            f"coverage_{percent}",
            f"Coverage of {interval}",
            coverage,
            f"share of the values between {ends}",
            better="nominal",
            nominal=nominal,
            reads="quantiles",
            levels=levels,
        ),
        Metric(
            f"coverage_error_{percent}",
            f"Coverage error of {interval}",
            coverage,
            f"|coverage − {nominal:g}|; coverage: share of the values between {ends}",
            combine=partial(_distance, nominal=nominal),
            reads="quantiles",
            levels=levels,
        ),
        Metric(
            f"width_{percent}",
            f"Width of {interval}",
            width,
            f"mean distance of the quantiles {levels[0]:g} and {levels[1]:g}",
            reads="quantiles",
            levels=levels,
        ),
    )


COVERAGE_80, COVERAGE_ERROR_80, WIDTH_80 = _calibration(80, (0.1, 0.9))
COVERAGE_95, COVERAGE_ERROR_95, WIDTH_95 = _calibration(95, (0.025, 0.975))
MSIS = Metric(
    "msis",
    "MSIS",
    scaled_interval_score,
    "M4 competition (Makridakis, Spiliotis and Assimakopoulos 2020): 95 % intervals, scaled as MASE",
    reads="quantiles",
    levels=(0.025, 0.975),
)
