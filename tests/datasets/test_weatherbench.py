"""Folders in the format of WeatherBench 2: read, written, and refused with one line."""

import json

import numpy as np
import pytest
import xarray as xr

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.prepare import prepare
from tsbench.data.store import open_store
from tsbench.data.task_data import TaskData
from tsbench.datasets.weatherbench.files import find_root, read_weather, write_weather

LATITUDE, LONGITUDE = np.linspace(-75, 75, 6), np.arange(8) * 45.0


def weather(days: int = 3, hours: int = 12, levels: tuple[int, ...] = (500, 850)) -> xr.Dataset:
    """Geopotential and winds at some levels, temperature near the ground, and the land."""
    random = np.random.default_rng(0)
    steps = days * 24 // hours
    shape = (steps, len(levels), 6, 8)
    dims = ("time", "level", "latitude", "longitude")
    names = ("geopotential", "u_component_of_wind", "v_component_of_wind")
    arrays = {
        name: (dims, random.standard_normal(shape).astype(np.float32), {"units": "1"}) for name in names
    }
    near = random.standard_normal((steps, 6, 8)).astype(np.float32)
    arrays["2m_temperature"] = (("time", *dims[2:]), near, {"units": "K"})
    arrays["land_sea_mask"] = (dims[2:], (random.random((6, 8)) > 0.5).astype(np.float32), {"units": "1"})
    time = np.datetime64("2018-01-01", "ns") + np.arange(steps) * np.timedelta64(hours, "h")
    coords = {"time": time, "level": list(levels), "latitude": LATITUDE, "longitude": LONGITUDE}
    return xr.Dataset(arrays, coords)


def files(folder) -> dict:
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


def test_what_is_written_is_read_again(tmp_path):
    write_weather(weather(), tmp_path / "w.zarr")

    assert xr.open_zarr(tmp_path / "w.zarr")["geopotential"].dims == (
        "time",
        "level",
        "latitude",
        "longitude",
    )
    xr.testing.assert_allclose(read_weather(tmp_path / "w.zarr", "w"), weather())
    assert find_root(files(tmp_path), "w") == tmp_path / "w.zarr"


def test_descending_latitudes_are_turned_round_with_a_line(tmp_path, capsys):
    weather().isel(latitude=slice(None, None, -1)).to_zarr(tmp_path / "w.zarr", zarr_format=2)

    found = read_weather(tmp_path / "w.zarr", "'mine'")

    xr.testing.assert_allclose(found, weather())
    assert capsys.readouterr().err == "'mine': latitudes descend (75 to -75) and were turned round\n"


def test_short_names_and_another_order_are_understood(tmp_path):
    other = weather().rename(latitude="lat", longitude="lon").transpose("time", "level", "lon", "lat")
    other.to_zarr(tmp_path / "w.zarr", zarr_format=3)

    found = read_weather(tmp_path / "w.zarr", "w")

    np.testing.assert_array_equal(
        found["geopotential"].transpose("time", "level", "latitude", "longitude"), weather()["geopotential"]
    )


def test_a_folder_becomes_a_data_set_with_a_task_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))
    given = weather(days=3 * 365)
    given["2m_temperature"][0, 0, 0] = np.nan
    write_weather(given, tmp_path / "w.zarr")

    path = prepare("weatherbench/mine", tmp_path / "w.zarr")

    opened, task = open_store(path), registry.task("weatherbench/mine")
    np.testing.assert_array_equal(opened["geopotential"].values, given["geopotential"].values)
    assert task.split.train == (2018, 2018)
    assert (task.horizon, task.period) == (20, 2)
    assert "2m_temperature" not in task.variables
    data = TaskData.open(task)
    assert data.targets[:2] == ("geopotential@500", "geopotential@850")
    assert data.shape(2).static == ("land_sea_mask", "sin_latitude")
    origins = data.windows("test", 2).origins.numpy()
    assert str(opened["time"].values[origins[0] + 1])[:10] == "2020-01-01"
    with pytest.raises(
        InputError, match="no variable 'temperature@850'; it has 2m_temperature, geopotential@500"
    ):
        TaskData.open(task.model_copy(update={"variables": ("temperature@850",)}))


def test_fewer_than_three_years_make_no_task(tmp_path, monkeypatch):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))
    write_weather(weather(), tmp_path / "w.zarr")
    prepare("weatherbench/short", tmp_path / "w.zarr")

    with pytest.raises(InputError, match=r"holds the years \[2018\]; a task needs three"):
        registry.task("weatherbench/short")


def test_forecasts_and_other_shapes_are_refused(tmp_path):
    forecast = weather().expand_dims(prediction_timedelta=[np.timedelta64(6, "h").astype("timedelta64[ns]")])
    write_weather(forecast, tmp_path / "forecast.zarr")
    with pytest.raises(InputError, match="holds forecasts"):
        read_weather(tmp_path / "forecast.zarr", "w")
    weather().drop_dims("latitude").assign(x=("time", np.ones(6))).to_zarr(
        tmp_path / "line.zarr", zarr_format=2
    )
    with pytest.raises(InputError, match="no dimension 'latitude' with values; it has time"):
        read_weather(tmp_path / "line.zarr", "w")
    weather()[["land_sea_mask"]].assign_coords(time=[0]).to_zarr(tmp_path / "still.zarr", zarr_format=2)
    with pytest.raises(InputError, match="holds no field of numbers over time"):
        read_weather(tmp_path / "still.zarr", "w")
    with pytest.raises(InputError, match="one Zarr folder; there is none"):
        find_root({"a.txt": tmp_path / "a.txt"}, "w")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no Zarr folder that can be read"):
        read_weather(tmp_path / "empty", "w")


def test_what_the_writer_cannot_say_is_refused(tmp_path):
    write_weather(weather(), tmp_path / "w.zarr")
    with pytest.raises(InputError, match="is there already"):
        write_weather(weather(), tmp_path / "w.zarr")
    with pytest.raises(InputError, match="no dimension 'member'; choose one of it"):
        write_weather(weather().expand_dims(member=2), tmp_path / "m.zarr")
    with pytest.raises(InputError, match="There is no dimension 'longitude'"):
        write_weather(weather().isel(longitude=0), tmp_path / "l.zarr")


@pytest.mark.parametrize("codec", ["pickle", "made_up"])
def test_codecs_that_are_no_plain_decoders_are_refused(tmp_path, codec):
    write_weather(weather(), tmp_path / "w.zarr")
    (tmp_path / "w.zarr" / ".zmetadata").unlink()
    path = tmp_path / "w.zarr" / "geopotential" / ".zarray"
    changed = json.loads(path.read_text()) | {"filters": [{"id": codec}]}
    path.write_text(json.dumps(changed))

    with pytest.raises(InputError, match=f"uses the codec '{codec}'"):
        read_weather(tmp_path / "w.zarr", "w")


def test_a_damaged_chunk_is_one_line(tmp_path):
    write_weather(weather(), tmp_path / "w.zarr")
    chunk = next(path for path in (tmp_path / "w.zarr" / "geopotential").iterdir() if path.name[0] != ".")
    chunk.write_bytes(b"nonsense")

    with pytest.raises(InputError, match="'w' is damaged"):
        read_weather(tmp_path / "w.zarr", "'w'")
