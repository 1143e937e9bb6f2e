"""Sensors of a generated city, and tables of sensors of the user's own."""

import numpy as np
import pandas as pd
import pytest
import torch

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.disturbances import disturb
from tsbench.data.prepare import prepare
from tsbench.data.store import open_store
from tsbench.data.task_data import TaskData
from tsbench.datasets.sensors.flow import City, draw_city, draw_flow
from tsbench.training.source import TaskSource


@pytest.fixture(scope="module")
def city():
    return draw_city(City(6, 6, 800.0), np.random.default_rng(0))


def test_every_trip_goes_somewhere(city):
    assert city.places.shape == (36, 2)
    for shares in (city.to_work, city.to_leisure):
        np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert city.residents.mean() == pytest.approx(1)


def test_trips_fall_with_distance_as_the_gravity_model_says(city):
    """The ratio of two shares of the same place from two origins depends on distances alone."""
    distance = np.linalg.norm(city.places[:, None] - city.places, axis=-1)
    pull = np.log(city.to_work) + distance / 2500.0
    odds = pull - pull[:, :1]

    np.testing.assert_allclose(odds, np.broadcast_to(odds[:1], odds.shape), atol=1e-9)


def test_flows_have_a_day_and_a_week(city):
    flow = draw_flow(city, 24 * 56, np.random.default_rng(0)).reshape(8, 7, 24, 36)
    whole = flow.sum(axis=3)

    assert whole[:, :5, 8].mean() > 4 * whole[:, :5, 3].mean()
    assert whole[:, :5, 8].mean() > 2 * whole[:, 5:, 8].mean()
    assert whole[:, 5:, 14].mean() > 1.2 * whole[:, :5, 14].mean()
    assert np.array_equal(flow, flow.round())
    assert flow.min() >= 0


def test_neighbours_tell_of_each_other(city):
    """What day and week leave over is shared by regions that are near, more than by far ones."""
    flow = draw_flow(city, 24 * 56, np.random.default_rng(0))
    season = flow.reshape(8, 168, 36)
    rest = ((season - season.mean(axis=0)) / (season.mean(axis=0) + 5) ** 0.5).reshape(-1, 36)
    together = np.corrcoef(rest.T)
    distance = np.linalg.norm(city.places[:, None] - city.places, axis=-1)

    near, far = together[(distance > 0) & (distance < 1000)].mean(), together[distance > 3000].mean()
    assert near > far > 0


def test_what_is_planted_is_as_it_is_labelled(tmp_path, monkeypatch):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path))
    store = open_store(prepare("sensors", size="small"))
    values, names, kinds = store["value"].values, list(store["channel"].values), store["kind"].values

    assert [int((kinds == kind).sum()) for kind in ("region", "repeats", "noise")] == [64, 4, 4]
    day = 24
    for column in np.flatnonzero(kinds == "repeats"):
        origin = names.index(names[column].removeprefix("repeats_"))
        assert np.corrcoef(values[:, column], values[:, origin])[0, 1] > 0.99
        assert store["x"][column] == store["x"][origin]
        assert store["y"][column] == store["y"][origin]
    for column in np.flatnonzero(kinds == "noise"):
        assert abs(np.corrcoef(values[day:, column], values[:-day, column])[0, 1]) < 0.15
    busy = int(values[:, :64].mean(axis=0).argmax())
    assert np.corrcoef(values[day:, busy], values[:-day, busy])[0, 1] > 0.5


def test_a_shorter_size_is_the_beginning_of_a_longer_one(tmp_path, monkeypatch):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path))

    tiny, small = (open_store(prepare("sensors", size=size))["value"].values for size in ("tiny", "small"))

    assert len(tiny) == 14 * 24
    assert np.array_equal(tiny, small[: len(tiny)])


def test_sensors_are_off_for_the_whole_look_back_in_the_sparse_task(stores):
    stores("sensors")
    task = registry.task("sensors-sparse-12")
    data = TaskData.open(task)
    (scenario,) = (one for one in task.scenarios() if one.condition == "regular")
    clean = data.test_cases(scenario, 24).using("context", "target").gather(torch.arange(200))

    batch = disturb(clean, scenario, task.id, data.scale)

    observed = batch["observed"]
    assert bool((observed.all(dim=1) | ~observed.any(dim=1)).all())
    assert observed.float().mean() == pytest.approx(0.2, abs=0.02)
    torch.testing.assert_close(batch["context"][observed], clean["context"][observed], atol=1e-5, rtol=0)
    # What was never seen is the training mean, 0 in model space.
    assert batch["context"][~observed].abs().max() < 1e-5
    assert torch.equal(batch["target"], clean["target"])


