"""The audit of roll-outs finds what it is made to find, and nothing on a sound task."""

import dataclasses

import numpy as np
import pytest
import torch
import xarray as xr

from tsbench.audit import checks
from tsbench.audit.subject import Subject, subject_of
from tsbench.contracts import Provenance, Task
from tsbench.data.rollout.data import RolloutData
from tsbench.data.rollout.windows import GridWindows
from tsbench.evaluation.metrics import rollout as metrics

METRICS = ["rmse_ratio", "wb.rmse", "wb.mae", "wb.bias", "wb.acc", "small_scale_power"]


def store(members: tuple[str, ...], steps: int, hours: int) -> xr.Dataset:
    """Two variables and a static field; without labels of members a single run."""
    random = np.random.default_rng(0)
    dims = (*(("member",) if members else ()), "time", "latitude", "longitude")
    shape = (*((len(members),) if members else ()), steps, 4, 6)
    arrays = {
        "height": (dims, (5000 + 100 * random.standard_normal(shape)).astype(np.float32), {"units": "m"}),
        "wind": (dims, random.standard_normal(shape).astype(np.float32), {"units": "m s-1"}),
        "hill": (dims[-2:], random.random((4, 6)).astype(np.float32), {"units": "m"}),
    }
    coords = {
        "time": np.datetime64("2000-01-01", "ns") + np.arange(steps) * np.timedelta64(hours, "h"),
        "latitude": np.array([-60.0, -10.0, 10.0, 60.0]),
        "longitude": np.arange(6) * 60.0,
    }
    if members:
        coords["split"] = ("member", np.array(members, object))
    return xr.Dataset(arrays, coords)


def opened_on(dataset: xr.Dataset, **changes) -> RolloutData:
    declared = {
        "name": "made",
        "version": 1,
        "kind": "rollout",
        "dataset": "made",
        "horizon": 3,
        "period": 4,
        "max_context": 4,
        "rollout": {"statics": ["hill"], "origin_step": 2},
        "normalisation": "zscore",
        "space": "units",
        "metrics": METRICS,
        "primary": "rmse_ratio",
        "unit": {"kind": "sample"},
    }
    made = Provenance(
        dataset="made", adapter="made", generator_version=1, parameters={}, size="full", seed=0, files={}
    )
    return RolloutData.of(Task.model_validate(declared | changes), "made", dataset, made)


def opened() -> RolloutData:
    disturbances = [
        {"disturbance": {"name": "coarse", "parameter": "points", "levels": [2]}},
        {
            "disturbance": {
                "name": "holes",
                "parameter": "fraction",
                "levels": [0.5],
                "options": {"points": 2},
            }
        },
    ]
    return opened_on(
        store(("train", "train", "validation", "test", "test", "elsewhere"), 20, 6),
        split={"kind": "labels", "test": "test"},
        conditions={"robustness": disturbances, "generalisation": [{"cells": {"split": ["elsewhere"]}}]},
    )


def by_year() -> RolloutData:
    return opened_on(
        store((), 4 * 365, 24),
        split={"kind": "period", "train": (2000, 2001), "validation": (2002, 2002), "test": (2003, 2003)},
        conditions={"robustness": {"not_applicable": "-"}, "generalisation": {"not_applicable": "-"}},
    )


def faults(subject: Subject, check: str) -> tuple[str, ...]:
    return checks.OF_KIND["rollout"][check](subject).faults


@pytest.mark.parametrize("make", [opened, by_year])
def test_a_sound_task_has_no_fault(make):
    subject = subject_of(make())

    found = {one.name: one.faults for one in checks.audit(subject)}

    assert found == dict.fromkeys(checks.CHECKS, ())


def test_a_context_that_reaches_beyond_its_origin_is_found(monkeypatch):
    subject = subject_of(opened())
    honest = GridWindows.gather

    def peeking(self, cases):
        later = dataclasses.replace(self, origins=self.origins + 1, names=frozenset({"context"}))
        return honest(self, cases).replace(context=honest(later, cases)["context"])

    monkeypatch.setattr(GridWindows, "gather", peeking)

    assert any("sees what follows" in one for one in faults(subject, "future"))


def test_a_scale_of_all_members_is_found(monkeypatch):
    everything = property(lambda self: torch.ones(self.fields.shape[:2], dtype=torch.bool))
    monkeypatch.setattr(RolloutData, "_training", everything)
    subject = subject_of(opened())

    assert "the normalisation depends on more than the training part" in faults(subject, "training")
    assert any("climatology of height" in one for one in faults(subject, "scale"))


def test_a_truth_of_another_step_is_found(monkeypatch):
    honest = GridWindows.gather_truth

    def late(self, cases):
        return honest(dataclasses.replace(self, origins=self.origins - 1), cases)

    monkeypatch.setattr(GridWindows, "gather_truth", late)

    assert any(
        "the truth of wind is not that of the store" in one for one in faults(subject_of(opened()), "borders")
    )


def test_weights_by_the_cosine_are_found(monkeypatch):
    honest = metrics.spatial_mean
    monkeypatch.setattr(
        metrics, "spatial_mean", lambda values, weights: honest(values, weights.roll(1, dims=-1))
    )
    subject = subject_of(opened())

    assert any(one.startswith("wb.rmse of height in the whole") for one in faults(subject, "metrics"))
