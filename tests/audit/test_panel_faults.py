"""The audit of a panel task finds what is planted, and nothing in what is right."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tsbench import registry
from tsbench.audit import panels
from tsbench.audit.checks import audit
from tsbench.audit.subject import Subject, subject_of
from tsbench.contracts import Provenance, Task
from tsbench.data.panel.arrays import PanelArrays
from tsbench.data.panel.cases import PanelCases
from tsbench.data.panel.data import PanelData
from tsbench.datasets.crop_yield.simulation import simulate
from tsbench.evaluation.metrics import panel as panel_metrics

STORE = simulate(24, 2, 1999, 0)


def opened(**layout) -> PanelData:
    declared = registry.task("crop-corn-2002-small").model_dump(mode="json")
    declared["split"] |= {"train": [1990, 1996], "validation": [1997, 1998], "test": [1999, 1999]}
    declared["panel"] |= layout
    task = Task.model_validate(declared | {"name": "crop-1999"})
    assert task.panel is not None
    made = Provenance(
        dataset="x", adapter="csv", generator_version=1, parameters={}, size="full", seed=0, files={}
    )
    return PanelData.of(task, PanelArrays(task.dataset, STORE, task.panel), made)


def subject(**layout) -> Subject:
    return subject_of(opened(**layout), ["last_year", "county_trend", "panel_ridge"])


@pytest.mark.slow
@pytest.mark.parametrize("official", [False, True])
def test_a_sound_task_passes_every_check(official):
    found = {one.name: one.faults for one in audit(subject(official=official))}
    assert set(found) >= {"future", "training", "borders", "scale", "metrics", "disturbances", "batch size"}
    assert not any(found.values()), found


def test_a_past_target_that_is_the_samples_own_is_found(monkeypatch):
    right = PanelCases._past

    def wrong(self, rows):
        return torch.cat([right(self, rows)[:, :-1], self._targets(rows)[:, None]], dim=1)

    monkeypatch.setattr(PanelCases, "_past", wrong)
    assert any(
        "last_year" in fault and "sees its target" in fault for fault in panels.future(subject()).faults
    )
    assert any("not those of the periods before" in fault for fault in panels.borders(subject()).faults)


def test_a_scale_of_all_years_is_found(monkeypatch):
    right = PanelData._fit_scale
    assert panels.training(subject()).passed
    monkeypatch.setattr(PanelData, "_fit_scale", lambda self: _of_all(self, right))
    found = panels.training(subject())
    assert any("normalisation of the context depends on the test part" in fault for fault in found.faults)
    assert not panels.scale(subject()).passed


def _of_all(data: PanelData, fit):
    layout = data.arrays.layout.model_copy(update={"official": True})
    arrays = PanelArrays(data.arrays.name, data.arrays.opened, layout)
    return fit(replace(data, arrays=arrays))


def test_samples_that_were_trained_on_are_found_in_the_test_part(monkeypatch):
    right = PanelData.windows

    def wrong(self, split, context):
        return right(self, "train" if split == "test" else split, context)

    data = subject()
    monkeypatch.setattr(PanelData, "windows", wrong)
    faults = panels.borders(data).faults
    assert any("the test part holds row" in fault and "'train'" in fault for fault in faults)


def test_a_state_that_is_held_out_must_not_be_trained_on(monkeypatch):
    data = subject()
    labels = data.own._labels.copy()
    labels[STORE["year"].values == 1995] = "train"
    monkeypatch.setitem(data.own.__dict__, "_labels", labels)
    assert any("state state-2, which is held out" in fault for fault in panels.borders(data).faults)


def test_a_wrong_formula_is_found(monkeypatch):
    monkeypatch.setattr(
        panel_metrics,
        "METRICS",
        (replace(panel_metrics.R2, combine=lambda sums: -sums[0]), panel_metrics.R2_OFFICIAL),
    )
    assert any(fault.startswith("r2 is") for fault in panels.metrics(subject()).faults)


def test_the_store_is_left_as_it_was():
    before = STORE["corn_yield"].values.copy()
    panels.future(subject())
    np.testing.assert_array_equal(STORE["corn_yield"].values, before)
