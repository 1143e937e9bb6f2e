"""Metrics against sklearn, against fev's formulas written out, and at their edges."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error

from tsbench.contracts import Forecast, InputError
from tsbench.evaluation.metrics import METRICS, metric

SHAPE = (6, 5, 3)  # sample, lead_time, channel
SCALE = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64)


def draw(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(SHAPE, generator=generator, dtype=torch.float64) for _ in range(2))


def value(
    name: str, forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor = SCALE
) -> float | None:
    numerator, denominator = metric(name).statistic(forecast, observed, scale)
    assert numerator.shape == denominator.shape == observed.shape
    return metric(name).value(float(numerator.sum()), float(denominator.sum()))


@pytest.mark.parametrize(
    ("name", "reference"),
    [("mse", mean_squared_error), ("mae", mean_absolute_error), ("rmse", root_mean_squared_error)],
)
def test_errors_equal_those_of_sklearn(name, reference):
    forecast, observed = draw(0)

    assert value(name, forecast, observed) == pytest.approx(
        reference(observed.flatten(), forecast.flatten()), rel=1e-12
    )


def test_smape_equals_the_formula_of_the_m4_competition():  # ltsf_protocol, M4: mean 200|y-f|/(|y|+|f|)
    forecast, observed = draw(1)
    y, f = observed.numpy(), forecast.numpy()

    assert value("smape", forecast, observed) == pytest.approx(
        np.mean(200 * abs(y - f) / (abs(y) + abs(f))), rel=1e-12
    )


def test_mase_equals_the_mean_error_over_the_seasonal_error_of_each_channel():  # ltsf_protocol, fev
    forecast, observed = draw(2)
    by_channel = (forecast - observed).abs().mean(dim=(0, 1)) / SCALE

    assert value("mase", forecast, observed) == pytest.approx(float(by_channel.mean()), rel=1e-12)


def test_zero_over_zero_in_smape_is_zero():  # ltsf_protocol, M4: 0/0 -> 0
    zero = torch.zeros(SHAPE, dtype=torch.float64)

    assert value("smape", zero, zero) == 0.0


def test_smape_of_a_zero_forecast_is_200_percent():
    _, observed = draw(3)

    assert value("smape", torch.zeros_like(observed), observed) == pytest.approx(200.0)


@pytest.mark.parametrize("undefined", [0.0, torch.nan])
def test_channels_without_a_seasonal_error_drop_out_of_mase(undefined):  # ltsf_protocol, fev: they drop out
    forecast, observed = draw(4)
    scale = torch.tensor([0.5, undefined, 3.0], dtype=torch.float64)

    kept = value("mase", forecast[..., [0, 2]], observed[..., [0, 2]], SCALE[[0, 2]])

    assert value("mase", forecast, observed, scale) == pytest.approx(kept, rel=1e-12)


def test_mase_without_any_defined_scale_has_no_value():
    forecast, observed = draw(5)

    assert value("mase", forecast, observed, torch.full((3,), torch.nan, dtype=torch.float64)) is None


@pytest.mark.parametrize("name", [one.name for one in METRICS.values() if one.view == "sequence"])
def test_a_perfect_forecast_scores_zero_and_its_bounds_hold_the_truth(score, name):
    _, observed = draw(6)
    observed = observed.abs() if name == "fev.RMSLE" else observed
    best = {"coverage_80": 1.0, "coverage_95": 1.0, "coverage_error_80": 0.2, "coverage_error_95": 0.05}

    assert score(name, Forecast(observed), observed) == pytest.approx(best.get(name, 0.0), abs=1e-15)


@given(seed=st.integers(0, 999), factor=st.floats(0.01, 100))
@settings(max_examples=25, deadline=None)
def test_errors_scale_as_their_units_say(seed, factor):
    forecast, observed = draw(seed)
    powers = {"mse": 2, "mae": 1, "rmse": 1, "smape": 0, "mase": 0}

    for name, power in powers.items():
        scaled = value(name, factor * forecast, factor * observed, factor * SCALE)
        assert scaled == pytest.approx(factor**power * value(name, forecast, observed), rel=1e-9)


@given(seed=st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_rmse_squared_is_mse_and_mae_is_not_above_rmse(seed):
    forecast, observed = draw(seed)

    assert value("rmse", forecast, observed) ** 2 == pytest.approx(
        value("mse", forecast, observed), rel=1e-12
    )
    assert value("mae", forecast, observed) <= value("rmse", forecast, observed)
    assert value("smape", forecast, observed) == pytest.approx(value("smape", observed, forecast), rel=1e-12)


def test_every_metric_names_its_source():
    assert all(one.source and one.title for one in METRICS.values())


def test_an_unknown_metric_is_refused_with_those_there_are():
    with pytest.raises(
        InputError, match="Unknown metric 'mapee'; there are mse, mae, rmse, smape, mase, crps"
    ):
        metric("mapee")
