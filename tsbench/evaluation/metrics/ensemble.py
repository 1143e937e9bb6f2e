"""Scores of an ensemble as a distribution: CRPS of each value, energy score of all channels of a step."""

import torch

from .base import Metric
from .quantile import quantile_loss

PAIRS = 2**22
"""Distances between members that are held at once."""


def ensemble_crps(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Continuous ranked probability score: Σ_i |x_i − y| / M − Σ_ij |x_i − x_j| / (2 M²).

    Gneiting and Raftery (2007), eq. 21, for the distribution that gives each of M members the same weight.
    The absolute error, where there is one member.

    Args:
        forecast: members, float64, shape (realization, sample, lead_time, channel).
        observed: shape (sample, lead_time, channel), same units.
        scale: not used.

    Returns:
        Scores in units of `observed` and ones, shape (sample, lead_time, channel).

    Example:
        >>> members = torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1)
        >>> ensemble_crps(members, torch.zeros(1, 1, 1), torch.ones(1))[0].item()
        1.5
    """
    members = len(forecast)
    return _crps(forecast, observed, members * members), torch.ones_like(observed)


def fair_crps(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """CRPS without the bias of few members: Σ_i |x_i − y| / M − Σ_ij |x_i − x_j| / (2 M (M − 1)).

    Ferro (2014), eq. 8: its mean does not depend on how many members are drawn. One member has no spread to
    estimate; it counts as a point forecast, with its absolute error.

    Args:
        forecast: members, float64, shape (realization, sample, lead_time, channel).
        observed: shape (sample, lead_time, channel), same units.
        scale: not used.

    Returns:
        Scores in units of `observed` and ones, shape (sample, lead_time, channel).
    """
    members = len(forecast)
    return _crps(forecast, observed, members * max(members - 1, 1)), torch.ones_like(observed)


def energy_score(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ_i ‖x_i − y‖ / M − Σ_ij ‖x_i − x_j‖ / (2 M²), with the Euclidean norm over the channels of a step.

    Gneiting and Raftery (2007), eq. 22, with the exponent 1: CRPS where there is one channel. Steps with a
    channel that was not observed do not count.

    Args:
        forecast: members, float64, shape (realization, sample, lead_time, channel).
        observed: shape (sample, lead_time, channel), same units.
        scale: not used.

    Returns:
        Scores in units of `observed` and ones, shape (sample, lead_time, 1).
    """
    members, shape = len(forecast), observed.shape[:2]
    error = torch.linalg.vector_norm(forecast - observed, dim=-1).mean(dim=0)  # (sample, lead_time)
    points = forecast.permute(1, 2, 0, 3).flatten(0, 1)  # (step, realization, channel)
    spread = torch.cat([_spread(part) for part in points.split(max(1, PAIRS // members**2))])
    score = error - spread.reshape(shape) / (2 * members**2)
    return score[..., None], torch.ones_like(score)[..., None]


def _crps(forecast: torch.Tensor, observed: torch.Tensor, pairs: int) -> torch.Tensor:
    """Σ_ij |x_i − x_j| is 2 Σ_i (2 i − M − 1) x_(i) over the ordered members, without any pairs."""
    members = len(forecast)
    error = (forecast - observed).sort(dim=0).values  # also orders x; an offset of the data falls out
    weight = 2 * torch.arange(1, members + 1, dtype=error.dtype, device=error.device) - members - 1
    spread = torch.tensordot(weight, error, dims=1)  # (sample, lead_time, channel)
    return error.abs().mean(dim=0) - spread / pairs


def _spread(points: torch.Tensor) -> torch.Tensor:
    """Σ_ij ‖x_i − x_j‖ of each step, (step, realization, channel) → (step,)."""
    exact = "donot_use_mm_for_euclid_dist"
    return torch.cdist(points, points, compute_mode=exact).sum(dim=(1, 2))


CRPS = Metric(
    "crps",
    "CRPS",
    ensemble_crps,
    "Gneiting and Raftery (2007), eq. 21; of a quantile forecast its mean quantile loss",
    reads="samples",
    of_quantiles=quantile_loss,
)
CRPS_FAIR = Metric(
    "crps_fair",
    "CRPS (fair)",
    fair_crps,
    "Ferro (2014), eq. 8; of a quantile forecast its mean quantile loss",
    reads="samples",
    of_quantiles=quantile_loss,
)
ENERGY_SCORE = Metric(
    "energy_score",
    "Energy score",
    energy_score,
    "Gneiting and Raftery (2007), eq. 22, over the channels of a step",
    reads="samples",
    joint=True,
)
