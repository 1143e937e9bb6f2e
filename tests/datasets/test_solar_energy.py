"""Solar: 137 plants in both forms, and the borders of LTSF papers and of TFB."""

import numpy as np
import pytest

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.series import read_series

START = np.datetime64("2006-01-01", "ns")


@pytest.mark.parametrize("file", ["solar_AL.txt.gz", "solar_AL.txt", "solar_AL.csv"])
def test_either_form_gives_the_same_store(panel_store, matrix, file):
    values = matrix(30, 137)
    stamps = START + np.arange(30) * np.timedelta64(10, "m")

    opened = panel_store("solar", values, file, stamps if file.endswith(".csv") else None)

    np.testing.assert_array_equal(opened["power"], values)
    np.testing.assert_array_equal(opened["time"], stamps)
    assert list(opened["channel"].values) == [f"plant_{number}" for number in range(137)]
    assert (opened["power"].attrs["units"], opened["time"].attrs["step"]) == ("MW", "PT10M")
    table = read_series("solar")
    np.testing.assert_array_equal(table.values, values)
    assert (table.variables[-1], table.units[-1], table.step) == ("plant_136", "MW", "PT10M")


def test_a_file_with_another_number_of_columns_is_refused(panel_store, matrix):
    with pytest.raises(InputError, match="^solar_AL.txt has 136 columns, not 137$"):
        panel_store("solar", matrix(5, 136), "solar_AL.txt")
    with pytest.raises(InputError, match="^solar_AL.csv has 137 columns, not 138: date, 137 variables"):
        panel_store("solar", matrix(5, 136), "solar_AL.csv", START + np.arange(5) * np.timedelta64(10, "m"))


def test_time_stamps_of_another_step_are_refused(panel_store, matrix):
    stamps = START + np.arange(5) * np.timedelta64(1, "D")
    with pytest.raises(InputError, match="the step is PT10M"):
        panel_store("solar", matrix(5, 137), "solar_AL.csv", stamps)


def test_a_file_that_is_not_the_published_one_is_refused(panel_store, matrix):
    for file in ["solar_AL.txt.gz", "solar_AL.txt", "solar_AL.csv"]:
        with pytest.raises(InputError, match=r"is not solar_AL.txt.gz as published: its sha256 is"):
            panel_store("solar", matrix(5, 137), file, allow_other_checksum=False)


@pytest.mark.parametrize(("horizon", "windows"), [(96, 10417), (192, 10321), (336, 10177), (720, 9793)])
def test_tasks_have_the_borders_of_the_protocol(horizon, windows):  # ltsf_protocol: 70/10/20 %
    task = registry.task(f"solar-{horizon}")
    train, validation, test = task.split.borders(52560)

    assert (train, validation, test) == (int(0.7 * 52560), 52560 - int(0.2 * 52560), 52560)
    assert test - validation - horizon + 1 == windows
    assert (task.horizon, task.period, task.primary, task.targets) == (horizon, 144, "mse", "all")


@pytest.mark.parametrize("horizon", [96, 192, 336, 720])
def test_the_second_family_is_divided_as_in_tfb(horizon):
    """TFB (arXiv 2403.20150): 80 % for training and validation, of these three quarters for training."""
    task = registry.task(f"solar-tfb-{horizon}")

    assert task.split.borders(52560) == (int(0.75 * 0.8 * 52560), int(0.8 * 52560), 52560)
    assert task.hash != registry.task(f"solar-{horizon}").hash


def test_settings_of_published_tables_are_not_those_of_another_division():
    for name in ("itransformer", "timemixer", "dlinear"):
        card = registry.models()[name]
        assert card.settings_for("solar-96").tuning == "published"
        assert card.settings_for("solar-tfb-96").tuning == "default"
