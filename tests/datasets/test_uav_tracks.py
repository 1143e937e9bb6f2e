"""Tracks of drones: files as published, simulated flights, parts by flight."""

import numpy as np
import pytest

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.prepare import prepare
from tsbench.data.store import open_store
from tsbench.data.task_data import TaskData
from tsbench.datasets.uav_tracks.simulation import curve_reference, fly, simulate, waypoint_reference


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Prepares a variant from files: name → text, or positions (time, 3) with a stamp every 0.1 s."""
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))

    def make(variant: str, files: dict):
        for name, content in files.items():
            path = tmp_path / "tracks" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else text(content))
        return open_store(prepare(variant, tmp_path / "tracks", fresh=True))

    return make


def text(positions: np.ndarray, start: float = 0.0) -> str:
    rows = [
        f"{start + 0.1 * row:.2f}, " + ", ".join(f"{value:.5f}" for value in one)
        for row, one in enumerate(positions)
    ]
    return "\n".join(["timestamp,tx,ty,tz", *rows, ""])


def walk(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, 3)).cumsum(axis=0).round(5)


def test_positions_are_those_of_the_files(made):
    tracks = {f"circle_{number}.txt": walk(40 + number, number) for number in (2, 10, 7)}

    store = made("uav_tracks-random", tracks)

    assert list(store["series"].values) == ["circle_2", "circle_7", "circle_10"]
    assert store["row_size"].values.tolist() == [42, 47, 50]
    expected = np.concatenate([tracks[f"circle_{number}.txt"] for number in (2, 7, 10)])
    assert np.array_equal(store["value"], expected)
    assert store.attrs["step"] == "PT0.1S"
    assert store["value"].attrs["units"] == "m"


def test_parts_go_by_the_last_digit_of_a_flight(made):
    store = made("uav_tracks-random", {f"line_{number}.txt": walk(40) for number in range(20)})

    assert store["split"].values.tolist() == 2 * (["train"] * 7 + ["validation"] + ["test"] * 2)
    assert set(store["kind"].values) == {"line"}


def test_attitudes_are_left_out_and_one_of_two_clocks_is_kept(made):
    lines = text(walk(40), start=1540823082.25).splitlines()
    with_attitude = "\n".join(
        [f"{lines[0]},qx,qy,qz,qw", *(f"{line},0.0,0.0,0.0,1.0" for line in lines[1:]), ""]
    )

    store = made(
        "uav_tracks-fpv",
        {f"indoor_forward_3_{name}_with_gt.txt": with_attitude for name in ("davis", "snapdragon")},
    )

    assert list(store["series"].values) == ["indoor_forward_3_davis_with_gt"]
    assert store["split"].values.tolist() == ["test"]


def test_a_shorter_step_at_an_end_is_left_out_and_any_other_is_refused(made):
    lines = text(walk(40)).splitlines()
    ends = [
        lines[0],
        lines[1].replace("0.00,", "0.05,", 1),
        *lines[2:-1],
        lines[-1].replace("3.90,", "3.85,", 1),
    ]

    store = made("uav_tracks-random", {"circle_1.txt": "\n".join([*ends, ""])})

    assert store["row_size"].values.tolist() == [38]
    with pytest.raises(InputError, match=r"circle_1.txt, line 12: 0.2 s after the one before; a track has"):
        made("uav_tracks-random", {"circle_1.txt": "\n".join([*lines[:11], *lines[12:], ""])})


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("circle_1.txt", ("tz", "height"), "circle_1.txt has no column 'tz'"),
        ("circle_1.txt", ("0.50,", "0.50,x"), "circle_1.txt, line 7"),
        ("circle_1_x.txt", None, None),
    ],
)
def test_files_that_are_no_tracks_are_refused_by_name(made, name, change, message):
    content = text(walk(40))
    if change is None:
        assert made("uav_tracks-random", {name: content})["series"].values.tolist() == ["circle_1_x"]
        return
    with pytest.raises(InputError, match=message):
        made("uav_tracks-random", {name: content.replace(*change, 1)})


def test_two_files_of_one_flight_are_refused(made):
    with pytest.raises(InputError, match="Two files hold a flight 'circle_1'"):
        made("uav_tracks-random", {"one/circle_1.txt": walk(40), "two/circle_1.txt": walk(40)})


def test_the_published_tracks_are_read_whole(shared_data, tmp_path, monkeypatch):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path))

    random = open_store(prepare("uav_tracks-random", shared_data))
    racing = open_store(prepare("uav_tracks-fpv", shared_data))

    files = sorted((shared_data / "uav_tracks" / "random").glob("*.txt"))
    assert random.sizes["observation"] == sum(len(one.read_text().splitlines()) - 1 for one in files)
    assert random.sizes["series"] == 100
    assert racing.sizes["series"] == 6
    speed = (
        np.linalg.norm(np.diff(racing["value"].values[: int(racing["row_size"][0])], axis=0), axis=1) / 0.1
    )
    assert 3 < speed.mean() < 8  # vector_uav, Published figures: 5.0 m/s


def test_a_longer_list_of_flights_begins_with_a_shorter_one():
    short, long = (simulate(count, np.random.SeedSequence([0, 0])) for count in (4, 8))

    for one, other in zip(short, long, strict=False):
        assert one.name == other.name
        assert np.array_equal(one.positions, other.positions)
    assert not np.array_equal(simulate(1, np.random.SeedSequence([1, 0]))[0].positions, short[0].positions)


@pytest.mark.parametrize("kind", ["circle", "lemniscate", "wave"])
def test_curves_have_the_derivatives_of_their_positions_and_the_speed_of_a_drone(kind):
    for seed in range(5):
        position, velocity, push = curve_reference(kind, np.random.default_rng(seed))

        np.testing.assert_allclose(np.gradient(position, 0.02, axis=0)[1:-1], velocity[1:-1], atol=0.02)
        np.testing.assert_allclose(np.gradient(velocity, 0.02, axis=0)[1:-1], push[1:-1], atol=0.02)
        assert np.linalg.norm(velocity, axis=1).max() <= 8 + 1e-9


def test_waypoints_are_flown_within_the_limits():  # vector_uav: without the scaling 232 m/s
    for seed in range(20):
        position, velocity, push = waypoint_reference(np.random.default_rng(seed))

        np.testing.assert_allclose(np.gradient(position, 0.02, axis=0)[1:-1], velocity[1:-1], atol=0.05)
        assert np.linalg.norm(velocity, axis=1).max() <= 10.01
        assert np.linalg.norm(push, axis=1).max() <= 10.01
        assert len(position) <= 2000


def test_the_drone_stays_near_its_reference_and_is_pushed_by_gusts():
    reference = curve_reference("circle", np.random.default_rng(1))

    track, other = (fly(reference, np.random.default_rng(seed)) for seed in (0, 1))

    error = np.linalg.norm(track - reference[0][::5], axis=1)
    assert error[50:].max() < 0.5
    assert 1e-3 < np.abs(track - other).max() < 0.5


def test_the_tasks_divide_whole_flights_and_count_every_segment(stores):  # vector_uav, must show 3
    stores("uav_tracks")
    data = TaskData.open(registry.task("uav-tracks"))
    sizes, parts = data.collection.sizes, data.collection.parts

    assert [int((parts["split"] == part).sum()) for part in ("train", "validation", "test")] == [210, 30, 60]
    train = sizes[parts["split"] == "train"]
    assert len(data.windows("train", 21)) == int((train - 21 - 10 + 1).sum())
    assert 90_000 < len(data.collection.values) < 150_000
    assert {part: set(parts["kind"][parts["split"] == part]) for part in ("train", "test")} == {
        part: {"circle", "lemniscate", "wave", "waypoints"} for part in ("train", "test")
    }


def test_shifted_flights_are_others_and_elsewhere(stores):
    own, shifted = (open_store(stores(name))["value"].values for name in ("uav_tracks", "uav_tracks-shifted"))

    np.testing.assert_allclose(shifted.mean(axis=0) - own.mean(axis=0), 100, atol=8)
    assert not np.allclose(own[:100], shifted[:100] - 100)
