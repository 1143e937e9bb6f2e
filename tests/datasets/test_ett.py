"""ETT: the published file, and files of the same format."""

import numpy as np
import pandas as pd
import pytest

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.prepare import prepare
from tsbench.data.series import read_series
from tsbench.data.store import open_store

NAMES = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")


def test_published_file_has_the_known_rows_and_moments(stores):
    stores("etth1")
    table = read_series("etth1")
    assert (table.values.shape, table.variables, table.step) == ((17420, 7), NAMES, "PT1H")
    assert (table.stamp(0), table.stamp(17419)) == ("2016-07-01T00:00:00", "2018-06-26T19:00:00")
    # LTSF protocol: mean and population standard deviation of OT over the training rows.
    assert table.values[:8640, 6].mean() == pytest.approx(17.12826, abs=5e-6)
    assert table.values[:8640, 6].std() == pytest.approx(9.17649, abs=5e-6)
    assert not np.isnan(table.values).any()


def test_oil_temperature_has_units(stores):
    assert open_store(stores("etth1"))["OT"].attrs["units"] == "degC"


def made(path, name: str = "ettm1", rows: int = 60, frequency: str = "15min", mistake=None):
    frame = pd.DataFrame({"date": pd.date_range("2016-07-01", periods=rows, freq=frequency)})
    frame[list(NAMES)] = np.arange(rows * 7.0).reshape(rows, 7)
    frame = frame if mistake is None else mistake(frame)
    frame.to_csv(path / "made.csv", index=False)
    return prepare(name, path / "made.csv", fresh=True, allow_other_checksum=True)


@pytest.fixture
def own_stores(monkeypatch, tmp_path):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))


@pytest.mark.parametrize(("name", "frequency"), [("etth2", "h"), ("ettm1", "15min"), ("ettm2", "15min")])
def test_other_files_of_the_format_are_read_at_any_length(name, frequency, tmp_path, own_stores):
    opened = open_store(made(tmp_path, name, 77, frequency))
    assert opened.sizes["time"] == 77
    np.testing.assert_array_equal(opened["OT"].values, np.arange(77) * 7.0 + 6)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda frame: frame.drop(columns="LULL"), "made.csv has no column 'LULL'"),
        (lambda frame: frame.drop(index=9), "line 11: gap in time: 2016-07-01T02:30:00 follows"),
        (lambda frame: frame.assign(OT=["x", *frame.OT[1:]]), "line 2, column 'OT': 'x' is not a number"),
        (lambda frame: frame.assign(OT=[None, *frame.OT[1:]]), "line 2, column 'OT': the cell is empty"),
    ],
)
def test_mistake_in_a_file_is_one_line(mistake, message, tmp_path, own_stores):
    with pytest.raises(InputError, match=message):
        made(tmp_path, mistake=mistake)


def test_hourly_file_is_not_taken_for_one_of_15_minutes(tmp_path, own_stores):
    with pytest.raises(InputError, match="the step is PT15M"):
        made(tmp_path, "ettm1", 60, "h")


@pytest.mark.parametrize(("name", "scale", "period"), [("etth1", 1, 24), ("etth2", 1, 24), ("ettm1", 4, 96)])
def test_tasks_have_the_borders_of_the_protocol(name, scale, period):
    for horizon in (96, 192, 336, 720):
        task = registry.task(f"{name}-{horizon}")
        assert task.split.borders(17420 * scale) == (8640 * scale, 11520 * scale, 14400 * scale)
        assert (task.horizon, task.period, task.primary) == (horizon, period, "mse")


@pytest.mark.parametrize("horizon", [168, 336, 720, 1440])
def test_univariate_tasks_have_the_split_of_tpgn(horizon):
    task = registry.task(f"etth1-univariate-{horizon}")
    assert task.variables == ("OT",)
    # TPGN: n_train = int(0.6 n), n_test = int(0.2 n); 3317 test windows at horizon 168 and look-back 168.
    train, validation, test = task.split.borders(17420)
    assert (train, validation, test) == (10452, 13936, 17420)
    if horizon == 168:
        assert test - validation - horizon + 1 == 3317


def test_each_transformer_is_the_unseen_place_of_the_other():
    for one, other in (("etth1", "etth2"), ("etth2", "etth1"), ("ettm1", "ettm2"), ("ettm2", "ettm1")):
        scenarios = registry.task(f"{one}-96").scenarios()
        assert [scenario.dataset for scenario in scenarios if scenario.condition == "generalisation"] == [
            other
        ]
