"""The adapter of statsforecast's methods, and the models made of it."""

import sys

import numpy as np
import pytest
import torch

from tsbench.contracts import InputError
from tsbench.models.auto_arima.model import AutoARIMA
from tsbench.models.auto_ets.model import AutoETS
from tsbench.models.auto_theta.model import AutoTheta
from tsbench.models.layers.statistical import level_of, quantiles_of, whole
from tsbench.models.seasonal_naive.model import SeasonalNaive
from tsbench.models.seasonal_naive_intervals.model import SeasonalNaiveIntervals
from tsbench.training.cost import count_flops

PERIOD = 4
FAST = [
    (AutoETS, {"model": "AAA", "damped": False}),
    (AutoARIMA, {"seasonal": False, "max_models": 5}),
    (AutoTheta, {"model": "STM"}),
    (SeasonalNaiveIntervals, {}),
]
"""Each model with settings that search little."""


@pytest.fixture
def methods():
    import statsforecast.models

    return statsforecast.models


@pytest.fixture
def model_of(methods, shape_of):
    """Builds a model for 6 steps of a season of 4: `model_of(AutoETS, {"model": "ANN"}, context=40)`."""

    def make(kind, chosen=None, context: int = 40, channels: int = 2, targets=None, **changes):
        shape = shape_of(context, 6, channels=channels, targets=targets, period=PERIOD, **changes)
        return kind(shape, kind.Hyperparameters(**(chosen or {})))

    return make


