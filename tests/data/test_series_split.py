"""Collections that are split by whole series: parts, scale, units, records."""

import numpy as np
import pytest
import torch

from tsbench.contracts import InputError, SeriesSplit
from tsbench.contracts.leakage import overlap
from tsbench.data.collection import of_dataset
from tsbench.data.collection_data import CollectionData

SIZES = (17, 30, 60, 100, 9)
PARTS = ("train", "validation", "test", "train", "test")
SPLIT = {"kind": "series", "step": 3, "shortest_context": 6}


def labelled(ragged, parts=PARTS, **changes):
    return ragged(SIZES, **changes).assign_coords(split=("series", np.array(parts, object)))


def positions(data, part):
    """Series and position in it of every origin."""
    windows = data.windows(part, 6)
    origins = windows.origins - torch.from_numpy(data.collection.first)[windows.series]
    return windows.series.tolist(), origins.tolist()


def test_every_window_of_a_series_belongs_to_its_part(open_ragged, ragged):
    data = open_ragged(labelled(ragged), split=SPLIT)

    series, origins = positions(data, "train")
    assert series == [0] * (17 - 6 - 4 + 1) + [3] * (100 - 6 - 4 + 1)  # T − n − m + 1
    assert origins == [*range(6, 14), *range(6, 97)]
    assert positions(data, "validation") == ([1] * 7, [*range(6, 27, 3)])
    assert positions(data, "test") == ([2] * 17, [*range(6, 57, 3)])


def test_no_series_is_in_two_parts(open_ragged, ragged):
    data = open_ragged(labelled(ragged), split=SPLIT)
    train, validation, test = (set(positions(data, part)[0]) for part in ("train", "validation", "test"))

    assert not train & validation
    assert not (train | validation) & test


def test_one_scale_of_all_training_series_holds_for_every_series(open_ragged, ragged):
    data = open_ragged(labelled(ragged), split=SPLIT)
    values = data.collection.values
    trained = np.concatenate([values[:17], values[107:207]])

    for series in range(5):
        np.testing.assert_allclose(data.scale.mean[series], trained.mean(axis=0))
        np.testing.assert_allclose(data.scale.factor[series], trained.std(axis=0))


def test_units_are_the_series_that_have_test_windows(open_ragged, ragged):
    parts = ("test", "validation", "test", "train", "test")

    data = open_ragged(labelled(ragged, parts), split=SPLIT)

    assert data.unit_of_cases().tolist() == [0] * 3 + [1] * 17
    assert data.unit_windows == 17


def test_what_was_trained_on_and_tested_on_are_series_that_do_not_overlap(open_ragged, ragged):
    data = open_ragged(labelled(ragged), split=SPLIT)

    trained, tested = data.trained_on(), data.tested_on((), 6)

    assert trained.series == ("s0", "s3")
    assert {one.series for one in tested} == {("s2", "s4")}
    assert not any(overlap(trained, one) for one in tested)
    assert overlap(tested[0].model_copy(update={"series": "all"}), trained)


def test_other_data_without_training_series_are_scaled_as_the_tasks_own(
    monkeypatch, open_ragged, ragged, ragged_task
):
    from tsbench.data import collection_data

    task = ragged_task(split=SPLIT)
    own = of_dataset(labelled(ragged), "made-ragged", "recipe", "content")
    other = of_dataset(labelled(ragged, ["test"] * 5, seed=1), "other", "recipe", "content")
    monkeypatch.setattr(collection_data, "read_collection", {"made-ragged": own, "other": other}.get)

    opened = CollectionData.open(task, "other")

    assert torch.equal(opened.scale.factor[4], CollectionData.open(task).scale.factor[0])
    assert len(opened.windows("test", 6)) > 0
    with pytest.raises(InputError, match="no series has a window in the train part"):
        opened.windows("train", 6)


def test_a_store_without_labels_is_refused(open_ragged, ragged):
    with pytest.raises(InputError, match="has no coordinate 'split' of its series.*; it has none"):
        open_ragged(ragged(SIZES), split=SPLIT)


def test_data_without_a_training_series_are_refused(open_ragged, ragged):
    with pytest.raises(InputError, match="'made-ragged' has no series with split = train"):
        open_ragged(labelled(ragged, ["test"] * 5), split=SPLIT)


def test_the_unit_of_such_a_task_is_the_series(ragged_task):
    with pytest.raises(ValueError, match="the unit of a split by series is `series`, not `window_block`"):
        ragged_task(split=SPLIT, unit={"kind": "window_block"})
    with pytest.raises(ValueError, match="depends on its data"):
        _ = ragged_task(split=SPLIT).unit_windows


def test_windows_are_counted_as_they_are_cut():
    split = SeriesSplit(kind="series", shortest_context=21)
    lengths = np.arange(1, 80)

    for step in (1, 5):
        expected = [len(range(21, length - 10 + 1, step)) for length in lengths]
        assert split.origins(lengths, 10, step).tolist() == expected


@pytest.mark.slow
def test_the_audit_passes(open_ragged, ragged):
    from tsbench.audit.checks import audit
    from tsbench.audit.subject import subject_of

    data = open_ragged(labelled(ragged), split=SPLIT, max_context=16)

    assert {one.name: one.faults for one in audit(subject_of(data)) if not one.passed} == {}


def test_the_audit_sees_a_series_in_the_wrong_part(monkeypatch, open_ragged, ragged):
    from tsbench.audit.collections import origin_faults
    from tsbench.data import collection_parts

    data = open_ragged(labelled(ragged), split=SPLIT)
    assert list(origin_faults(data, 6)) == []
    wrong = np.array(["train", "validation", "test", "test", "train"])
    monkeypatch.setattr(collection_parts, "labels_of", lambda split, collection: wrong)

    mixed = open_ragged(labelled(ragged), split=SPLIT)

    assert any("windows" in fault for fault in origin_faults(mixed, 6))
