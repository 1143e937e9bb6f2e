"""Faults planted into a task on a panel are each found, by the checks that they concern alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tsbench import registry
from tsbench.contracts import Forecast
from tsbench.data.panel import data as panel_data
from tsbench.data.panel import disturbances
from tsbench.data.panel.arrays import PanelArrays
from tsbench.data.panel.cases import PanelCases
from tsbench.data.panel.data import PanelData
from tsbench.data.prepare import prepare
from tsbench.data.store import open_store, read_provenance
from tsbench.evaluation.metrics import panel, panel_percentage


class Peeking:
    """Reads the answer."""

    fits = "none"
    uses = frozenset({"context", "target"})
    views = ("panel",)

    def __init__(self, shape, hyperparameters=None) -> None:
        pass

    def predict(self, batch, *, realizations=None, generator=None) -> Forecast:
        return Forecast(batch["target"].clone())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A small network of base stations: its store and provenance."""
    patch = pytest.MonkeyPatch()
    patch.setenv("TSBENCH_DATA", str(tmp_path_factory.mktemp("stores")))
    path = prepare("base_station_energy", size="tiny")
    patch.undo()
    return open_store(path), read_provenance(path)


@pytest.fixture
def opened(tiny):
    """The task on hours of known stations; `opened(**changes of the task)`."""

    def open_(**changes) -> PanelData:
        store, provenance = tiny
        name = {"name": "energy-tried"} if changes else {}  # a published task never changes
        task = registry.task("energy-hours").model_copy(update=name | changes)
        return PanelData.of(task, PanelArrays("base_station_energy", store, task.panel), provenance)

    return open_


def test_a_sound_task_passes(opened, failing):
    assert failing(opened(), "site_linear", "energy_physical") == {}


def test_a_normalised_task_passes(opened, failing):
    task = registry.task("energy-hours")
    layout = task.panel.model_copy(update={"static_normalisation": "zscore"})

    assert failing(opened(normalisation="zscore", panel=layout), "site_mean") == {}


def test_a_model_that_reads_the_answer_is_found(opened, failing):
    assert "future" in failing(opened(), Peeking)


def test_normalising_with_the_test_part_is_found(monkeypatch, opened, failing):
    """The target is scaled by all rows in place of the training rows."""
    fit, whole = panel_data._fit, {}

    def of_all(values, kind):
        return fit(whole["target"][:, None] if values.shape[-1] == 1 else values, kind)

    opening = PanelData.of.__func__

    def of(cls, task, arrays, provenance):
        whole["target"] = arrays.target
        return opening(cls, task, arrays, provenance)

    monkeypatch.setattr(panel_data, "_fit", of_all)
    monkeypatch.setattr(PanelData, "of", classmethod(of))

    assert set(failing(opened(normalisation="zscore"), "site_mean")) == {"scale", "training"}


def test_a_test_sample_in_the_training_part_is_found(monkeypatch, opened, failing):
    windows = PanelData.windows

    def too_many(self, split, context):
        cases = windows(self, split, context)
        if split == "train":
            more = windows(self, "test", context).rows[:1]
            cases = replace(cases, rows=torch.cat([cases.rows, more]))
        return cases

    monkeypatch.setattr(PanelData, "windows", too_many)

    assert "borders" in failing(opened(), "energy_physical")


def test_a_lost_training_sample_is_found(monkeypatch, opened, failing):
    windows = PanelData.windows

    def too_few(self, split, context):
        cases = windows(self, split, context)
        return replace(cases, rows=cases.rows[:-1]) if split == "train" else cases

    monkeypatch.setattr(PanelData, "windows", too_few)

    assert set(failing(opened(), "energy_physical")) == {"borders"}


def test_targets_of_other_rows_are_found(monkeypatch, opened, failing):
    monkeypatch.setattr(
        PanelCases, "_targets", lambda self, rows: self.arrays.target[rows - 1][..., None].float()
    )

    assert "borders" in failing(opened(), "energy_physical")


def test_another_formula_of_a_metric_is_found(monkeypatch, opened, failing):
    halved = replace(
        panel_percentage.MAPE,
        statistic=lambda f, y, scale: (50 * (f - y).abs() / y, torch.ones_like(y)),
    )
    monkeypatch.setattr(panel, "METRICS", (halved, panel_percentage.WEIGHTED_MAPE))

    assert set(failing(opened(), "energy_physical")) == {"metrics"}


@pytest.mark.parametrize("factor", [0.0, 0.2])
def test_noise_of_another_size_is_found(monkeypatch, opened, failing, factor):
    noise = disturbances.DISTURBANCES["entity_noise"]

    def wrong(batch, generators, level, options, scale):
        return noise(batch, generators, factor * level, options, scale)

    monkeypatch.setitem(disturbances.DISTURBANCES, "entity_noise", wrong)

    assert set(failing(opened(), "energy_physical")) == {"disturbances"}


def test_noise_that_depends_on_the_batch_is_found(monkeypatch, opened, failing):
    noise = disturbances.DISTURBANCES["entity_noise"]

    def first_case(batch, generators, level, options, scale):
        again = [np.random.default_rng(place) for place in range(len(generators))]
        return noise(batch, again, level, options, scale)

    monkeypatch.setitem(disturbances.DISTURBANCES, "entity_noise", first_case)

    assert set(failing(opened(), "energy_physical")) == {"batch size", "disturbances"}