def seasonal(samples: int = 3, steps: int = 40, channels: int = 2) -> torch.Tensor:
    """Positive seasonal series with noise, (sample, time, channel)."""
    random = np.random.default_rng(0)
    season = np.tile([3.0, -1.0, 0.5, -2.0], steps // PERIOD + 1)[:steps, None]
    return torch.from_numpy(20 + season + random.standard_normal((samples, steps, channels))).float()


def predict(model, context: torch.Tensor, **further: torch.Tensor) -> torch.Tensor:
    return model.predict({"context": context, **further}).values


@pytest.mark.parametrize(("kind", "chosen"), FAST)
def test_quantiles_have_the_levels_of_the_task_and_never_cross(model_of, kind, chosen):
    model = model_of(kind, chosen)

    forecast = model.predict({"context": seasonal()})

    assert (forecast.kind, forecast.quantiles) == ("quantiles", model.shape.quantiles)
    assert forecast.values.shape == (9, 3, 6, 2)
    assert forecast.values.diff(dim=0).min() >= 0
    assert (forecast.values[-1] - forecast.values[0]).min() > 0
    assert not model.fallbacks


@pytest.mark.parametrize(
    ("kind", "chosen", "name", "arguments"),
    [
        (AutoETS, FAST[0][1], "AutoETS", {"season_length": 4, "model": "AAA", "damped": False}),
        (AutoARIMA, FAST[1][1], "AutoARIMA", {"seasonal": False, "nmodels": 5}),
        (AutoTheta, FAST[2][1], "AutoTheta", {"season_length": 4, "model": "STM"}),
        (SeasonalNaiveIntervals, {}, "SeasonalNaive", {"season_length": 4}),
    ],
)
def test_a_series_gets_the_numbers_of_statsforecast(model_of, methods, kind, chosen, name, arguments):
    context = seasonal(samples=1, channels=1)

    found = predict(model_of(kind, chosen, channels=1), context)[:, 0, :, 0]

    own = getattr(methods, name)(**arguments).forecast(context[0, :, 0].double().numpy(), 6, level=[80])
    expected = np.array([own["lo-80"], own["mean"], own["hi-80"]])
    np.testing.assert_allclose(found[[0, 4, 8]], expected, rtol=1e-5)


def test_seasonal_intervals_are_normal_and_widen_with_each_season(model_of):
    context = seasonal(samples=1, channels=1)

    found = predict(model_of(SeasonalNaiveIntervals, channels=1), context)[:, 0, :, 0].double()

    differences = (context[0, PERIOD:, 0] - context[0, :-PERIOD, 0]).double()
    sigma = (
        differences.square().mean().sqrt() * torch.tensor([1.0, 1, 1, 1, 2, 2], dtype=torch.float64).sqrt()
    )
    z = torch.distributions.Normal(0, 1).icdf(torch.tensor(0.9, dtype=torch.float64))
    torch.testing.assert_close(found[8] - found[4], z * sigma, rtol=1e-4, atol=1e-5)


def test_the_median_of_the_intervals_is_the_seasonal_naive_forecast(model_of, shape_of):
    naive = SeasonalNaive(shape_of(40, 6, channels=2, period=PERIOD))

    found = model_of(SeasonalNaiveIntervals).predict({"context": seasonal()})

    assert torch.equal(found.values[4], naive.predict({"context": seasonal()}).values)


@pytest.mark.parametrize(("kind", "chosen"), FAST)
def test_padding_in_front_of_a_series_changes_nothing(model_of, kind, chosen):
    context = seasonal()
    padded = torch.cat([torch.zeros(3, 25, 2), context], dim=1)
    observed = torch.cat(
        [torch.zeros(3, 25, 2, dtype=torch.bool), torch.ones(3, 40, 2, dtype=torch.bool)], dim=1
    )

    found = predict(model_of(kind, chosen, context=65), padded, observed=observed)

    assert torch.equal(found, predict(model_of(kind, chosen), context))


@pytest.mark.parametrize(("kind", "chosen"), FAST)
def test_forecasts_do_not_depend_on_what_shares_the_batch(model_of, kind, chosen):
    model, context = model_of(kind, chosen), seasonal()

    one_by_one = torch.cat([predict(model, sample[None]) for sample in context], dim=1)

    assert torch.equal(predict(model, context), one_by_one)


@pytest.mark.parametrize(("kind", "chosen"), [*FAST[:2], FAST[3], (AutoTheta, {"decomposition": "additive"})])
def test_a_stretched_series_gives_a_stretched_forecast(model_of, kind, chosen):
    model, context = model_of(kind, chosen), seasonal()

    found = predict(model, 4 * context)

    torch.testing.assert_close(found, 4 * predict(model, context), rtol=1e-2, atol=0.1)


def test_a_shifted_series_gives_shifted_seasonal_intervals(model_of):
    model, context = model_of(SeasonalNaiveIntervals), seasonal()

    torch.testing.assert_close(predict(model, context + 64), predict(model, context) + 64, rtol=0, atol=1e-3)


def test_targets_that_are_a_part_of_the_channels_keep_the_order_of_the_task(model_of):
    context = seasonal(channels=3)
    whole_ = predict(model_of(SeasonalNaiveIntervals, channels=3), context)

    part = predict(model_of(SeasonalNaiveIntervals, channels=3, targets=(2, 0)), context)

    assert torch.equal(part, whole_[..., [2, 0]])


def test_gaps_are_bridged_and_the_steps_before_the_first_observation_left_out():
    series, observed = np.array([9.0, 9.0, 1.0, 9.0, 9.0, 4.0, 9.0]), np.array([0, 0, 1, 0, 0, 1, 0], bool)

    assert whole(series, observed).tolist() == [1, 2, 3, 4, 4]
    assert whole(series, None).tolist() == whole(series, np.zeros(7, bool)).tolist() == series.tolist()


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_series_too_short_for_the_method_gets_a_naive_forecast_and_is_counted(model_of, steps):
    model = model_of(AutoETS, channels=1)
    observed = torch.zeros(2, 40, 1, dtype=torch.bool)
    observed[0], observed[1, -steps:] = True, True
    context = seasonal(samples=2, channels=1)

    found = predict(model, context, observed=observed)

    assert model.fallbacks.total() == 1
    assert found[4, 1, :, 0].tolist() == [float(context[1, -1, 0])] * 6
    assert found.isfinite().all()
    assert predict(model, context[:1])[4].equal(found[4, :1])
    assert model.fallbacks.total() == 1


def test_a_constant_series_stays_constant(model_of):
    for kind, chosen in FAST:
        found = predict(model_of(kind, chosen, channels=1), torch.full((1, 40, 1), 7.0))
        torch.testing.assert_close(found, torch.full((9, 1, 6, 1), 7.0))


def test_intervals_that_lie_beside_the_mean_or_turned_round_are_put_in_order():
    found = {"mean": [0.0, 0.0], "lo-80.0": [2.0, 0.5], "hi-80.0": [-1.0, 3.0]}

    assert quantiles_of(found, (0.1, 0.5, 0.9)).tolist() == [[-1, 0], [0, 0], [2, 3]]
    assert [level_of(quantile) for quantile in (0.05, 0.95, 0.3, 0.7, 0.5)] == [90, 90, 40, 40, 0]


def test_levels_that_are_not_symmetric_are_served_too(methods, shape_of):
    from dataclasses import replace

    shape = replace(shape_of(40, 6, period=PERIOD), quantiles=(0.1, 0.5, 0.75))

    found = SeasonalNaiveIntervals(shape).predict({"context": seasonal(channels=1)})

    every = SeasonalNaiveIntervals(replace(shape, quantiles=(0.1, 0.25, 0.5, 0.75, 0.9)))
    expected = every.predict({"context": seasonal(channels=1)}).values[[0, 2, 3]]
    assert torch.equal(found.values, expected)


def test_the_season_of_the_task_is_the_default_and_may_be_replaced(model_of):
    context = seasonal(channels=1)

    found = predict(model_of(SeasonalNaiveIntervals, {"season_length": 1}, channels=1), context)

    assert torch.equal(found[4, :, :, 0], context[:, -1:, 0].expand(3, 6))


@pytest.mark.parametrize(
    ("kind", "chosen", "message"),
    [
        (AutoETS, {"model": "ZZ"}, "model must be three letters such as ZZZ, ANN or MAM, not 'ZZ'"),
        (AutoETS, {"model": "NNN"}, "model must be three letters"),
        (AutoARIMA, {"max_models": 4}, "max_models must be at least 5, not 4"),
        (AutoTheta, {"season_length": 0}, "season_length must be positive, not 0"),
        (SeasonalNaiveIntervals, {"season_length": -1}, "season_length must be positive, not -1"),
    ],
)
def test_settings_out_of_range_are_refused(kind, chosen, message):
    with pytest.raises(ValueError, match=message):
        kind.Hyperparameters(**chosen)


def test_flops_outside_torch_are_null(model_of):
    model = model_of(SeasonalNaiveIntervals)

    assert count_flops(lambda: model.predict({"context": seasonal()})) is None


@pytest.mark.parametrize("kind", [AutoETS, AutoARIMA, AutoTheta, SeasonalNaiveIntervals])
def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch, shape_of, kind):
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    monkeypatch.delitem(sys.modules, "statsforecast.models", raising=False)

    with pytest.raises(
        InputError, match=r'needs the package statsforecast: pip install "tsbench\[baselines\]"'
    ):
        kind(shape_of(40, 6))
