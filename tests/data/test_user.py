"""Files of a user's own: stores and tasks made on the fly."""

import numpy as np
import pandas as pd
import pytest

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.prepare import ensure
from tsbench.data.series import read_series
from tsbench.data.store import read_provenance, store_path
from tsbench.data.task_data import TaskData
from tsbench.data.user import prepare_file, slug, user_task
from tsbench.jobs import job


@pytest.fixture
def hourly(tmp_path):
    """Writes an hourly file of 400 rows with the columns `load` and `price`."""

    def write(name: str = "My Load.csv", frequency: str = "h", factor: float = 1.0):
        path = tmp_path / name
        time = pd.date_range("2024-01-01", periods=400, freq=frequency)
        pd.DataFrame({"date": time, "load": factor * np.arange(400.0), "price": 1.0}).to_csv(
            path, index=False
        )
        return path

    return write


def test_task_on_a_file_takes_step_and_season_from_the_data(hourly):
    task = user_task(hourly(), 24, targets=["load"])
    assert (task.name, task.dataset, task.period) == ("user-my-load-24", "user-my-load", 24)
    assert (task.targets, task.split.borders(400)) == (("load",), (280, 320, 400))
    table = read_series(task.dataset)
    assert (table.variables, table.step) == (("load", "price"), "PT1H")
    np.testing.assert_array_equal(table.values[:, 0], np.arange(400.0))


@pytest.mark.parametrize(("frequency", "period"), [("10min", 144), ("D", 7), ("MS", 12), ("37s", 1)])
def test_season_follows_the_step(frequency, period, hourly):
    assert user_task(hourly(frequency=frequency), 12).period == period
    assert user_task(hourly(frequency=frequency), 12, period=5).period == 5


def test_every_scenario_of_a_user_task_is_on_the_file_itself(hourly):
    task = user_task(hourly(), 24)
    assert {scenario.dataset for scenario in task.scenarios()} == {"user-my-load"}
    assert len(task.scenarios()) == 5


def test_unchanged_file_is_not_prepared_again_and_a_changed_one_is(hourly):
    name = prepare_file(hourly("again.csv"))
    first = (store_path(name) / "zarr.json").stat().st_mtime_ns
    assert prepare_file(hourly("again.csv")) == name
    assert (store_path(name) / "zarr.json").stat().st_mtime_ns == first
    before = read_provenance(ensure(name)).recipe
    prepare_file(hourly("again.csv", factor=2.0))
    assert read_provenance(ensure(name)).recipe != before


def test_long_file_allows_a_context_as_long_as_its_training_part(tmp_path):
    time = pd.date_range("2020-01-01", periods=6000, freq="h")
    pd.DataFrame({"date": time, "x": np.arange(6000.0)}).to_csv(tmp_path / "long.csv", index=False)
    assert user_task(tmp_path / "long.csv", 24).max_context == 4200


def test_disturbances_are_those_of_the_ett_tasks(hourly):
    ours, theirs = user_task(hourly(), 24).conditions, registry.task("etth1-96").conditions
    assert ours.robustness == theirs.robustness


def test_adapter_of_own_files_counts_in_the_code_of_a_job(hourly, monkeypatch):
    asked = []
    monkeypatch.setattr(job, "code_hash", lambda modules, *others: asked.extend(modules) or "hash")
    assert job.resolve("dlinear", user_task(hourly(), 24), 0, job.Options()).code == "hash"
    assert "tsbench.datasets.csv.adapter" in asked


def test_too_short_a_file_for_context_and_horizon_is_one_line(hourly):
    data = TaskData.open(user_task(hourly(), 24))
    message = "'user-my-load' is too short for user-my-load-24@1: the train part has 280 rows, fewer than context 300"
    with pytest.raises(InputError, match=message):
        data.windows("train", 300)


def test_chosen_columns_only(hourly):
    assert read_series(prepare_file(hourly("part.csv"), columns=["price"])).variables == ("price",)


def test_provenance_holds_no_path(hourly):
    path = hourly("secret.csv")
    text = read_provenance(ensure(prepare_file(path))).model_dump_json()
    assert str(path.parent) not in text


@pytest.mark.parametrize(
    ("name", "expected"),
    [("My Load.csv", "my-load"), ("a.b.csv.gz", "a"), ("Über 24.parquet", "ber-24"), ("___.csv", "file")],
)
def test_names_are_lower_case_words(name, expected, tmp_path):
    assert slug(tmp_path / name) == expected


def test_mistakes_are_one_line_and_leave_no_store(hourly, tmp_path):
    with pytest.raises(InputError, match="There is no file"):
        user_task(tmp_path / "none.csv", 24)
    with pytest.raises(InputError, match="has no variable 'wind'; it has load, price"):
        user_task(hourly(), 24, targets=["wind"])
    with pytest.raises(InputError, match="horizon must be at least 1 step, not 0"):
        user_task(hourly(), 0)
    broken = tmp_path / "broken.csv"
    broken.write_text("date,load\n2024-01-01,1\n2024-01-02,x\n2024-01-03,3\n")
    with pytest.raises(InputError, match="broken.csv, line 3, column 'load': 'x' is not a number"):
        user_task(broken, 24)
    assert not store_path("user-broken").exists()


def test_name_of_a_file_that_was_not_prepared():
    with pytest.raises(InputError, match="Unknown dataset 'user-nothing'"):
        ensure("user-nothing")
