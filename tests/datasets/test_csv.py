"""A user's own table, wide or long."""

import numpy as np
import pandas as pd
import pytest

from tsbench.contracts import InputError
from tsbench.data.series import read_series
from tsbench.data.user import prepare_file

HOURS = pd.date_range("2024-01-01", periods=6, freq="h")


def long_frame() -> pd.DataFrame:
    parts = [pd.DataFrame({"unique_id": name, "ds": HOURS, "y": start + np.arange(6.0)}) for name, start in
             (("north", 0), ("south", 10))]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def read(tmp_path):
    def prepared(frame: pd.DataFrame | str, name: str = "made.csv", **options):
        path = tmp_path / name
        if isinstance(frame, str):
            path.write_text(frame)
        elif path.suffix == ".parquet":
            frame.to_parquet(path)
        else:
            frame.to_csv(path, index=False)
        return read_series(prepare_file(path, **options))

    return prepared


@pytest.mark.parametrize("name", ["made.csv", "made.csv.gz", "made.parquet"])
def test_long_table_becomes_one_channel_a_series(name, read):
    table = read(long_frame(), name)
    assert (table.variables, table.step) == (("north", "south"), "PT1H")
    np.testing.assert_array_equal(table.values, np.stack([np.arange(6.0), 10 + np.arange(6.0)], axis=1))


def test_rows_of_the_series_of_a_long_table_may_alternate(read):
    table = read(long_frame().sort_values("ds", kind="stable"))
    assert table.values[:, 1].tolist() == [10, 11, 12, 13, 14, 15]


def test_only_remaining_column_of_a_long_table_holds_its_values(read):
    assert read(long_frame().rename(columns={"y": "load"})).variables == ("north", "south")


def test_number_under_the_name_of_an_id_is_a_variable_of_a_wide_table(read):
    table = read(pd.DataFrame({"date": HOURS, "id": np.arange(6), "load": 1.0}))
    assert table.variables == ("id", "load")


def test_wide_table_keeps_the_order_of_its_columns(read):
    table = read(pd.DataFrame({"zulu": np.arange(6.0), "Timestamp": HOURS, "alpha": 1}))
    assert table.variables == ("zulu", "alpha")
    assert table.units == ("1", "1")


def test_empty_cells_are_missing_values(read):
    table = read(pd.DataFrame({"date": HOURS, "x": [1, None, 3, 4, 5, 6]}))
    assert np.isnan(table.values[1, 0])


@pytest.mark.parametrize("name", ["made.csv", "made.parquet"])
def test_time_column_is_found_by_its_dates(name, read):
    table = read(pd.DataFrame({"x": np.arange(6.0), "Stunde": HOURS}), name)
    assert (table.variables, table.stamp(5)) == (("x",), "2024-01-01T05:00:00")


def test_time_column_can_be_named(read):
    table = read(pd.DataFrame({"when": HOURS, "x": 1.0}), time="when")
    assert table.stamp(5) == "2024-01-01T05:00:00"


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (
            pd.DataFrame({"m": "May", "x": [1.0] * 6}),
            {},
            "has no time column: none of its columns m, x is named",
        ),
        (pd.DataFrame({"date": HOURS, "x": 1.0}), {"columns": ["y"]}, "has no column 'y'"),
        (pd.DataFrame({"date": HOURS, "x": 1.0}), {"time": "when"}, "has no column 'when'"),
        (pd.DataFrame({"date": HOURS}), {}, "has no column besides the time column 'date'"),
        (pd.DataFrame({"date": HOURS[:2], "x": 1.0}), {}, "too short: 2 rows, at least 3"),
        (pd.DataFrame({"date": HOURS.delete(3), "x": 1.0}), {}, "line 5: gap in time: 2024-01-01T04:00:00"),
        (pd.DataFrame({"date": HOURS.insert(3, HOURS[3]), "x": 1.0}), {}, "line 6: repeated time stamp"),
        (pd.DataFrame({"date": HOURS[::-1], "x": 1.0}), {}, "line 3: time stamp 2024-01-01T04:00:00 after"),
        (pd.DataFrame({"date": HOURS, "x": [*"12345", "six"]}), {}, "line 7, column 'x': 'six'"),
        ("", {}, "made.csv is empty"),
        ("date,x,x\n1,2,3\n", {"columns": ["x.2"]}, "has no column 'x.2'"),
    ],
)
def test_mistake_in_a_wide_table_is_one_line(frame, options, message, read):
    with pytest.raises(InputError, match=message) as caught:
        read(frame, **options)
    assert "\n" not in str(caught.value)


def test_mistake_in_a_long_table_names_the_series(read):
    frame = long_frame()
    with pytest.raises(InputError, match="series 'south', line 10: gap in time: 2024-01-01T03:00:00"):
        read(frame.drop(index=8))
    with pytest.raises(InputError, match="series 'south' is too short: 2 rows"):
        read(frame[:8])
    with pytest.raises(InputError, match="line 9, column 'y': 'much' is not a number"):
        read(frame.assign(y=[*"1234567", "much", *"9012"]))
    with pytest.raises(InputError, match="line 4, column 'unique_id': the cell is empty"):
        read(frame.assign(unique_id=frame.unique_id.where(frame.index != 2)))


def test_series_of_a_long_table_need_one_time_axis(read):
    frame = long_frame()
    with pytest.raises(
        InputError,
        match="series 'south' has 5 rows from 2024-01-01T01:00:00 to 2024-01-01T05:00:00, step PT1H, "
        "series 'north' has 6 rows from 2024-01-01T00:00:00 .* need the same time axis",
    ):
        read(frame.drop(index=6))
    other = frame.assign(ds=[*HOURS, *pd.date_range("2024-01-01", periods=6, freq="D")])
    with pytest.raises(InputError, match="to 2024-01-06T00:00:00, step P1D, series 'north' has .* step PT1H"):
        read(other)


def test_long_table_with_columns_of_no_known_use_is_refused(read):
    with pytest.raises(InputError, match="with the values in 'y'; remove what else it has: region"):
        read(long_frame().assign(region="x"))
    with pytest.raises(InputError, match="none of the other columns load, price is named value, y or target"):
        read(long_frame().rename(columns={"y": "load"}).assign(price=1.0))