def test_the_same_sensors_are_hidden_in_every_case_and_these_alone_are_scored(stores):
    stores("sensors")
    hidden, whole = (registry.task(f"sensors-hidden-12{ending}") for ending in ("", "-all"))
    data = TaskData.open(hidden)
    (scenario,) = (one for one in hidden.scenarios() if one.condition == "regular")
    names = data.shape(24).channels
    clean = data.test_cases(scenario, 24).using("context", "target").gather(torch.arange(50))

    batch = disturb(clean, scenario, hidden.id, data.scale)

    observed = {name for name, seen in zip(names, batch["observed"][3, 5].tolist(), strict=True) if seen}
    assert bool((batch["observed"] == batch["observed"][:1, :1]).all())
    assert len(observed) == 15
    assert not observed & set(hidden.targets)
    assert observed | set(hidden.targets) | {name for name in names if name[0] != "r" or "_" in name} == set(
        names
    )
    assert batch["target"].shape[-1] == len(hidden.targets) == 51
    assert hidden.targets == whole.targets
    # What is hidden is the training mean; what is seen is as it was.
    assert batch["context"][~batch["observed"]].abs().max() < 1e-5
    torch.testing.assert_close(
        batch["context"][batch["observed"]], clean["context"][batch["observed"]], atol=1e-5, rtol=0
    )


def test_training_sees_as_few_sensors_as_the_test(stores):
    stores("sensors")
    data = TaskData.open(registry.task("sensors-hidden-12"))
    source = TaskSource(data, 24, seed=0, uses=frozenset({"context", "observed"}))

    batch = source.train.gather(torch.arange(4))

    assert batch["observed"].float().mean() == pytest.approx(15 / 72)
    assert (batch["context"].std(dim=1) > 0).float().mean() <= 15 / 72


def readings(steps: int = 30, sensors: int = 4) -> pd.DataFrame:
    random = np.random.default_rng(0)
    time = pd.date_range("2024-03-01", periods=steps, freq="15min")
    frame = pd.DataFrame(
        [
            {"time": stamp, "sensor": f"s{number}", "x": 10.0 * number, "y": -5.0, "value": random.random()}
            for stamp in time
            for number in range(sensors)
        ]
    )
    return frame.sample(frac=1, random_state=0).reset_index(drop=True)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Prepares a table as sensor_tables/mine and opens the store."""
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))

    def make(frame: pd.DataFrame, file: str = "readings.csv"):
        path = tmp_path / file
        frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
        return open_store(prepare("sensor_tables/mine", path, fresh=True))

    return make


@pytest.mark.parametrize("file", ["readings.csv", "readings.parquet"])
def test_a_table_becomes_a_channel_a_sensor(made, file):
    frame = readings()

    store = made(frame, file)

    wide = frame.pivot(index="time", columns="sensor", values="value")[list(store["channel"].values)]
    np.testing.assert_array_equal(store["value"], wide.to_numpy())
    assert store["time"].attrs["step"] == "PT15M"
    place = {name: 10.0 * int(name[1:]) for name in store["channel"].values}
    assert store["x"].values.tolist() == list(place.values())
    assert set(store["y"].values) == {-5.0}


def test_readings_that_are_not_there_are_missing(made):
    frame = readings()
    lost = (frame["time"] == frame["time"].min() + pd.Timedelta("45min")) | (frame.index == 7)
    gone = frame[frame.index == 7].iloc[0]

    store = made(frame[~lost])

    assert store.sizes["time"] == 30
    assert bool(store["value"][3].isnull().all())
    assert bool(store["value"].sel(channel=gone["sensor"], time=gone["time"]).isnull())


def test_a_prepared_table_has_a_task_and_a_sparse_one(made):
    made(readings(600))

    whole, sparse = (registry.task(f"sensor_tables/mine{ending}") for ending in ("", "-sparse"))

    assert (whole.horizon, whole.period, whole.dataset) == (12, 96, "sensor_tables-mine")
    assert [one.disturbance for one in sparse.scenarios() if one.condition == "regular"] == ["missing_blocks"]
    assert sparse.training_noise.low == 0.8
    for task in (whole, sparse):
        assert len(TaskData.open(task).windows("test", 24)) == 120 - 12 + 1


def moved(frame):
    frame.loc[frame.index[-1], "x"] += 1
    return frame


def between(frame):
    frame.loc[9, "time"] += pd.Timedelta("4min")
    return frame


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.drop(columns="time"), "has no time column; it must be named time, timestamp"),
        (lambda one: one.drop(columns="y"), "has no position: columns x and y, or latitude and longitude"),
        (lambda one: one.drop(columns="value"), "has no column 'value'"),
        (lambda one: one.assign(value="warm"), "line 2, column 'value': 'warm' is not a number"),
        (
            lambda one: one.assign(sensor=[None, *one["sensor"][1:]]),
            "line 2, column 'sensor': the cell is empty",
        ),
        (moved, "sensor 's.' is at x = .*, before at .*; a sensor stays where it is"),
        (between, "line 11: .* is no whole number of steps of PT15M after the first time"),
        (lambda one: pd.concat([one, one[:1]]), "sensor 's.' has a second value then"),
        (lambda one: one[one["time"] == one["time"].min()], "1 different times; at least 3 show a step"),
    ],
)
def test_wrong_tables_are_refused_in_one_line(made, change, message):
    with pytest.raises(InputError, match=message) as error:
        made(change(readings()))

    assert "\n" not in str(error.value)


def test_several_tables_are_not_one(tmp_path):
    for name in ("a.csv", "b.csv"):
        readings().to_csv(tmp_path / name, index=False)

    with pytest.raises(InputError, match="is read from one table; there are 2 files"):
        prepare("sensor_tables/two", tmp_path)
