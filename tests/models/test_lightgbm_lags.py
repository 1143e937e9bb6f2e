"""LightGBM on lags: its table by hand, its trees as tensors, its laws."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from tsbench.contracts import InputError
from tsbench.models.layers.forest import to_tensors, to_text
from tsbench.models.lightgbm_lags.features import Features
from tsbench.models.lightgbm_lags.model import Hyperparameters, LightGBMLags
from tsbench.training.build import build
from tsbench.training.cost import count_flops
from tsbench.training.source import TaskSource
from tsbench.training.weights import count_parameters, load_weights, save_weights, weights_hash

SMALL = {"rounds": 20, "rows": 4000, "windows": 200, "leaf_rows": 20, "lags": 3, "seasons": 2}


@pytest.fixture
def lightgbm():
    import lightgbm

    return lightgbm


@pytest.fixture
def fitted(lightgbm, open_waves):
    """Fits a small model on the waves: `fitted(output="quantiles", seed=1)` gives (model, data, report)."""

    def make(seed: int = 0, data=None, **chosen):
        data = data or open_waves()
        model = build(LightGBMLags, data.shape(48), Hyperparameters(**(SMALL | chosen)), seed)
        report = model.fit(TaskSource(data, 48, seed, uses=model.uses))
        return model, data, report

    return make


def batch_of(data, model, split: str = "test", cases: int = 8):
    windows = data.windows(split, 48).using("target", *model.uses)
    return windows.gather(torch.arange(cases) * 7)


def plain(shape_of, **changes):
    """Features without covariates: context 8, horizon 6, season 4, 3 lags, 2 seasons."""
    shape = replace(shape_of(8, 6, period=4, **changes), past_covariates=(), future_covariates=())
    return Features(shape, lags=3, seasons=2)


def test_the_columns_of_a_row_are_the_steps_that_their_names_say(shape_of):
    features = plain(shape_of)
    steps = torch.arange(8.0)
    sequences = features.sequences({"context": steps[None, :, None]})
    deviation = float(steps.std(correction=0))

    row = dict(zip(features.names, features.table(sequences, np.array([0]), np.array([5]))[0], strict=True))

    # The target is step 13; the newest step of its phase is 5, a season before that 1.
    assert (row["lead_time"], row["phase"], row["target"]) == (6, 1, 0)
    steps = {
        "lag1": 7,
        "lag3": 5,
        "season0-1": 4,
        "season0+0": 5,
        "season0+1": 6,
        "season1+0": 1,
        "mean4": 5.5,
    }
    for name, step in steps.items():
        assert row[name] * deviation + 3.5 == pytest.approx(step)


def test_steps_outside_the_context_are_missing_and_never_the_target(shape_of):
    features = plain(shape_of)
    sequences = features.sequences({"context": torch.arange(8.0)[None, :, None]})

    rows = features.table(sequences, np.zeros(2, int), np.array([3, 0]))

    assert np.isnan(rows[0, features.names.index("season0+1")])  # would be the step after the context
    assert np.isnan(rows[1, features.names.index("season1-1")])  # would be the step before it


def test_calendar_of_the_target_and_covariates_of_the_past_are_columns(shape_of):
    shape = replace(
        shape_of(8, 6, channels=2, period=4),
        past_covariates=("calendar:hour", "wind"),
        future_covariates=("calendar:hour",),
    )
    features = Features(shape, lags=3, seasons=2)
    past, future = torch.randn(3, 8, 2), torch.randn(3, 6, 1)
    sequences = features.sequences(
        {"context": torch.randn(3, 8, 2), "past_covariates": past, "future_covariates": future}
    )

    rows = features.table(sequences, np.array([0, 5]), np.array([2, 4]))

    wind, hour = features.names.index("wind"), features.names.index("calendar:hour")
    assert rows[:, wind].tolist() == past[[0, 2], -1, 1].tolist()
    assert rows[:, hour].tolist() == [future[0, 2, 0], future[2, 4, 0]]
    assert rows[:, features.names.index("target")].tolist() == [0, 1]


@pytest.mark.parametrize("output", ["point", "quantiles"])
def test_a_shifted_and_stretched_context_gives_a_shifted_and_stretched_forecast(fitted, output):
    model, data, _ = fitted(output=output)
    batch = batch_of(data, model)

    found = model.predict(batch.replace(context=4 * batch["context"] + 16)).values

    torch.testing.assert_close(found, 4 * model.predict(batch).values + 16, atol=1e-3, rtol=1e-4)


def test_a_forecast_does_not_depend_on_the_rest_of_the_batch(fitted, monkeypatch):
    model, data, _ = fitted()
    batch = batch_of(data, model)
    whole = model.predict(batch).values

    alone = torch.cat([model.predict(batch.take(torch.tensor([sample]))).values for sample in range(8)])
    monkeypatch.setattr("tsbench.models.lightgbm_lags.model.TABLE_ROWS", 30)

    assert torch.equal(whole, alone)
    assert torch.equal(whole, model.predict(batch).values)


def test_what_stands_before_the_first_observation_changes_nothing(fitted):
    model, data, _ = fitted()
    batch = batch_of(data, model)
    observed = torch.ones_like(batch["context"], dtype=torch.bool)
    observed[:, :20] = False
    padded = batch["context"].clone()
    padded[:, :20] = 1e4

    one, other = (
        model.predict(batch.replace(context=context, observed=observed)).values
        for context in (batch["context"], padded)
    )

    assert torch.equal(one, other)
    assert not torch.equal(one, model.predict(batch).values)


def test_a_constant_context_is_continued(fitted):
    model, data, _ = fitted()
    batch = batch_of(data, model)

    found = model.predict(batch.replace(context=torch.full_like(batch["context"], 0.1))).values

    torch.testing.assert_close(found, torch.full_like(found, 0.1))


def test_the_fit_beats_the_mean_of_the_context_and_reports_its_validation_error(fitted):
    model, data, report = fitted(rounds=60, rows=20000)
    windows = data.windows("validation", 48).using("target", *model.uses)
    batch = windows.gather(torch.arange(len(windows)))

    error = (model.predict(batch).values - batch["target"]).square().mean()

    mean = (batch["context"].mean(dim=1, keepdim=True) - batch["target"]).square().mean()
    assert error < 0.2 * mean
    assert report.validation_loss == pytest.approx(float(error), rel=0.1)  # a part of its rows
    assert report.flops is None


def test_quantiles_are_in_order_and_cover_about_what_they_say(fitted):
    model, data, report = fitted(output="quantiles", rounds=60, rows=20000)
    windows = data.windows("test", 48).using("target", *model.uses)
    batch = windows.gather(torch.arange(len(windows)))

    forecast = model.predict(batch)

    assert (forecast.kind, forecast.quantiles) == ("quantiles", data.task.quantiles)
    assert forecast.values.diff(dim=0).min() >= 0
    below = (batch["target"] <= forecast.values).double().mean(dim=(1, 2, 3))
    torch.testing.assert_close(below, torch.tensor(forecast.quantiles, dtype=torch.float64), atol=0.1, rtol=0)
    assert 0 < report.validation_loss < 1


def test_the_same_seed_gives_the_same_bits_and_another_one_others(fitted):
    one, again, other = (fitted(seed=seed)[0] for seed in (0, 0, 1))

    assert weights_hash(one) == weights_hash(again) != weights_hash(other)


def test_rows_do_not_depend_on_how_many_windows_are_gathered_at_a_time(fitted, monkeypatch):
    one = weights_hash(fitted()[0])
    monkeypatch.setattr("tsbench.models.lightgbm_lags.model.GATHERED", 7)

    assert weights_hash(fitted()[0]) == one


@pytest.mark.parametrize("output", ["point", "quantiles"])
def test_saved_trees_come_back_to_the_bit_in_a_model_that_has_none(fitted, tmp_path, output):
    model, data, _ = fitted(output=output)
    batch = batch_of(data, model)
    save_weights(model, tmp_path / "weights.safetensors")
    other = build(LightGBMLags, data.shape(48), model.chosen, 1)
    before = other.predict(batch).values

    load_weights(other, tmp_path / "weights.safetensors")

    assert weights_hash(other) == weights_hash(model)
    assert torch.equal(other.predict(batch).values, model.predict(batch).values)
    assert not torch.equal(other.predict(batch).values, before)


def test_trees_rebuilt_from_tensors_forecast_as_lightgbm_does(lightgbm):
    random = np.random.default_rng(0)
    table = random.standard_normal((2000, 5))
    table[random.random(table.shape) < 0.1] = np.nan
    # Missing values of the third column tell most, so that a split parts them from all others.
    target = np.nansum(table * [1, -2, 0, 3, 0.5], axis=1) + 9 * np.isnan(table[:, 2])
    booster = lightgbm.train(
        {"num_leaves": 15, "verbosity": -1, "num_threads": 1}, lightgbm.Dataset(table, target), 30
    )

    tensors = to_tensors([booster])
    (text,) = to_text(tensors, features=5)

    assert tensors["threshold"].isinf().any()
    rebuilt = lightgbm.Booster(model_str=text)
    np.testing.assert_array_equal(rebuilt.predict(table), booster.predict(table))


def test_parameters_are_the_thresholds_and_leaves_of_the_trees(fitted):
    model, _, report = fitted(patience=0)

    trees = report.detail["trees"]
    assert trees == SMALL["rounds"]
    leaves = int(model.leaves.sum())
    assert count_parameters(model) == leaves + (leaves - trees)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("feature", 99, "a column outside the 5 of this task"),
        ("feature", -1, "a column outside the 5 of this task"),
        ("branches", 0, "branches lead nowhere"),  # back to the first split: a circle
        ("branches", 10**6, "branches lead nowhere"),
        ("branches", -(10**6), "branches lead nowhere"),
        ("leaves", 10**6, "do not agree"),
        ("leaves", 0, "do not agree"),
        ("trees", 5, "do not agree"),
        ("default", 1, "a split of unknown kind"),
        ("threshold", float("nan"), "not finite"),
        ("value", float("inf"), "not finite"),
    ],
)
def test_weights_that_are_no_trees_are_refused_before_lightgbm_sees_them(lightgbm, name, change, message):
    table = np.random.default_rng(0).standard_normal((500, 5))
    booster = lightgbm.train({"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(table, table[:, 0]), 3)
    tensors = to_tensors([booster])
    tensors[name] = tensors[name].clone()
    tensors[name].view(-1)[-1] = change

    with pytest.raises(InputError, match=message):
        to_text(tensors, features=5)


def test_weights_of_another_task_are_refused(fitted, open_waves, tmp_path, waves):
    model, _, _ = fitted(output="quantiles")
    save_weights(model, tmp_path / "weights.safetensors")
    data = open_waves()
    other = build(LightGBMLags, data.shape(48), Hyperparameters(**SMALL), 0)
    load_weights(other, tmp_path / "weights.safetensors")

    with pytest.raises(InputError, match="The weights hold 9 forests, not 1"):
        other.predict(batch_of(data, other))


def test_missing_targets_are_not_learned(fitted, open_waves, waves):
    table = waves()
    values = table.values.copy()
    values[100:130, 0] = np.nan
    data = open_waves(replace(table, values=values), missing="mask")

    model, _, report = fitted(data=data, rows=10**6, windows=10**6)

    windows = data.windows("train", 48).using("target", *model.uses)
    batch = windows.gather(torch.arange(len(windows)))
    assert report.detail["rows"] == int(batch["valid"].sum())


def test_equal_weights_do_not_let_one_large_series_decide(fitted, open_waves, waves):
    values = np.random.default_rng(0).standard_normal((600, 2)).cumsum(axis=0) * [1, 1e4]
    data = open_waves(replace(waves(), values=values), normalisation="none", space="units")
    scaled = open_waves(replace(waves(), values=values / [1, 1e4]), normalisation="none", space="units")

    by_scale, equal = (fitted(data=data, weights=weights)[0] for weights in ("scale", "equal"))
    other = fitted(data=scaled, weights="equal")[0]

    torch.testing.assert_close(equal.value, other.value, rtol=1e-3, atol=1e-3)
    assert by_scale.value.shape != equal.value.shape or (by_scale.value - equal.value).abs().max() > 1e-3


def test_windows_without_any_variation_cannot_be_fitted(fitted, open_waves, waves):
    data = open_waves(replace(waves(), values=np.ones((600, 2))), normalisation="none", space="units")

    with pytest.raises(InputError, match="No window to fit on has both"):
        fitted(data=data)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"rounds": 0}, "rounds must be positive, not 0"),
        ({"learning_rate": -0.1}, "learning_rate must be positive"),
        ({"leaves": 1}, "leaves must be at least 2"),
        ({"column_share": 1.5}, "column_share at most 1"),
    ],
)
def test_settings_out_of_range_are_refused(chosen, message):
    with pytest.raises(ValueError, match=message):
        Hyperparameters(**chosen)


def test_flops_outside_torch_are_null(fitted):
    model, data, _ = fitted()
    batch = batch_of(data, model)

    assert count_flops(lambda: model.predict(batch)) is None


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch, shape_of):
    monkeypatch.setitem(sys.modules, "lightgbm", None)

    with pytest.raises(InputError, match=r'needs the package lightgbm: pip install "tsbench\[baselines\]"'):
        LightGBMLags(shape_of(48, 6))
