"""Traffic: 862 sensors in both published forms, and the borders of published tables."""

import numpy as np
import pytest

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.series import read_series

START = np.datetime64("2016-07-01T02", "ns")


@pytest.mark.parametrize("file", ["traffic.csv", "traffic.txt", "traffic.txt.gz"])
def test_either_form_gives_the_same_store(panel_store, matrix, file):
    values = matrix(30, 862)
    stamps = START + np.arange(30) * np.timedelta64(1, "h")

    opened = panel_store("traffic", values, file, stamps if file.endswith(".csv") else None)

    np.testing.assert_array_equal(opened["occupancy"], values)
    np.testing.assert_array_equal(opened["time"], stamps)
    assert list(opened["channel"].values) == [f"sensor_{number}" for number in range(862)]
    assert (opened["occupancy"].attrs["units"], opened["time"].attrs["step"]) == ("1", "PT1H")
    table = read_series("traffic")
    np.testing.assert_array_equal(table.values, values)
    assert (table.variables[-1], table.units[-1], table.step) == ("sensor_861", "1", "PT1H")


def test_a_file_with_another_number_of_columns_is_refused(panel_store, matrix):
    with pytest.raises(InputError, match="^traffic.txt has 861 columns, not 862$"):
        panel_store("traffic", matrix(5, 861), "traffic.txt")
    with pytest.raises(InputError, match="^traffic.csv has 862 columns, not 863: date, 862 variables"):
        panel_store("traffic", matrix(5, 861), "traffic.csv", START + np.arange(5) * np.timedelta64(1, "h"))


def test_time_stamps_of_another_step_are_refused(panel_store, matrix):
    stamps = START + np.arange(5) * np.timedelta64(1, "D")
    with pytest.raises(InputError, match="the step is PT1H"):
        panel_store("traffic", matrix(5, 862), "traffic.csv", stamps)


def test_a_file_that_is_not_the_published_one_is_refused(panel_store, matrix):
    for file in ["traffic.csv", "traffic.txt", "traffic.txt.gz"]:
        with pytest.raises(InputError, match=r"is not traffic.csv as published: its sha256 is"):
            panel_store("traffic", matrix(5, 862), file, allow_other_checksum=False)


@pytest.mark.parametrize(("horizon", "windows"), [(96, 3413), (192, 3317), (336, 3173), (720, 2789)])
def test_tasks_have_the_borders_of_the_protocol(horizon, windows):  # ltsf_protocol: 70/10/20 %
    task = registry.task(f"traffic-{horizon}")
    train, validation, test = task.split.borders(17544)

    assert (train, validation, test) == (int(0.7 * 17544), 17544 - int(0.2 * 17544), 17544)
    assert test - validation - horizon + 1 == windows
    assert (task.horizon, task.period, task.primary, task.targets) == (horizon, 24, "mse", "all")
