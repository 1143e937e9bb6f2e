"""Faults planted into a task of independent samples are each found, by the checks that they concern alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tsbench.contracts import Forecast
from tsbench.data import channel_estimation, complex_noise, disturbances
from tsbench.data.cases import Batches
from tsbench.data.normalisation import fit_part_scale
from tsbench.data.sample_data import SampleData
from tsbench.data.samples import Samples
from tsbench.evaluation import evaluate
from tsbench.evaluation.metrics import METRICS


class Peeking:
    """Reads the answer."""

    fits = "none"
    uses = frozenset({"context", "target"})
    views = ("csi",)

    def __init__(self, shape, hyperparameters=None) -> None:
        pass

    def predict(self, batch, *, realizations=None, generator=None) -> Forecast:
        return Forecast(batch["target"].clone())


@pytest.fixture
def opened(open_responses, responses, monkeypatch, tmp_path):
    """Made responses, nine samples a cell, no multiple of a batch size; `opened(**changes of the task)`."""
    # A scale that another test kept beside its stores would be taken for ours.
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path))
    return lambda **changes: open_responses(responses(samples=9), **changes)


def labelled(data: SampleData, *labels: str) -> np.ndarray:
    return np.flatnonzero(np.isin(data.opened["split"].values, labels))


def test_a_sound_task_passes(opened, failing):
    noise = {
        "disturbance": "sample_awgn", "low": 0, "high": 25, "draw": "once", "space": "normalised"
    }  # fmt: skip

    assert failing(opened(training_noise=noise), "last_value", "linear") == {}


def test_every_disturbance_of_responses_passes(opened, failing):
    cells = {"place": ["a", "b"], "speed": [1, 10]}
    named = {"phase_noise": 0.2, "burst_noise": 0.1, "packet_drop": 0.1, "sample_awgn": 10}
    grids = [
        {
            "cells": cells,
            "disturbance": {"name": name, "parameter": "level", "levels": [level], "space": space},
        }
        for name, level in named.items()
        for space in (["units", "normalised"] if name == "sample_awgn" else ["normalised"])
    ]
    pilots = {"comb": 2, "spacing": 240000, "delay_spread": 1e-7}
    grids[:0] = [
        {
            "cells": cells,
            "disturbance": {"name": name, "parameter": "snr_db", "levels": [10], "options": pilots},
        }
        for name in ("estimated_ls", "estimated_lmmse")
    ]
    # The same key in either space would name two scenarios.
    grids[-1]["disturbance"]["parameter"] = "level_normalised"
    conditions = {
        "regular": [{"cells": cells}],
        "robustness": grids,
        "generalisation": [{"part": "test-unseen"}],
    }

    assert failing(opened(conditions=conditions), "last_value") == {}


def test_normalising_with_the_test_part_is_found(monkeypatch, opened, failing):
    monkeypatch.setattr(
        SampleData,
        "_fit_scale",
        lambda self: fit_part_scale([self.opened["history"].values], self.task.normalisation),
    )

    assert set(failing(opened(), "linear")) == {"scale", "training"}


def test_a_kept_scale_of_other_data_is_found(opened, failing):
    data = opened()
    stale = replace(data, scale=replace(data.scale, shift=data.scale.shift + 0.01))

    assert set(failing(stale, "last_value")) == {"scale"}


def test_validation_samples_in_the_training_part_are_found(monkeypatch, opened, failing):
    windows = SampleData.windows

    def mixed(self, split, context):
        if split != "train":
            return windows(self, split, context)
        return self._samples(labelled(self, "train", "validation"), "train", context)

    monkeypatch.setattr(SampleData, "windows", mixed)

    assert set(failing(opened(), "last_value")) == {"borders", "scale", "training"}


def test_a_sample_that_is_never_scored_is_found(monkeypatch, opened, failing):
    test_cases = SampleData.test_cases

    def short(self, scenario, context):
        cases = test_cases(self, scenario, context)
        return replace(cases, rows=cases.rows[:-1])

    monkeypatch.setattr(SampleData, "test_cases", short)

    found = failing(opened(), "last_value")

    assert set(found) == {"borders"}


def test_a_trained_cell_in_the_average_of_generalisation_is_found(opened, failing):
    conditions = opened().task.model_dump(mode="json")["conditions"]
    conditions["generalisation"][0]["trained"] = {}

    found = failing(opened(conditions=conditions), "last_value")

    assert set(found) == {"borders"}
    assert "place=a/speed=1" in found["borders"][0]
    assert "was trained on" in found["borders"][0]


def test_cells_that_leave_samples_out_are_found(opened, failing):
    conditions = opened().task.model_dump(mode="json")["conditions"]
    conditions["regular"][0]["cells"]["place"] = ["a"]

    found = failing(opened(conditions=conditions), "last_value")

    assert found == {"borders": ("regular: 18 samples of 'test-regular' lie in no cell, or in several",)}


def test_a_context_that_holds_the_target_is_found(monkeypatch, opened, failing):
    gather = Samples.gather

    def late(self, cases):
        batch = gather(self, cases)
        ahead = self.scale.to_model(self.targets.take(self.rows[cases]))
        return batch.replace(context=torch.cat([batch["context"][:, :, 1:], ahead[:, :, :1]], dim=2))

    monkeypatch.setattr(Samples, "gather", late)

    assert set(failing(opened(), "last_value")) == {"future", "borders"}


def test_a_model_that_reads_the_target_is_found(opened, failing):
    assert set(failing(opened(max_context=6), Peeking)) == {"future"}


def test_a_dropped_last_batch_is_found(monkeypatch, opened, failing):
    monkeypatch.setattr(
        evaluate,
        "Batches",
        lambda cases, size, drop_last: Batches(cases, size, drop_last=len(cases) > size),
    )

    assert set(failing(opened(), "last_value")) == {"batch size"}


def test_noise_keyed_by_the_place_in_the_batch_is_found(monkeypatch, opened, failing):
    generators = disturbances.case_generators
    monkeypatch.setattr(
        disturbances,
        "case_generators",
        lambda task, scenario, index: generators(task, scenario, torch.arange(len(index))),
    )

    assert set(failing(opened(), "last_value")) == {"disturbances", "batch size"}


def test_noise_of_the_power_of_the_batch_is_found(monkeypatch, opened, failing):
    add = complex_noise.add_white_noise

    def of_the_batch(values, normal, level):
        return (
            values
            + add(values.flatten(0, 1)[None], normal.flatten(0, 1)[None], level).reshape(values.shape)
            - values
        )

    monkeypatch.setattr(complex_noise, "add_white_noise", of_the_batch)

    assert set(failing(opened(), "last_value")) == {"disturbances", "batch size"}


def test_pilots_of_another_strength_than_declared_are_found(monkeypatch, opened, failing):
    right = channel_estimation.add_white_noise
    monkeypatch.setattr(
        channel_estimation, "add_white_noise", lambda values, normal, level: right(values, normal, level - 3)
    )
    pilots = {
        "name": "estimated_ls",
        "parameter": "snr_db",
        "levels": [10],
        "options": {"comb": 2},
    }
    conditions = {
        "regular": [{}],
        "robustness": [{"disturbance": pilots}],
        "generalisation": [{"part": "test-unseen"}],
    }

    found = failing(opened(conditions=conditions), "last_value")

    assert set(found) == {"disturbances"}
    assert "dB below the signal, declared are 10" in found["disturbances"][0]


def test_metrics_that_are_off_by_a_factor_are_found_one_by_one(monkeypatch, opened, failing):
    names = ["nmse", "nmse_median", "nmse_db", "sse", "se", "beam_gain"]
    for name in names:
        right = METRICS[name]
        monkeypatch.setitem(METRICS, name, replace(right, statistic=larger(right.statistic)))

    found = failing(opened(metrics=names), "last_value")

    assert set(found) == {"metrics"}
    # On random numbers, then on the task's own data.
    assert [one.split()[0] for one in found["metrics"]] == 2 * names


def larger(statistic):
    """The statistic, with numerators that are a little too large."""

    def changed(forecast, observed, scale):
        numerator, denominator = statistic(forecast, observed, scale)
        return 1.0001 * numerator, denominator

    return changed
