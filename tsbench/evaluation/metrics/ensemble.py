"""Scores of an ensemble as a distribution: CRPS of each value, energy score of all channels of a step.

The formulas are operators of `tsbench.cuda_ops`: here they get the shape of statistics.
"""

import torch

from tsbench.cuda_ops import energy_score as energy_of_members
from tsbench.cuda_ops import ensemble_crps as crps_of_members

from .base import Metric
from .quantile import quantile_loss


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
    return crps_of_members(forecast, observed), torch.ones_like(observed)


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
    return crps_of_members(forecast, observed, fair=True), torch.ones_like(observed)


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
    score = energy_of_members(forecast, observed)[..., None]
    return score, torch.ones_like(score)


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
