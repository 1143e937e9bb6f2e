"""The audit of a task on maps finds what is planted, and nothing in what is right."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tsbench import registry
from tsbench.audit import maps
from tsbench.audit.checks import audit
from tsbench.audit.subject import Candidate, Subject
from tsbench.data.field.cases import FieldCases
from tsbench.data.field.data import FieldData
from tsbench.data.samples import RowsInMemory
from tsbench.data.task_data import TaskData
from tsbench.data.views import View
from tsbench.training.module import NeuralForecaster
from tsbench.training.settings import TrainingSettings


class Blur(NeuralForecaster):
    """One convolution: what it forecasts depends on every cell of the context."""

    views = ("field",)
    probabilistic = False

    def __init__(self, shape, hyperparameters=None):
        super().__init__(shape)
        self.layer = nn.Conv2d(len(shape.channels), len(shape.targets), 9, padding=4)

    def forward(self, batch):
        return self.layer(batch["context"])


@pytest.fixture
def data(stores) -> FieldData:
    """A task with samples on made maps."""
    stores("radio_maps-tiny-analytic")
    opened = TaskData.open(registry.task("radio-map-rss-tiny"))
    assert isinstance(opened, FieldData)
    return opened


def subject(data):
    candidate = Candidate("blur", Blur, 1, None, TrainingSettings(epochs=1, batch_size=4), View())
    return Subject({data.name: data}, (candidate,), tuple(data.task.scenarios()))


@pytest.mark.slow
def test_a_sound_task_passes_every_check(data):
    found = {one.name: one.faults for one in audit(subject(data))}

    assert set(found) >= {"future", "training", "borders", "scale", "metrics", "disturbances", "batch size"}
    assert not any(found.values()), found


def test_given_cells_that_are_scored_are_seen(data, monkeypatch):
    right = FieldCases.gather_truth

    def wrong(self, cases):
        truth, _ = right(self, cases)
        return truth, truth.isfinite()

    monkeypatch.setattr(FieldCases, "gather_truth", wrong)

    assert any("sees its target" in fault for fault in maps.future(subject(data)).faults)


def test_a_scale_of_all_maps_is_found(data):
    opened = data.opened.load().copy(deep=True)
    opened["split"].values[:] = "train"
    other = FieldData.of(data.task, data.name, opened, data.provenance)

    faults = maps.scale(subject(replace(data, scale=other.scale))).faults
    assert any(fault.startswith("mean of rss is") for fault in faults)
    assert any(fault.startswith("std of building_height is") for fault in faults)


def test_a_scale_that_sees_the_test_part_is_found(data, monkeypatch):
    right = FieldData.windows

    def wrong(self, split, context):
        cases = right(self, split, context)
        if split != "train" or self.scale.scales:
            return cases
        return replace(cases, rows=torch.cat([cases.rows, right(self, "validation", context).rows]))

    monkeypatch.setattr(FieldData, "_rows", lambda self, name, label: _everything(self, name))
    monkeypatch.setattr(FieldData, "windows", wrong)

    assert "the normalisation depends on the validation part" in maps.training(subject(data)).faults


def _everything(data, name):
    return RowsInMemory(torch.from_numpy(data.opened[name].values), 0)


def test_a_scene_in_two_parts_is_found(data):
    opened = data.opened.copy(deep=True)
    opened["scene"].values[10] = opened["scene"].values[0]
    shared = FieldData.of(data.task, data.name, opened, data.provenance)

    assert any(
        "is in the training part and in another" in fault for fault in maps.borders(subject(shared)).faults
    )


def test_a_test_sample_in_no_scenario_is_found(data):
    opened = data.opened.copy(deep=True)
    row = int((opened["split"].values == "test-style").nonzero()[0][0])
    opened["style"].values[row] = "elsewhere"
    lost = FieldData.of(data.task, data.name, opened, data.provenance)

    assert any("lie in no cell" in fault for fault in maps.borders(subject(lost)).faults)


def test_a_metric_that_counts_the_given_cells_is_found(data, monkeypatch):
    monkeypatch.setattr(
        "tsbench.evaluation.metrics.field._mask",
        lambda observed, valid: torch.ones_like(observed, dtype=torch.bool),
    )
    faults = maps.metrics(subject(data)).faults

    assert [fault.partition(" ")[0] for fault in faults] == ["rmse_outdoor", "mae_outdoor", "coverage_f1_80"]
