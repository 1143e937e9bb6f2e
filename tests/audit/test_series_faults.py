"""Faults planted into a task of windows are each found, by the checks that they concern and by no other."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tsbench.contracts import Forecast, Split
from tsbench.contracts.forecast import DECILES
from tsbench.data import disturbances, series_data
from tsbench.data.cases import Batches
from tsbench.data.normalisation import fit_scale
from tsbench.data.series_data import SeriesData
from tsbench.data.windows import Windows
from tsbench.evaluation import evaluate
from tsbench.evaluation.metrics import METRICS
from tsbench.models.last_value.model import LastValue


class Peeking:
    """Reads the answer."""

    fits = "none"
    uses = frozenset({"context", "target"})

    def __init__(self, shape, hyperparameters=None) -> None:
        pass

    def predict(self, batch, *, realizations=None, generator=None) -> Forecast:
        return Forecast(batch["target"].clone())


class Impatient(torch.nn.Module):
    """Weights from the global generator, whatever the seed."""

    fits = "task"
    uses = frozenset({"context"})

    def __init__(self, shape, hyperparameters=None) -> None:
        super().__init__()
        self.map = torch.nn.Linear(shape.context, shape.horizon)

    def fit(self, source, init=None) -> None:
        self.map.weight.data = torch.from_numpy(np.random.standard_normal(self.map.weight.shape)).float()

    def predict(self, batch, *, realizations=None, generator=None) -> Forecast:
        return Forecast(self.map(batch["context"].transpose(1, 2)).transpose(1, 2))


class OverTheBatch:
    """Forecasts the mean of all samples of a batch."""

    fits = "none"
    uses = frozenset({"context"})

    def __init__(self, shape, hyperparameters=None) -> None:
        self.shape = shape

    def predict(self, batch, *, realizations=None, generator=None) -> Forecast:
        last = batch["context"][:, -1:].mean(dim=0, keepdim=True)
        return Forecast(last.expand(len(batch["context"]), self.shape.horizon, -1))


def test_a_sound_task_passes(waves_with_noise, failing):
    assert failing(waves_with_noise()) == {}


def test_a_sound_task_with_gaps_passes(waves_with_noise, waves, failing):
    table = waves()
    table.values[40:60, 0] = np.nan
    table.values[-30:-20, 1] = np.nan
    table.values[np.random.default_rng(0).random(table.values.shape) < 0.05] = np.nan

    assert failing(waves_with_noise(table, missing="mask", space="units"), "last_value") == {}


def test_normalising_with_the_test_part_is_found(monkeypatch, waves_with_noise, failing):
    monkeypatch.setattr(series_data, "fit_scale", lambda train, kind: fit_scale(train.base, kind))

    # The future of a forecast is in the scale then, too.
    assert set(failing(waves_with_noise(), "linear")) == {"scale", "training", "future"}


def test_normalising_with_the_validation_part_is_found(monkeypatch, waves_with_noise, failing):
    monkeypatch.setattr(series_data, "fit_scale", lambda train, kind: fit_scale(train.base[:480], kind))

    assert set(failing(waves_with_noise(), "linear")) == {"scale", "training"}


def test_a_sample_deviation_in_place_of_that_of_the_population_is_found(
    monkeypatch, waves_with_noise, failing
):
    def sample_deviation(train, kind):
        scale, factor = fit_scale(train, kind), np.sqrt(len(train) / (len(train) - 1))
        return replace(scale, factor=scale.factor * factor, std=scale.std * factor)

    monkeypatch.setattr(series_data, "fit_scale", sample_deviation)

    assert set(failing(waves_with_noise(), "last_value")) == {"scale"}


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_test_part_that_begins_one_row_off_is_found(monkeypatch, waves_with_noise, failing, shift):
    declared = Split.borders

    def shifted(self, rows):
        train, validation, end = declared(self, rows)
        return train, validation + shift, end

    monkeypatch.setattr(Split, "borders", shifted)

    assert set(failing(waves_with_noise(), "last_value")) == {"borders"}


def test_a_last_window_that_is_never_scored_is_found(monkeypatch, waves_with_noise, failing):
    origins = SeriesData._origins
    monkeypatch.setattr(
        SeriesData,
        "_origins",
        lambda self, split, context: (
            (origins(self, split, context)[0], origins(self, split, context)[1] - 1)
            if split == "test"
            else origins(self, split, context)
        ),
    )

    found = failing(waves_with_noise(), "last_value")

    assert set(found) == {"borders"}
    assert "108 windows with targets from row 480 to 598; declared are 109" in found["borders"][0]


def test_validation_rows_in_the_training_part_are_found(monkeypatch, waves_with_noise, failing):
    rows = SeriesData._rows
    monkeypatch.setattr(
        SeriesData,
        "_rows",
        lambda self, split: (0, self.borders[1]) if split == "train" else rows(self, split),
    )

    assert set(failing(waves_with_noise(), "linear")) == {"borders"}


def test_test_rows_in_the_training_part_are_found(monkeypatch, waves_with_noise, failing):
    rows = SeriesData._rows
    monkeypatch.setattr(
        SeriesData,
        "_rows",
        lambda self, split: (0, self.borders[2]) if split == "train" else rows(self, split),
    )

    assert set(failing(waves_with_noise(), "linear")) == {"borders", "training"}


def test_a_context_that_is_one_step_late_is_found(monkeypatch, waves_with_noise, failing):
    gather = Windows.gather

    def late(self, cases):
        batch = gather(self, cases)
        first = self.values[self.origins[cases]][:, None]
        return batch.replace(context=torch.cat([batch["context"][:, 1:], first], dim=1))

    monkeypatch.setattr(Windows, "gather", late)

    assert set(failing(waves_with_noise(), "last_value")) == {"future", "borders"}


def test_a_model_that_reads_the_target_is_found(waves_with_noise, failing):
    assert set(failing(waves_with_noise(), Peeking)) == {"future"}


def test_filling_gaps_with_the_future_is_found(monkeypatch, waves_with_noise, waves, failing):
    forward = series_data.fill_forward

    def backward(values, observed, start):
        return forward(values.flip(-2), observed.flip(-2), start).flip(-2)

    monkeypatch.setattr(series_data, "fill_forward", backward)
    table = waves()
    table.values[470:480] = np.nan

    assert set(failing(waves_with_noise(table, missing="mask"), "last_value")) == {"future"}


def test_a_dropped_last_batch_is_found(monkeypatch, waves_with_noise, failing):
    monkeypatch.setattr(
        evaluate,
        "Batches",
        lambda cases, size, drop_last: Batches(cases, size, drop_last=len(cases) > size),
    )

    found = failing(waves_with_noise(), "last_value")

    assert set(found) == {"batch size"}
    assert "last_value, batches of 5: 60 of 69 cases scored" in found["batch size"]


def test_a_model_that_looks_at_the_whole_batch_is_found(waves_with_noise, failing):
    assert set(failing(waves_with_noise(), OverTheBatch)) == {"batch size"}


def test_noise_keyed_by_the_place_in_the_batch_is_found(monkeypatch, waves_with_noise, failing):
    generators = disturbances.case_generators
    monkeypatch.setattr(
        disturbances,
        "case_generators",
        lambda task, scenario, index: generators(task, scenario, torch.arange(len(index))),
    )

    # Scores of disturbed scenarios depend on the batch then.
    assert set(failing(waves_with_noise(), "last_value")) == {"disturbances", "batch size"}


@pytest.mark.parametrize(
    ("forgotten", "fault"),
    [
        ("scenario", "another scenario key draws the same"),
        ("case", "other cases draw the same"),
        ("task", "another version of the task draws the same"),
    ],
)
def test_noise_whose_key_lacks_a_part_is_found(monkeypatch, waves_with_noise, failing, forgotten, fault):
    generators = disturbances.case_generators

    def keyed(task, scenario, index):
        given = {"task": task, "scenario": scenario, "case": index}
        known = given | {forgotten: torch.zeros_like(index) if forgotten == "case" else ""}
        return generators(known["task"], known["scenario"], known["case"])

    monkeypatch.setattr(disturbances, "case_generators", keyed)

    found = failing(waves_with_noise(), "last_value")

    assert set(found) == {"disturbances"}
    assert sum(one.endswith(fault) for one in found["disturbances"]) == 2  # of two scenarios


def test_noise_of_another_size_is_found(monkeypatch, waves_with_noise, failing):
    louder = disturbances.awgn
    monkeypatch.setitem(
        disturbances.DISTURBANCES,
        "awgn",
        lambda batch, generators, level, options, scale: louder(batch, generators, level - 3, options, scale),
    )

    found = failing(waves_with_noise(), "last_value")

    assert set(found) == {"disturbances"}
    assert "dB below the signal, declared are 10" in found["disturbances"][0]


class Dispersed(LastValue):
    """Members around the last value, or quantiles without any spread."""

    kind = "samples"

    def predict(self, batch, *, realizations=None, generator=None) -> Forecast:
        values = super().predict(batch).values
        if self.kind == "quantiles":
            return Forecast(torch.stack([values + level for level in LEVELS]), "quantiles", LEVELS)
        return Forecast(torch.stack([values + 0.3 * step for step in range(-2, 3)]), "samples")


class Leveled(Dispersed):
    kind = "quantiles"


LEVELS = (0.025, *DECILES, 0.975)
SEQUENCE_METRICS = [name for name, one in METRICS.items() if one.view == "sequence"]


@pytest.mark.parametrize("model", ["last_value", Dispersed, Leveled])
def test_every_metric_of_every_kind_of_forecast_is_that_of_its_formula(waves_with_noise, failing, model):
    names = [name for name in SEQUENCE_METRICS if model is not Leveled or name != "energy_score"]

    assert failing(waves_with_noise(metrics=names, quantiles=LEVELS), model) == {}


def test_metrics_that_are_off_by_a_factor_are_found_one_by_one(monkeypatch, waves_with_noise, failing):
    names = SEQUENCE_METRICS
    for name in names:
        right = METRICS[name]
        of_quantiles = right.of_quantiles and larger(right.of_quantiles)
        wrong = replace(right, statistic=larger(right.statistic), of_quantiles=of_quantiles)
        monkeypatch.setitem(METRICS, name, wrong)

    found = failing(waves_with_noise(metrics=names, quantiles=LEVELS), "last_value")

    assert set(found) == {"metrics"}
    where = {
        place: [one.split()[0] for one in found["metrics"] if place in one] for place in ("random", "own")
    }
    assert where["random"] == names
    # Intervals of a point forecast hold next to nothing and have no width.
    assert set(where["own"]) >= {
        "mse",
        "mae",
        "rmse",
        "smape",
        "mase",
        "crps",
        "energy_score",
        "wql",
        "fev.SQL",
    }


def larger(statistic):
    """The statistic, with numerators that are a little too large."""

    def changed(forecast, observed, scale):
        first, *others = statistic(forecast, observed, scale)
        return 1.00001 * first, *others

    return changed


def test_a_forecast_that_is_scored_in_another_space_is_found(monkeypatch, waves_with_noise, failing):
    monkeypatch.setattr(SeriesData, "to_metric_space", lambda self, forecast: forecast.double())

    assert failing(waves_with_noise(space="units"), "last_value") == {
        "metrics": ("forecasts are not scored in units",)
    }


def test_a_fit_that_draws_from_a_global_generator_is_found(waves_with_noise, failing):
    assert set(failing(waves_with_noise(), Impatient)) == {"determinism", "training"}
