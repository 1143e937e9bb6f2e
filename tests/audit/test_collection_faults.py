"""Faults planted into a task on series of different length are each found by the checks that they concern."""

from dataclasses import replace

import pytest
import torch

from tsbench.contracts import Forecast, RollingSplit
from tsbench.data import collection_data, disturbances
from tsbench.data.collection_cases import RollingWindows
from tsbench.data.collection_data import CollectionData
from tsbench.models.last_value.model import LastValue


class Naive(LastValue):
    """The last value, under a card of its own."""


class Peeking:
    """Reads the answer."""

    fits = "none"
    uses = frozenset({"context", "target"})

    def __init__(self, shape, hyperparameters=None) -> None:
        pass

    def predict(self, batch, *, realizations=None, generator=None) -> Forecast:
        return Forecast(batch["target"].clone())


@pytest.fixture
def opened(open_ragged, ragged):
    """The task on series that are long enough for the look-backs of the models that audits fit."""

    def open_(**changes) -> CollectionData:
        made = ragged(sizes=(150, 40, 200, 130, 170))
        split = {"kind": "rolling", "windows": 2, "cut_within": 20}
        return open_ragged(made, **{"max_context": 100, "split": split} | changes)

    return open_


@pytest.mark.parametrize("changes", [{}, {"space": "normalised"}, {"normalisation": "none"}])
def test_a_sound_task_passes(opened, failing, changes):
    assert failing(opened(**changes)) == {}


def test_a_sound_task_with_gaps_passes(open_ragged, ragged, failing):
    made = ragged(sizes=(150, 40, 200, 130, 170))
    made["value"][::7] = float("nan")

    assert failing(open_ragged(made, max_context=100, missing="mask")) == {}


def test_normalising_with_the_test_part_is_found(monkeypatch, opened, failing):
    fit = collection_data.fit_series_scale
    monkeypatch.setattr(
        collection_data, "fit_series_scale", lambda values, sizes, ends, kind: fit(values, sizes, sizes, kind)
    )

    found = failing(opened(), Naive)

    assert {"scale", "training"} <= found.keys()


def test_windows_that_are_one_step_off_are_found(monkeypatch, opened, failing):
    borders = RollingSplit.borders
    monkeypatch.setattr(
        RollingSplit,
        "borders",
        lambda self, sizes, horizon: tuple(one - 1 for one in borders(self, sizes, horizon)),
    )

    assert "other test origins than declared" in " ".join(failing(opened(), Naive)["borders"])


def test_a_training_part_that_reaches_into_the_test_part_is_found(monkeypatch, opened, failing):
    borders = RollingSplit.borders

    def late(self, sizes, horizon):
        test, _ = borders(self, sizes, horizon)
        return test, test

    monkeypatch.setattr(RollingSplit, "borders", late)

    assert "other train origins than declared" in " ".join(failing(opened(), Naive)["borders"])


def test_padding_with_the_series_before_is_found(monkeypatch, opened, failing):
    def unmasked(self, cases):
        batch = gather(self, cases)
        rows = (self.origins[cases][:, None] + torch.arange(-self.context, 0)).clamp_min(0)
        return batch.replace(context=self.held.values[rows])

    gather = RollingWindows.gather
    monkeypatch.setattr(RollingWindows, "gather", unmasked)

    assert "padding" in " ".join(failing(opened(), Naive)["borders"])


def test_drawn_targets_behind_the_training_part_are_found(monkeypatch, opened, failing):
    monkeypatch.setattr(
        RollingWindows,
        "_ahead",
        lambda self, series, origins: (origins[:, None] + torch.arange(self.horizon), None),
    )

    split = {"kind": "rolling", "windows": 2, "cut_within": 3}
    found = failing(opened(split=split), Naive)["borders"]

    assert set(found) == {"made-ragged: a target behind the training part is not masked"}


def test_a_seasonal_error_with_the_test_part_is_found(monkeypatch, opened, failing):
    windows = CollectionData.windows

    def late(self, split, context):
        made = windows(self, split, context)
        return replace(made, origins=made.origins)

    monkeypatch.setattr(
        RollingWindows,
        "seasonal_error",
        lambda self, index, power=1: torch.ones(
            len(index), 1, len(self.held.target_index), dtype=torch.float64
        ),
    )
    monkeypatch.setattr(CollectionData, "windows", late)

    assert "seasonal difference" in " ".join(failing(opened(), Naive)["scale"])


def test_a_model_that_reads_the_target_is_found(opened, failing):
    assert "future" in failing(opened(), Peeking)


def test_noise_in_the_padding_is_found(monkeypatch, opened, failing):
    monkeypatch.setattr(
        disturbances, "own_steps", lambda batch: torch.ones(batch["context"].shape[:2], dtype=torch.bool)
    )

    assert "padding is disturbed" in " ".join(failing(opened(), Naive)["disturbances"])
