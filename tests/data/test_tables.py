"""Tables: what is read, and one clear line for each mistake."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tsbench.contracts import InputError
from tsbench.data.steps import step_seconds
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


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("date,a\n1,2\n", ["date", "a"]),
        (" date ,a\n1,2\n", ["date", "a"]),
        ("0,1\n1,2\n", ["x", "y"]),
        ("dates,1\n1,2\n", ["x", "y"]),
    ],
)
def test_a_header_that_a_file_may_have_is_known_by_its_first_name(tmp_path, text, names):
    for name, content in (("made.csv", text.encode()), ("made.csv.gz", gzip.compress(text.encode()))):
        (tmp_path / name).write_bytes(content)
        read = read_table(tmp_path / name, ("x", "y"), header_start="date")

        assert list(read.frame.columns) == names
        assert len(read.frame) == 1 + (names == ["x", "y"])


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


def test_order_of_day_and_month_is_the_one_that_fits_every_cell(table):
    stamps = np.array(["2024-01-11", "2024-01-12", "2024-01-13"], "datetime64[ns]")
    for cells in ("11/01/2024\n12/01/2024\n13/01/2024", "01/11/2024\n01/12/2024\n01/13/2024"):
        np.testing.assert_array_equal(time_stamps(table(f"date\n{cells}\n"), "date"), stamps)


def test_order_of_day_and_month_is_not_guessed(table):
    read = table("date\n01/01/2024\n02/01/2024\n03/01/2024\n")
    with pytest.raises(
        InputError, match="line 3, column 'date': '02/01/2024' may be 2024-02-01 or 2024-01-02"
    ):
        time_stamps(read, "date")


@pytest.mark.parametrize("name", ["made.csv", "made.csv.gz"])
def test_blank_lines_are_skipped_and_counted(name, table):
    text = b"\nx\n1\n\n\n2\nthree\n"
    with pytest.raises(InputError, match="line 7, column 'x': 'three' is not a number"):
        numbers(table(gzip.compress(text) if name.endswith("gz") else text, name), "x")


def test_rows_that_are_taken_keep_their_place_in_the_file(table):
    part = table("x\n1\nb\n2\nd\n").take(np.array([2, 3]), "part")
    with pytest.raises(InputError, match="part, line 5, column 'x': 'd' is not a number"):
        numbers(part, "x")


def test_time_stamps_are_not_taken_for_numbers(tmp_path):
    pd.DataFrame({"x": pd.date_range("2024-01-01", periods=3)}).to_parquet(tmp_path / "made.parquet")
    with pytest.raises(InputError, match="made.parquet, column 'x' holds time stamps where numbers belong"):
        numbers(read_table(tmp_path / "made.parquet"), "x")


@settings(max_examples=30, deadline=None)
@given(
    values=arrays.arrays(
        np.float64, st.tuples(st.integers(3, 12), st.integers(1, 4)), elements=st.floats(allow_infinity=False)
    ),
    names=st.lists(
        st.text("abcxyzäπ_% 019", min_size=1, max_size=6), min_size=4, max_size=4, unique_by=str.strip
    ),
    start=st.datetimes(pd.Timestamp("1900-01-01"), pd.Timestamp("2100-01-01")),
    step=st.integers(1, 10**6),
    ending=st.sampled_from(["csv", "csv.gz", "parquet"]),
)
def test_any_valid_table_is_read_as_it_was_written(values, names, start, step, ending, tmp_path_factory):
    start = np.datetime64(start.replace(microsecond=0), "ns")
    time = start + np.arange(len(values)) * np.timedelta64(step, "s")
    columns = [f"v{name.strip()}" for name in names][: values.shape[1]]
    frame = pd.DataFrame({"date": time} | dict(zip(columns, values.T, strict=False)))
    path = tmp_path_factory.mktemp("tables") / f"made.{ending}"
    frame.to_parquet(path) if ending == "parquet" else frame.to_csv(path, index=False)
    read = read_table(path)
    np.testing.assert_array_equal(time_stamps(read, "date"), time)
    for column in columns:
        np.testing.assert_array_equal(numbers(read, column), frame[column])
    assert step_seconds(check_regular(read, time)) == step or len(time) < 3


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
