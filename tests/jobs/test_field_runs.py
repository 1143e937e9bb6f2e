"""Runs on maps from fit to Result: scores, clusters, pictures, saved forecasts, and doing it again."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import nn

import tsbench as tb
from tsbench.contracts import InputError
from tsbench.evaluation.record import find_results, read_table
from tsbench.jobs.job import Options
from tsbench.jobs.run import Conduct
from tsbench.training.module import NeuralForecaster

TASK = "radio-map-rss-tiny"


@dataclass(frozen=True)
class Hyperparameters:
    """Of the network."""

    width: int = 4


class Maps(NeuralForecaster):
    """Two convolutions over the channels, samples as they come with their mask."""

    views = ("field",)
    probabilistic = False
    uses = frozenset({"context", "observed"})
    Hyperparameters = Hyperparameters

    def __init__(self, shape, hyperparameters=None):
        super().__init__(shape)
        width = (hyperparameters or Hyperparameters()).width
        self.first = nn.Conv2d(len(shape.channels), width, 5, padding=2)
        self.second = nn.Conv2d(width, len(shape.targets), 5, padding=2)

    def forward(self, batch):
        known = torch.where(batch["observed"], batch["context"], 0.0)
        return self.second(torch.relu(self.first(known)))


class OfSeries(Maps):
    """A model that takes no maps."""

    views = ("sequence",)


OPTIONS = Options(training={"epochs": 2, "batch_size": 4})


@pytest.fixture
def runs(stores) -> Conduct:
    stores("radio_maps-tiny-analytic")
    return Conduct(track=False, save_forecasts=True)


def folder_of(task: str) -> Path:
    (found,) = find_results(Path(os.environ["TSBENCH_RUNS"]) / "jobs" / task)
    return found


def test_a_run_on_maps_makes_a_result_that_repeats_and_a_forecast_that_scores_alike(runs, tmp_path):
    first = tb.run(Maps, TASK, conduct=runs, options=OPTIONS)
    folder = folder_of(TASK)

    assert first.primary == "rmse_outdoor"
    assert set(first.scores["rmse_outdoor"]) == {"regular", "robustness", "generalisation"}
    assert all(value and value > 0 for value in first.scores["rmse_outdoor"].values())
    assert first.cost["fit"].flops
    assert first.scenarios == {"regular": 1, "robustness": 7, "generalisation": 2}

    units = read_table(folder, "units.parquet")
    regular = units[units["condition"] == "regular"]
    pooled = (regular["numerator"].sum() / regular["denominator"].sum()) ** 0.5
    assert pooled == pytest.approx(first.scores["rmse_outdoor"]["regular"], rel=1e-6)
    assert set(regular["cluster"]) == {"test-regular/grid-3640-tr38901-25/0000"}
    pictures = read_table(folder, "examples.parquet")
    assert {"building_height", "samples", "rss"} == set(pictures["variable"])
    assert sum(path.stat().st_size for path in folder.glob("*.parquet")) < 60_000

    scored = tb.score(next(folder.parent.glob("forecast.zarr")), TASK, out=tmp_path / "scored")
    for metric, averages in first.scores.items():
        assert scored.scores[metric] == pytest.approx(averages, rel=1e-5)

    again = tb.run(Maps, TASK, conduct=replace(runs, fresh=True), options=OPTIONS)
    assert again.scores == first.scores
    assert again.model.weights == first.model.weights


def test_another_seed_sees_other_samples(runs):
    one, two = (tb.run(Maps, TASK, seed=seed, conduct=runs, options=OPTIONS) for seed in (0, 1))

    assert one.model.weights != two.model.weights


def test_a_model_of_series_is_refused(runs):
    with pytest.raises(InputError, match="It takes the view sequence; the task is of the view field"):
        tb.run(OfSeries, TASK, conduct=runs, options=OPTIONS)


def test_a_probabilistic_loss_is_refused(runs):
    with pytest.raises(InputError, match="for tasks on plain time series|point forecasts"):
        tb.run(Maps, TASK, conduct=runs, training={"loss": "quantile"})
