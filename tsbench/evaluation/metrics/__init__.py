"""Metrics by name: each a pure function to sufficient statistics, and one from these to the value."""

from importlib import import_module

from tsbench.contracts import InputError
from tsbench.contracts.kinds import FURTHER, metrics_module

from .base import Metric, Statistic
from .complex_response import BEAM_GAIN, NMSE, NMSE_DB, NMSE_MEDIAN, SPECTRAL_EFFICIENCY, SQUARED_ERROR_NORM
from .ensemble import CRPS, CRPS_FAIR, ENERGY_SCORE
from .fev import FEV
from .interval import (
    COVERAGE_80,
    COVERAGE_95,
    COVERAGE_ERROR_80,
    COVERAGE_ERROR_95,
    MSIS,
    WIDTH_80,
    WIDTH_95,
)
from .point import MAE, MSE, RMSE
from .quantile import MQL, SQL, WQL
from .relative import MASE, SMAPE

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *(MSE, MAE, RMSE, SMAPE, MASE),
        *(CRPS, CRPS_FAIR, ENERGY_SCORE),
        *(MQL, WQL, SQL),
        *(COVERAGE_80, COVERAGE_ERROR_80, WIDTH_80, COVERAGE_95, COVERAGE_ERROR_95, WIDTH_95, MSIS),
        *FEV,
        *(NMSE, NMSE_MEDIAN, NMSE_DB, SQUARED_ERROR_NORM, SPECTRAL_EFFICIENCY, BEAM_GAIN),
    )
}

__all__ = ["METRICS", "Metric", "Statistic", "metric"]


def metric(name: str) -> Metric:
    """The metric of that name, of series or of another kind of task.

    Raises:
        InputError: where there is none.
    """
    if name in METRICS:
        return METRICS[name]
    further = {one.name: one for kind in FURTHER for one in import_module(metrics_module(kind)).METRICS}
    if name not in further:
        raise InputError(f"Unknown metric '{name}'; there are {', '.join([*METRICS, *further])}")
    return further[name]
