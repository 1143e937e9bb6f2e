"""Every fev metric equals that of the package fev, on data with ties, zeros, constant series and gaps."""

import fev.metrics as fev_metrics
import numpy as np
import pytest
import torch

from tsbench.contracts import Forecast
from tsbench.evaluation.metrics import METRICS

LEVELS = (0.1, 0.25, 0.5, 0.9)
NAMES = sorted(fev_metrics.AVAILABLE_METRICS)


def of_fev(name: str, made, truth: np.ndarray, quantiles: np.ndarray, point: np.ndarray) -> float:
    samples, time, channels = made.past.shape
    with np.errstate(all="ignore"):
        return fev_metrics.get_metric(name).compute(
            y_true=truth,
            y_pred=point,
            y_past=made.past.reshape(samples * time, channels),
            y_past_lengths=np.full(samples, time),
            q_pred=np.moveaxis(quantiles, 0, -1),
            seasonality=made.period,
            quantile_levels=list(LEVELS),
        )


def test_every_metric_of_fev_is_there_under_its_name():
    assert sorted(name for name in METRICS if name.startswith("fev.")) == [f"fev.{name}" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_metrics_of_quantile_forecasts_equal_those_of_fev(score, made, name):
    quantiles = made.quantiles(LEVELS)
    truth = np.abs(made.truth) if name == "RMSLE" else made.truth
    quantiles = np.abs(quantiles) if name == "RMSLE" else quantiles
    forecast = Forecast(torch.from_numpy(quantiles), "quantiles", LEVELS)

    found = score(f"fev.{name}", forecast, truth, made.seasonal, LEVELS)

    assert found == pytest.approx(of_fev(name, made, truth, quantiles, quantiles[2]), rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_metrics_of_point_forecasts_equal_those_of_fev(score, made, name):
    point = made.members[0]
    quantiles = np.broadcast_to(point, (len(LEVELS), *point.shape))

    found = score(f"fev.{name}", Forecast(torch.from_numpy(point)), made.truth, made.seasonal, LEVELS)

    expected = of_fev(name, made, made.truth, quantiles, point)
    assert found == pytest.approx(expected, rel=1e-9) if np.isfinite(expected) else found is None


@pytest.mark.parametrize("name", ["MASE", "RMSSE", "SQL", "WAPE", "WQL", "MAPE"])
def test_where_fev_has_no_value_there_is_none(score, made, name):
    truth, past = made.truth.copy(), made.past.copy()
    truth[..., 1] = np.where(np.isnan(truth[..., 1]), np.nan, 0.0)
    past[..., 1] = 2.0
    other = type(made)(truth, made.members, past)
    quantiles = other.quantiles(LEVELS)

    found = score(
        f"fev.{name}",
        Forecast(torch.from_numpy(quantiles), "quantiles", LEVELS),
        truth,
        other.seasonal,
        LEVELS,
    )

    assert not np.isfinite(of_fev(name, other, truth, quantiles, quantiles[2]))
    assert found is None
