"""Stores of independent samples: parts by label, cells of scenarios, one z-score of the training part."""

import numpy as np
import pytest
import torch

from tsbench.contracts import InputError
from tsbench.data import sample_data
from tsbench.data.cases import Batches
from tsbench.data.samples import RowsOnDisk


def test_parts_hold_the_samples_of_their_label_and_no_others(open_responses):
    data = open_responses()
    labels = data.opened["split"].values

    for split, label in (("train", "train"), ("validation", "validation"), ("test", "test-regular")):
        rows = data.windows(split, 6).rows.numpy()
        assert set(labels[rows]) == {label}
        assert len(rows) == (labels == label).sum()


def test_normalisation_comes_from_the_training_samples_alone(open_responses, responses):
    changed = responses()
    test = changed["split"].values != "train"
    changed["history"][test] = changed["history"][test] * 100 + 7
    data, other = open_responses(), open_responses(changed)

    assert torch.equal(data.scale.shift, other.scale.shift)
    train = data.opened["history"].values[data.opened["split"].values == "train"]
    expected = [train.real.mean(dtype=np.float64), train.imag.mean(dtype=np.float64)]
    assert data.scale.shift.tolist() == pytest.approx(expected, abs=1e-6)
    assert data.scale.factor.tolist() == pytest.approx([train.real.std(), train.imag.std()], rel=1e-5)


def test_a_normalised_training_context_has_mean_zero_and_spread_one_in_each_part(open_responses):
    cases = open_responses().windows("train", 6)
    parts = torch.view_as_real(cases.gather(torch.arange(len(cases)))["context"]).flatten(0, -2)

    assert parts.mean(dim=0).abs().max() < 1e-5
    assert parts.std(dim=0, correction=0).tolist() == pytest.approx([1, 1], abs=1e-5)


def test_scores_are_computed_in_units_on_the_stored_values(open_responses):
    data = open_responses()
    cases = data.windows("test", 6)
    truth, valid = cases.gather_truth(torch.tensor([3, 1]))

    assert valid is None
    assert np.array_equal(truth.numpy(), data.opened["later"].values[cases.rows[[3, 1]].numpy()])
    target = cases.gather(torch.tensor([3, 1]))["target"]
    assert torch.allclose(data.to_metric_space(target), truth.to(torch.complex128), atol=1e-5)


def test_a_scenario_holds_the_samples_of_its_cell(open_responses):
    data = open_responses()
    scenario = data.task.scenario("generalisation/place=c/speed=20/sample_awgn/snr_db=0")
    rows = data.test_cases(scenario, 6).rows.numpy()

    assert len(rows) == 7
    assert set(data.opened["split"].values[rows]) == {"test-unseen"}
    assert set(data.opened["place"].values[rows]) == {"c"}
    assert set(data.opened["speed"].values[rows]) == {20}
    assert data.cluster(scenario) == "c-20"


def test_scenarios_of_a_task_cover_its_test_samples_once_a_level(open_responses):
    data = open_responses()
    rows = [
        data.test_cases(scenario, 6).rows
        for scenario in data.task.scenarios()
        if scenario.condition == "regular" and scenario.level == 0
    ]

    assert torch.equal(torch.cat(rows).sort().values, data.windows("test", 6).rows)


def test_rows_from_disk_equal_rows_in_memory(open_responses, monkeypatch):
    in_memory = open_responses()
    cases = in_memory.windows("train", 6)
    monkeypatch.setattr(sample_data, "MEMORY_LIMIT", 1000)
    stored = in_memory.opened.copy()
    for array in ("history", "later"):
        stored[array].encoding["chunks"] = (4, 3, 6, 5)
    on_disk = open_responses(stored)
    read = on_disk.windows("train", 6)

    assert isinstance(read.contexts, RowsOnDisk)
    index = torch.tensor([9, 2, 2, 5])
    assert torch.equal(cases.gather(index)["context"], read.gather(index)["context"])
    assert torch.equal(cases.gather_truth(index)[0], read.gather_truth(index)[0])


def test_a_shuffle_from_disk_takes_every_case_once_and_few_chunks_at_a_time(open_responses, monkeypatch):
    monkeypatch.setattr(sample_data, "MEMORY_LIMIT", 1000)
    monkeypatch.setattr("tsbench.data.samples.SHUFFLED_CHUNKS", 2)
    stored = open_responses().opened.copy()
    for array in ("history", "later"):
        stored[array].encoding["chunks"] = (4, 3, 6, 5)
    cases = open_responses(stored).windows("train", 6)
    order = torch.cat([batch["index"] for batch in Batches(cases, 5, seed=1)])

    assert torch.equal(order.sort().values, torch.arange(len(cases)))
    assert len(torch.unique(cases.rows[order[:6]] // 4)) <= 2
    assert not torch.equal(order, order.sort().values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"samples": {"view": "csi", "context": "past", "target": "later"}},
            "no array 'past'.*it has history, later",
        ),
        ({"samples": {"view": "csi", "context": "later", "target": "history"}}, "has the dimensions"),
        ({"horizon": 3}, "holds 2 steps, responses-2@1 forecasts 3"),
        ({"split": {"kind": "labels", "test": "x", "train": "y"}}, "no sample with split = y"),
        ({"split": {"kind": "labels", "test": "x", "coordinate": "part"}}, "no coordinate 'part'"),
    ],
)
def test_a_store_that_does_not_fit_the_task_is_refused(open_responses, changes, message):
    with pytest.raises(InputError, match=message):
        open_responses(**changes).windows("test", 6)


def test_nan_in_the_training_part_is_refused(open_responses, responses):
    broken = responses()
    row = int(np.flatnonzero(broken["split"].values == "train")[3])
    broken["history"].values[row, 0, 0, 0] = np.nan

    with pytest.raises(InputError, match="cannot be normalised: the training part holds NaN"):
        open_responses(broken)


@pytest.mark.parametrize("context", [0, 7])
def test_a_look_back_that_the_task_does_not_allow_is_refused(open_responses, context):
    with pytest.raises(InputError, match=f"allows a context of 1 to 6, not {context}"):
        open_responses().windows("test", context)


def test_a_cell_without_samples_is_refused_by_its_scenario(open_responses):
    data = open_responses()
    scenario = data.task.scenarios()[0].model_copy(update={"cell": {"place": "z"}})

    with pytest.raises(InputError, match="no samples for the scenario 'regular/place=a"):
        data.test_cases(scenario, 6)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"shift": [0.0], "factor": [1.0, 1.0]}', '{"shift": ["a", 1.0]}']
)
def test_a_kept_scale_that_is_damaged_is_named(open_responses, stores_root, content):
    open_responses()
    kept = {path: path.read_text() for path in (stores_root / ".scales").glob("made-responses-*.json")}
    try:
        for path in kept:
            path.write_text(content)
        with pytest.raises(InputError, match="made-responses-.*json"):
            open_responses()
    finally:
        for path, whole in kept.items():
            path.write_text(whole)
