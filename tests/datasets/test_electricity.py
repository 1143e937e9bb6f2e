"""Electricity: 321 clients in both published forms, and the borders of published tables."""

import numpy as np
import pytest

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.series import read_series

START = np.datetime64("2016-07-01T02", "ns")


@pytest.mark.parametrize("file", ["electricity.csv", "electricity.txt", "electricity.txt.gz"])
def test_either_form_gives_the_same_store(panel_store, matrix, file):
    values = matrix(30, 321)
    stamps = START + np.arange(30) * np.timedelta64(1, "h")

    opened = panel_store("electricity", values, file, stamps if file.endswith(".csv") else None)

    np.testing.assert_array_equal(opened["consumption"], values)
    np.testing.assert_array_equal(opened["time"], stamps)
    assert list(opened["channel"].values) == [f"client_{number}" for number in range(321)]
    assert (opened["consumption"].attrs["units"], opened["time"].attrs["step"]) == ("kW h", "PT1H")
    table = read_series("electricity")
    np.testing.assert_array_equal(table.values, values)
    assert (table.variables[-1], table.units[-1], table.step) == ("client_320", "kW h", "PT1H")


def test_a_file_with_another_number_of_columns_is_refused(panel_store, matrix):
    with pytest.raises(InputError, match="^electricity.txt has 320 columns, not 321$"):
        panel_store("electricity", matrix(5, 320), "electricity.txt")
    with pytest.raises(InputError, match="^electricity.csv has 321 columns, not 322: date, 321 variables"):
        panel_store(
            "electricity", matrix(5, 320), "electricity.csv", START + np.arange(5) * np.timedelta64(1, "h")
        )


def test_time_stamps_of_another_step_are_refused(panel_store, matrix):
    stamps = START + np.arange(5) * np.timedelta64(1, "D")
    with pytest.raises(InputError, match="the step is PT1H"):
        panel_store("electricity", matrix(5, 321), "electricity.csv", stamps)


def test_a_file_that_is_not_the_published_one_is_refused(panel_store, matrix):
    for file in ["electricity.csv", "electricity.txt", "electricity.txt.gz"]:
        with pytest.raises(InputError, match=r"is not electricity.csv as published: its sha256 is"):
            panel_store("electricity", matrix(5, 321), file, allow_other_checksum=False)


@pytest.mark.parametrize(("horizon", "windows"), [(96, 5165), (192, 5069), (336, 4925), (720, 4541)])
def test_tasks_have_the_borders_of_the_protocol(horizon, windows):  # ltsf_protocol: 70/10/20 %
    task = registry.task(f"electricity-{horizon}")
    train, validation, test = task.split.borders(26304)

    assert (train, validation, test) == (int(0.7 * 26304), 26304 - int(0.2 * 26304), 26304)
    assert test - validation - horizon + 1 == windows
    assert (task.horizon, task.period, task.primary, task.targets) == (horizon, 24, "mse", "all")
