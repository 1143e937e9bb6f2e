"""Tables: what is read, and one clear line for each mistake."""

import gzip

import numpy as np
import pandas as pd
import pytest

from tsbench.contracts import InputError
from tsbench.data.tables import (
    check_regular,
    numbers,
    read_table,
    require_columns,
    require_rows,
    time_stamps,
)

GOOD = "date,load\n2024-01-01 00:00,1.5\n2024-01-01 01:00,2.5\n2024-01-01 02:00,\n"


@pytest.fixture
def table(tmp_path):
    def write(text: str | bytes, name: str = "made.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_table(path)

    return write


def test_csv_plain_compressed_and_parquet_read_alike(tmp_path, table):
    (tmp_path / "made.csv.gz").write_bytes(gzip.compress(GOOD.encode()))
    pd.DataFrame(
        {"date": pd.date_range("2024-01-01", periods=3, freq="h"), "load": [1.5, 2.5, None]}
    ).to_parquet(tmp_path / "made.parquet")
    for read in (table(GOOD), read_table(tmp_path / "made.csv.gz"), read_table(tmp_path / "made.parquet")):
        np.testing.assert_array_equal(numbers(read, "load"), [1.5, 2.5, np.nan])
        stamps = np.array(["2024-01-01T00", "2024-01-01T01", "2024-01-01T02"], "datetime64[ns]")
        np.testing.assert_array_equal(time_stamps(read, "date"), stamps)


def test_numbers_are_the_floats_nearest_to_the_text(table):
    printed = [repr(value) for value in np.random.default_rng(0).standard_normal(200).tolist()]
    read = numbers(table("x\n" + "\n".join(printed)), "x")
    assert [repr(float(value)) for value in read] == printed


def test_latin_1_is_read_where_utf_8_is_not_possible(table):
    assert list(table("date,T (°C)\n2024-01-01,1\n".encode("latin-1")).frame.columns) == ["date", "T (°C)"]


def test_time_zones_become_utc(table):
    read = table("date\n2024-01-01T02:00:00+02:00\n2024-01-01T01:00:00Z\n")
    stamps = np.array(["2024-01-01T00", "2024-01-01T01"], "datetime64[ns]")
    np.testing.assert_array_equal(time_stamps(read, "date"), stamps)


def test_integers_are_an_index(table):
    read = table("t,x\n10,1\n12,1\n14,1\n")
    assert time_stamps(read, "t").dtype == np.int64
    assert check_regular(read, time_stamps(read, "t")) is None
    read = table("t,x\n10,1\n12,1\n14,1\n18,1\n")
    with pytest.raises(InputError, match="made.csv, line 5: gap in the index: 18"):
        check_regular(read, time_stamps(read, "t"))


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="There is no file .*missing.csv"):
        read_table(tmp_path / "missing.csv")


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "made.csv", "made.csv is empty"),
        ("date,load\n", "made.csv", "made.csv holds no rows"),
        (
            "a,b\n1,2\n1,2,3\n",
            "made.csv",
            "made.csv cannot be read as a table: .*Expected 2 fields in line 3, saw 3",
        ),
        (b"PAR1 but not really", "made.parquet", "made.parquet cannot be read as a table"),
        (b"not gzip", "made.csv.gz", "made.csv.gz cannot be read as a table"),
    ],
)
def test_unreadable_file_is_one_line(text, name, message, table):
    with pytest.raises(InputError, match=message) as caught:
        table(text, name)
    assert "\n" not in str(caught.value)


def test_missing_column_is_told_with_those_that_are_there(table):
    with pytest.raises(InputError, match="made.csv has no column 'price'; it has date, load"):
        require_columns(table(GOOD), ["date", "price"])


def test_too_short_a_table(table):
    with pytest.raises(InputError, match="made.csv is too short: 3 rows, at least 100 are needed"):
        require_rows(table(GOOD), 100)


def test_text_where_a_number_belongs_is_told_with_line_and_column(table):
    with pytest.raises(InputError, match="made.csv, line 3, column 'x': 'n.n.' is not a number"):
        numbers(table("x,y\n1,1\nn.n.,2\n"), "x")


def test_infinite_number_is_refused_and_empty_cell_where_asked(table):
    with pytest.raises(InputError, match="line 2, column 'x': inf is not a finite number"):
        numbers(table("x\ninf\n"), "x")
    with pytest.raises(InputError, match="line 4, column 'load': the cell is empty"):
        numbers(table(GOOD), "load", allow_missing=False)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["2024-01-01", "yesterday"], "line 3, column 'date': 'yesterday' is not a time stamp"),
        (["2024-01-01", "2024-13-01"], "line 3, column 'date': '2024-13-01' is not a time stamp"),
        (["1.5", "2.5"], "the time column 'date' holds"),
    ],
)
def test_bad_time_stamps_are_told_with_their_line(cells, message, table):
    with pytest.raises(InputError, match=message):
        time_stamps(table("date\n" + "\n".join(cells) + "\n"), "date")


@pytest.mark.parametrize(
    ("hours", "message"),
    [
        (
            [0, 1, 2, 5, 6],
            "line 5: gap in time: 2024-01-01T05:00:00 follows 2024-01-01T02:00:00 .*the step is PT1H",
        ),
        ([0, 1, 1, 2, 3], "line 4: repeated time stamp 2024-01-01T01:00:00"),
        ([0, 1, 2, 1, 2], "line 5: time stamp 2024-01-01T01:00:00 after 2024-01-01T02:00:00"),
    ],
)
def test_irregular_time_is_told_with_line_and_stamp(hours, message, table):
    read = table("date\n" + "\n".join(f"2024-01-01T{hour:02d}:00" for hour in hours) + "\n")
    with pytest.raises(InputError, match=message):
        check_regular(read, time_stamps(read, "date"))


def test_another_step_than_declared_is_refused(table):
    read = table(GOOD)
    assert check_regular(read, time_stamps(read, "date"), "PT1H") == "PT1H"
    with pytest.raises(InputError, match="the step is PT15M"):
        check_regular(read, time_stamps(read, "date"), "PT15M")
