"""Metrics of panels: the share of variance that is explained, as defined and as some authors have it."""

import torch

from .base import Metric
from .panel_percentage import PERCENTAGES


def variance_parts(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """What 1 − SSE / SST is made of: (y − f)², y, y² and 1.

    Args:
        forecast: float64, shape (sample, lead_time, channel).
        observed: same shape and units as `forecast`.
        scale: not used.

    Returns:
        Four arrays of that shape.
    """
    return (forecast - observed).square(), observed, observed.square(), torch.ones_like(observed)


def explained(sums: torch.Tensor) -> torch.Tensor:
    """R² = 1 − Σ(y − f)² / Σ(y − ȳ)², ȳ the mean of the observed values; NaN where these are all equal.

    Args:
        sums: of `variance_parts`, shape (4, ...).
    """
    error, total, squares, count = sums
    spread = squares - total.square() / count
    return 1 - error / torch.where(spread > 1e-12 * squares, spread, torch.nan)


def error_and_training_variance(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """(y − f)², the variance of the training targets, and 1.

    Args:
        forecast: float64, shape (sample, lead_time, channel).
        observed: same shape and units as `forecast`.
        scale: variance of the training targets, broadcast to `observed`.

    Returns:
        Three arrays of that shape.
    """
    ones = torch.ones_like(observed)
    return (forecast - observed).square(), scale * ones, ones


def explained_of_training(sums: torch.Tensor) -> torch.Tensor:
    """1 − (RMSE / σ)², σ the spread of the training targets.

    Args:
        sums: of `error_and_training_variance`, shape (3, ...).
    """
    error, variance, _ = sums
    return 1 - error / variance


R2 = Metric(
    "r2",
    "R²",
    variance_parts,
    "sklearn.metrics.r2_score, over all test samples",
    better="higher",
    view="panel",
    sums=4,
    combine=explained,
)
R2_OFFICIAL = Metric(
    "r2_official",
    "R² against the training spread",
    error_and_training_variance,
    "Neehan/VITA: 1 − (RMSE / σ of the training yields)²; not comparable with R²",
    better="higher",
    view="panel",
    sums=3,
    combine=explained_of_training,
    power=2,
)

METRICS: tuple[Metric, ...] = (R2, R2_OFFICIAL, *PERCENTAGES)
