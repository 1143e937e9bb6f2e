"""Reading stores of series of different length."""

import numpy as np
import pytest

from tsbench.contracts import InputError, Provenance, Variant
from tsbench.data.collection import fill_rows_forward, of_dataset, of_table, read_collection
from tsbench.data.store import USER_PREFIX, store_path, write_store
from tsbench.data.task_data import TaskData


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Writes a store of series under the name of a user's file: `stored(dataset)` gives its name."""
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))

    def write(dataset) -> str:
        name = f"{USER_PREFIX}ragged"
        for variable in dataset.data_vars.values():
            if variable.dtype.kind != "M":
                variable.attrs["units"] = "1"
        provenance = Provenance(
            dataset=name, adapter="csv", generator_version=1, parameters={}, size="full", seed=None, files={}
        )
        write_store(store_path(name), dataset, provenance, Variant(title="ragged"))
        return name

    return write


def test_a_store_is_read_back_as_it_was_written(stored, ragged):
    made = ragged(channels=2)
    read = read_collection(stored(made))
    expected = of_dataset(made, read.name, read.recipe, read.content)

    np.testing.assert_array_equal(read.values, expected.values)
    np.testing.assert_array_equal(read.starts, expected.starts)
    assert (read.series, read.channels, read.step) == (("s0", "s1", "s2", "s3"), ("c0", "c1"), "P1D")
    for columns in ("known", "past", "static", "categorical"):
        np.testing.assert_array_equal(getattr(read, columns).values, getattr(expected, columns).values)
        assert getattr(read, columns).names == getattr(expected, columns).names


def test_a_task_opens_on_such_a_store(stored, ragged, ragged_task):
    data = TaskData.open(ragged_task(dataset=stored(ragged())))

    assert len(data.windows("test", 8)) == 8
    assert data.recipe == data.collection.recipe


def test_the_smallest_store_has_values_and_sizes(ragged):
    made = ragged()[["value", "row_size"]].isel(channel=0).drop_vars(["series", "channel"])
    read = of_dataset(made.drop_attrs(), "small", "recipe", "content")

    assert read.channels == ("value",)
    assert read.series == ("0", "1", "2", "3")
    assert read.known.values.shape == (207, 0)
    assert read.static.values.shape == (4, 0)
    assert not read.dated
    assert read.stamp(1, 5) == "5"


def test_a_time_series_is_a_collection_of_one(waves):
    table = waves(rows=50)
    read = of_table(table)

    assert read.sizes.tolist() == [50]
    assert read.stamp(0, 30) == table.stamp(30)
    np.testing.assert_array_equal(read.values, table.values)


def test_a_time_axis_with_a_gap_gives_no_stamps(waves):
    table = waves(rows=50)
    table.time[20:] += np.timedelta64(3, "h")

    assert not of_table(table).dated


def test_rows_are_filled_with_the_past_of_their_own_series():
    nan = np.nan
    values = np.array([[nan, 1.0], [2.0, nan], [nan, nan], [nan, 5.0], [6.0, nan]])

    filled = fill_rows_forward(values, np.array([3, 2]), np.array([[10.0, 20.0], [30.0, 40.0]]))

    assert filled.tolist() == [[10, 1], [2, 1], [2, 1], [30, 5], [6, 5]]


def test_missing_covariates_are_filled_with_the_past_then_with_zero(ragged):
    made = ragged()
    made["known_covariates"][[17, 30]] = np.nan
    made["static"][2] = np.nan
    read = of_dataset(made, "made", "recipe", "content")

    assert read.known.values[17] == 0
    assert read.known.values[30] == read.known.values[29]
    assert read.static.values[:, 0].tolist() == [0, 1, 0, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: made.drop_vars("value"), r"holds no value\(observation\)"),
        (
            lambda made: made.assign(row_size=made["row_size"] + 1),
            "adds up to 211 values .* the store holds 207",
        ),
        (lambda made: made.assign(row_size=("series", [0, 47, 60, 100])), "each at least 1"),
        (
            lambda made: made.assign(static=("series", [1.0] * 4)),
            r"'static' of 'made' has the dimensions \('series',\)",
        ),
        (lambda made: made.assign(categorical=made["categorical"] - 1), "must hold integers from 0 on"),
        (lambda made: made.assign(categorical=made["categorical"] * 0.5), "must hold integers from 0 on"),
        (
            lambda made: made.assign(value=made["value"].astype(complex)),
            "value is complex128, not a real number",
        ),
        (
            lambda made: made.assign_attrs(step="daily"),
            "the attribute step: 'daily' is not an ISO 8601 duration",
        ),
    ],
)
def test_another_layout_is_refused(ragged, change, message):
    with pytest.raises(InputError, match=message):
        of_dataset(change(ragged()), "made", "recipe", "content")
