"""Metrics by name: each a pure function to sufficient statistics, and one from these to the value."""

from tsbench.contracts import InputError

from .base import Metric, Statistic
from .complex_response import NMSE, NMSE_DB, NMSE_MEDIAN, SPECTRAL_EFFICIENCY, SQUARED_ERROR_NORM
from .point import MAE, MSE, RMSE
from .relative import MASE, SMAPE

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *(MSE, MAE, RMSE, SMAPE, MASE),
        *(NMSE, NMSE_MEDIAN, NMSE_DB, SQUARED_ERROR_NORM, SPECTRAL_EFFICIENCY),
    )
}

__all__ = ["METRICS", "Metric", "Statistic", "metric"]


def metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        InputError: where there is none.
    """
    if name not in METRICS:
        raise InputError(f"Unknown metric '{name}'; there are {', '.join(METRICS)}")
    return METRICS[name]
