"""Logs Results to MLflow once they are safely on disk. Importing it imports neither MLflow nor torch."""

from .backlog import log_missing, results_below
from .location import TrackingError, mask, tracking_uri
from .log import Logged, log_leaderboard, log_result, log_results

__all__ = [
    "Logged", "TrackingError", "log_leaderboard", "log_missing", "log_result", "log_results", "mask",
    "results_below",
    "tracking_uri",
]  # fmt: skip
