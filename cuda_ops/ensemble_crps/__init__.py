"""Scores of an ensemble as a distribution, and losses to train one."""

from .eager import ordered_members
from .energy import energy_score
from .op import EnsembleScores, bytes_moved, ensemble_crps, ensemble_scores

__all__ = [
    "EnsembleScores",
    "bytes_moved",
    "energy_score",
    "ensemble_crps",
    "ensemble_scores",
    "ordered_members",
]
