"""Influenza-like illness: seven columns by name, one row a week, and the borders of published tables."""

import gzip

import numpy as np
import pandas as pd
import pytest

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.prepare import prepare
from tsbench.data.series import read_series
from tsbench.data.store import open_store

NAMES = ["% WEIGHTED ILI", "%UNWEIGHTED ILI", "AGE 0-4", "AGE 5-24", "ILITOTAL", "NUM. OF PROVIDERS", "OT"]


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Prepares the set from a made file, `mistake` changes its table."""
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))

    def make(mistake=None, rows: int = 30, name: str = "national_illness.csv", allowed: bool = True):
        frame = pd.DataFrame({"date": pd.date_range("2002-01-01", periods=rows, freq="7D")})
        frame["date"] = frame["date"].dt.strftime("%Y-%m-%d %H:%M:%S")
        frame[NAMES] = np.arange(rows * 7.0).reshape(rows, 7)
        text = (frame if mistake is None else mistake(frame)).to_csv(index=False).encode()
        (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        return open_store(prepare("illness", tmp_path / name, fresh=True, allow_other_checksum=allowed))

    return make


@pytest.mark.parametrize("name", ["national_illness.csv", "national_illness.csv.gz", "ILI.csv"])
def test_columns_have_the_names_and_units_of_the_store(made, name):
    opened = made(name=name)

    assert list(opened.data_vars) == [
        "weighted_ili",
        "unweighted_ili",
        "age_0_4",
        "age_5_24",
        "ili_total",
        "providers",
        "patients",
    ]
    assert [variable.attrs["units"] for variable in opened.data_vars.values()] == ["percent"] * 2 + ["1"] * 5
    np.testing.assert_array_equal(opened["patients"], np.arange(30) * 7.0 + 6)
    assert (opened["time"].values[-1], opened["time"].attrs["step"]) == (np.datetime64("2002-07-23"), "P1W")
    assert read_series("illness").values.shape == (30, 7)


def test_columns_are_found_in_any_order(made):
    shuffled = made(lambda frame: frame[["OT", *NAMES[:-1], "date"]])

    np.testing.assert_array_equal(shuffled["patients"], np.arange(30) * 7.0 + 6)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda frame: frame.drop(columns="OT"), "national_illness.csv has no column 'OT'; it has date, "),
        (lambda frame: frame.drop(columns="date"), "national_illness.csv has no column 'date'"),
        (lambda frame: frame.drop(index=9), "line 11: gap in time: 2002-03-12T00:00:00 follows 2002-02-26"),
        (lambda frame: pd.concat([frame[:4], frame[3:]]), "line 6: repeated time stamp 2002-01-22T00:00:00"),
        (lambda frame: frame[::-1], "line 3: time stamp 2002-07-16T00:00:00 after 2002-07-23T00:00:00"),
        (lambda frame: frame.assign(OT=["X", *frame.OT[1:]]), "line 2, column 'OT': 'X' is not a number"),
        (lambda frame: frame.assign(OT=[None, *frame.OT[1:]]), "line 2, column 'OT': the cell is empty"),
        (lambda frame: frame[:0], "national_illness.csv holds no rows"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(made, mistake, message):
    with pytest.raises(InputError) as caught:
        made(mistake)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_the_published_one_is_refused(made):
    with pytest.raises(InputError, match=r"is not national_illness.csv as published: its sha256 is"):
        made(allowed=False)


@pytest.mark.parametrize(("horizon", "windows"), [(24, 170), (36, 158), (48, 146), (60, 134)])
def test_tasks_have_the_borders_of_the_protocol(horizon, windows):  # ltsf_protocol: 70/10/20 %
    task = registry.task(f"illness-{horizon}")
    train, validation, test = task.split.borders(966)

    assert (train, validation, test) == (676, 773, 966)
    assert test - validation - horizon + 1 == windows
    assert (task.horizon, task.period, task.primary, task.targets) == (horizon, 52, "mse", "all")
    # The longest look-back that is allowed still leaves windows to fit on.
    assert train - task.max_context - horizon > 0
