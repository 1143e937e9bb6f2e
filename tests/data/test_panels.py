"""Panels: both published forms give the same data, and every mistake in them is one line with its place."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tsbench.contracts import InputError, TimeAxis, Variant
from tsbench.data.adapter import BuildRequest
from tsbench.data.panels import Panel, read_panel
from tsbench.data.tables import Column

PANEL = Panel(Column("load", "kW", "load of a client"), "client", np.datetime64("2016-07-01T02", "ns"))
HEADER = "date,0,1,OT\n"
BARE = "1,2,3\n4,5,6.5\n"
HEADED = HEADER + "2016-07-01 02:00:00,1,2,3\n2016-07-01 03:00:00,4,5,6.5\n"


def read(path, step: str = "PT1H", variables: int = 3):
    variant = Variant(title="made", time=TimeAxis(step=step), variables=variables)
    return read_panel(BuildRequest("made", variant, {"made": path}), PANEL)


@pytest.fixture
def written(tmp_path):
    """Reads a panel of three hourly variables from a file of that text."""

    def make(text: str, name: str = "made.csv"):
        path = tmp_path / name
        content = text.encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return read(path)

    return make


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("made.csv", HEADED),
        ("made.csv.gz", HEADED),
        ("made.csv", "\ufeff" + HEADED),
        ("made.csv", HEADED.replace("\n", "\r\n")),
        ("made.txt", BARE),
        ("made.txt.gz", BARE),
    ],
)
def test_every_form_gives_the_same_data(written, name, text):
    panel = written(text, name)

    assert panel["load"].dims == ("time", "channel")
    np.testing.assert_array_equal(panel["load"], [[1, 2, 3], [4, 5, 6.5]])
    assert list(panel["channel"].values) == ["client_0", "client_1", "client_2"]
    stamps = np.array(["2016-07-01T02", "2016-07-01T03"], "datetime64[ns]")
    np.testing.assert_array_equal(panel["time"], stamps)
    assert panel["load"].attrs == {"units": "kW", "long_name": "load of a client"}
    assert panel["time"].attrs["step"] == "PT1H"


def test_time_stamps_of_a_file_that_has_some_are_kept(written):
    panel = written(HEADED.replace("2016-07-01", "2012-01-01"))

    assert panel["time"].values[0] == np.datetime64("2012-01-01T02")


@settings(max_examples=25, deadline=None)
@given(
    values=arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 9), st.integers(2, 5)),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    ),
    step=st.sampled_from([("PT10M", 10), ("PT1H", 60), ("P1W", 7 * 24 * 60)]),
)
def test_both_forms_of_any_matrix_are_read_as_it_is(values, step, tmp_path_factory):
    folder = tmp_path_factory.mktemp("panels")
    rows, count = values.shape
    time = PANEL.start + np.arange(rows) * np.timedelta64(step[1], "m")
    lines = [",".join(map(repr, row)) for row in values.tolist()]
    (folder / "bare.txt").write_text("\n".join(lines) + "\n")
    header = ",".join(["date", *map(str, range(count - 1)), "OT"])
    dated = [f"{stamp},{line}" for stamp, line in zip(time.astype("datetime64[s]"), lines, strict=True)]
    (folder / "headed.csv").write_text("\n".join([header, *dated]) + "\n")

    bare, headed = (read(folder / name, step[0], count) for name in ("bare.txt", "headed.csv"))

    np.testing.assert_array_equal(bare["load"], values)
    assert headed.identical(bare)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "made.csv is empty"),
        (HEADER, "made.csv holds no rows"),
        # The number of columns.
        ("1,2\n", "made.csv has 2 columns, not 3"),
        ("1,2,3,4\n", "made.csv has 4 columns, not 3"),
        (
            "date,0,OT\n2016-07-01 02:00:00,1,2\n",
            "made.csv has 3 columns, not 4: date, 3 variables, the last of them OT",
        ),
        # The target is missing, or another column is called so.
        (HEADED.replace("OT", "2"), "made.csv, column 4: '2'; the published file has 'OT' there"),
        (
            HEADED.replace("date,0,1,OT", "date,OT,0,1"),
            "made.csv, column 2: 'OT'; the published file has '0' there",
        ),
        # Rows.
        (BARE + "7,8\n", "made.csv, line 3, column 'client_2': the cell is empty"),
        (HEADED + "2016-07-01 04:00:00,7,8\n", "made.csv, line 4, column 'OT': the cell is empty"),
        (
            HEADED + "2016-07-01 05:00:00,7,8,9\n",
            "made.csv, line 4: gap in time: 2016-07-01T05:00:00 follows 2016-07-01T03:00:00 (irregular rows: 1; "
            "the step is PT1H)",
        ),
        (
            HEADED + "2016-07-01 03:00:00,7,8,9\n",
            "made.csv, line 4: repeated time stamp 2016-07-01T03:00:00 (irregular rows: 1; the step is PT1H)",
        ),
        # Cells.
        (BARE.replace("5", "five", 1), "made.csv, line 2, column 'client_1': 'five' is not a number"),
        (HEADED.replace(",5,", ",five,"), "made.csv, line 3, column '1': 'five' is not a number"),
        (BARE.replace("2", "", 1), "made.csv, line 1, column 'client_1': the cell is empty"),
        (BARE.replace("2", "inf", 1), "made.csv, line 1, column 'client_1': inf is not a finite number"),
        (HEADED.replace(",6.5", ",nan"), "made.csv, line 3, column 'OT': the cell is empty"),
        # Time stamps.
        (
            HEADED.replace("2016-07-01 03:00:00", "later"),
            "made.csv, line 3, column 'date': 'later' is not a time stamp",
        ),
        (HEADER + "1,1,2,3\n", "made.csv: column 'date' holds numbers, not time stamps"),
        # Neither of the forms.
        ("time" + HEADED[4:], "made.csv has 4 columns, not 3"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(written, text, message):
    with pytest.raises(InputError) as caught:
        written(text)

    assert str(caught.value) == message


def test_a_row_with_a_cell_too_many_is_refused(written):
    for text in (BARE + "7,8,9,10\n", HEADED + "2016-07-01 04:00:00,7,8,9,10\n"):
        with pytest.raises(InputError, match=r"^made.csv cannot be read as a table: .* saw [45]$"):
            written(text)


def test_a_cut_compressed_file_is_refused(tmp_path):
    (tmp_path / "made.txt.gz").write_bytes(gzip.compress(BARE.encode() * 1000)[:-20])

    with pytest.raises(InputError, match=r"^made.txt.gz cannot be read as a table: "):
        read(tmp_path / "made.txt.gz")
