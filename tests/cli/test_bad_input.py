"""Wrong input: exit code 2, one clear line, no traceback, nothing half-written (issue 3, "Bad input")."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from tsbench import atomic
from tsbench.contracts import Forecast, Scenario
from tsbench.evaluation.forecast_store import ForecastWriter
from tsbench.jobs.job import Options, resolve

REGULAR = Scenario(key="regular", condition="regular", dataset="user-waves")
RUN = ("run", "last_value", "--horizon", "6", "--context", "24", "--no-track")


def left_behind(folder: Path) -> list[str]:
    """Files below a folder, without the cache of code digests."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".code.json")
    return sorted(str(path.relative_to(folder)) for path in files)


@pytest.fixture
def nothing_written(waves_at_hand, monkeypatch, tmp_path):
    """Folders of the test's own, in which a refused command must leave no file."""
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))
    yield
    assert left_behind(tmp_path / "stores") == []
    assert left_behind(waves_at_hand) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("run", "dlinaer", "etth1-96"),
            "Unknown model 'dlinaer'. Did you mean 'dlinear'? See: tsbench list models",
        ),
        (
            ("run", "dlinear", "etth1-69"),
            "Unknown task 'etth1-69'. Did you mean 'etth1-96'? See: tsbench list tasks",
        ),
        (("fit", "dlinear", "etth1-69"), "Unknown task 'etth1-69'. Did you mean 'etth1-96'?"),
        (("eval", "dlinear", "etth1-69"), "Unknown task 'etth1-69'. Did you mean 'etth1-96'?"),
        (("run", "quik"), "Unknown suite 'quik'. Did you mean 'quick'?"),
        (("run", "dlinear"), "Which task? For example: tsbench run dlinear etth1-96"),
        (("data", "get", "eth1"), "Unknown dataset 'eth1'. Did you mean 'etth1'? See: tsbench list datasets"),
        (("info", "dlinaer"), "Did you mean 'dlinear'?"),
        (("board", "build", "quik"), "Unknown suite 'quik'. Did you mean 'quick'?"),
        (("score", "nothing.zarr", "etth1-69"), "Unknown task 'etth1-69'. Did you mean 'etth1-96'?"),
        (("run", "mine.py:Mine", "waves-12"), "There is no file mine.py"),
        (("run", "dlinear", "waves-12", "--set", "individual"), "--set takes NAME=VALUE, not 'individual'"),
        (("run", "dlinear", "waves-12", "--seed", "1", "--seeds", "2"), "Give --seed or --seeds, not both"),
        (
            ("run", "dlinear", "waves-12", "--data", "x.csv", "--horizon", "2"),
            "Give the task 'waves-12' or --data",
        ),
        (("run", "dlinear", "--data", "x.csv"), "--data needs --horizon STEPS"),
        (
            ("run", "dlinear", "waves-12", "--horizon", "5"),
            "--horizon, --period and --target belong to --data",
        ),
        (("run", "dlinear", "--data", "none.csv", "--horizon", "2"), "There is no file none.csv"),
        (
            ("run", "dlinear", "waves-12", "--scenario", "regulra"),
            "Unknown scenario 'regulra'. Did you mean 'regular'? See: tsbench info waves-12 --scenarios",
        ),
        (
            ("run", "pad", "waves-12"),
            "pad does not apply to waves-12: It works on the response over antennas",
        ),
        (("run", "ar", "csi-rrg-fdd-tiny"), "ar does not apply to csi-rrg-fdd-tiny: A recurrence continues"),
        (
            ("run", "dlinear", "waves-12", "--device", "tpu"),
            "Unknown device 'tpu'; there are auto, cpu, cuda",
        ),
    ],
)
def test_unknown_names_and_contradictions(nothing_written, refused, words, message):
    assert message in refused(*words)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({41: None}, ["mine.csv", "line 43", "gap"]),
        ({41: "2024-01-02 16:00:00,1,2"}, ["mine.csv", "line 43", "2024-01-02", "repeat"]),
        ({41: "2024-01-02 17:00:00,much,2"}, ["mine.csv", "line 43", "'load'", "'much' is not a number"]),
        ({41: "second of January,1,2"}, ["mine.csv", "line 43", "is not a time stamp"]),
    ],
)
def test_a_file_with_a_gap_a_repeated_stamp_or_text(nothing_written, refused, csv, changes, message):
    line = refused(*RUN, "--data", csv(changes))

    assert [part for part in message if part not in line] == [], line


def test_a_file_without_a_column_that_is_asked_for(waves_at_hand, refused, csv):
    line = refused(*RUN, "--data", csv(), "--target", "wind")

    assert "has no variable 'wind'; it has load, price" in line
    assert left_behind(waves_at_hand) == []


def test_a_published_file_that_lacks_a_column(nothing_written, refused, csv):
    line = refused("data", "get", "etth1", "--from", csv(header="date,HUFL,OT"), "--allow-other-checksum")

    assert "HULL" in line


def test_a_published_file_that_was_changed(nothing_written, refused, csv):
    assert "checksum" in refused("data", "get", "etth1", "--from", csv())


@pytest.mark.parametrize("cell", ["", "NaN"])
def test_missing_values_where_the_task_refuses_them(waves_at_hand, refused, csv, cell):
    line = refused(*RUN, "--data", csv({41: f"2024-01-02 17:00:00,{cell},2"}))

    assert "has 1 missing values, the first in 'load' at 2024-01-02T17:00:00" in line
    assert "refuses missing values (a task with `missing: mask` masks them)" in line
    assert left_behind(waves_at_hand) == []


@pytest.mark.parametrize("rows", [1, 2, 3, 29, 100])
def test_too_short_a_series_for_context_and_horizon(waves_at_hand, refused, csv, rows):
    line = refused(
        "run", "last_value", "--horizon", "24", "--context", "96", "--data", csv(rows=rows), "--no-track"
    )

    assert "too short" in line
    assert left_behind(waves_at_hand) == []


def test_a_store_with_a_flipped_byte(waves_at_hand, waves_folder, refused, monkeypatch, tmp_path):
    shutil.copytree(waves_folder, tmp_path / "stores")
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))
    chunk = max(
        (path for path in (tmp_path / "stores").rglob("c/*") if path.is_file()),
        key=lambda one: one.stat().st_size,
    )
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)

    line = refused("run", "last_value", "waves-12", "--context", "24", "--no-track")

    assert "is damaged" in line
    assert "Prepare it again: tsbench data get" in line
    assert left_behind(waves_at_hand) == []


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((109, 12, 1), "float32", "has the shape [109, 12, 1]; (sample, lead_time, channel) is [109, 12, 2]"),
        ((108, 12, 2), "float32", "has the shape [108, 12, 2]"),
        ((109, 12, 2), "int32", "has the dtype 'int32'; it must be one of ['float16', 'float32', 'float64']"),
    ],
)
def test_a_forecast_of_the_wrong_shape_or_dtype(waves_at_hand, refused, tmp_path, shape, dtype, message):
    group = zarr.open_group(tmp_path / "forecast.zarr", mode="w", zarr_format=3)
    group.create_array("regular", data=np.zeros(shape, dtype))

    assert message in refused("score", tmp_path / "forecast.zarr", "waves-12")
    assert left_behind(waves_at_hand) == []


def test_a_forecast_with_missing_values(waves_at_hand, refused, tmp_path, wave_task):
    with atomic.new_folder(tmp_path / "forecast.zarr") as folder:
        writer = ForecastWriter(folder, wave_task(), "mine")
        writer.create(REGULAR, (109, 12, 2))
        writer.write(REGULAR, torch.arange(108), Forecast(torch.zeros(108, 12, 2)))

    line = refused("score", tmp_path / "forecast.zarr", "waves-12")

    assert "'regular' has values that are missing or not finite" in line
    assert left_behind(waves_at_hand) == []


def read_only(folder: Path) -> Path:
    """A folder in which nobody can write: below a file for root, else without the permission."""
    if os.geteuid() == 0:
        folder.write_text("a file")
        return folder / "below"
    folder.mkdir(mode=0o500)
    return folder


def test_a_folder_of_runs_that_cannot_be_written(waves_at_hand, refused, monkeypatch, tmp_path):
    folder = read_only(tmp_path / "locked")
    monkeypatch.setenv("TSBENCH_RUNS", str(folder))

    assert f"Cannot write in {folder}" in refused("run", "last_value", "waves-12", "--no-track")


def test_a_folder_of_stores_that_cannot_be_written(waves_at_hand, refused, csv, monkeypatch, tmp_path):
    folder = read_only(tmp_path / "locked")
    monkeypatch.setenv("TSBENCH_DATA", str(folder))

    assert "Cannot write in" in refused(*RUN, "--data", csv())
    assert left_behind(waves_at_hand) == []


def test_an_output_folder_that_cannot_be_written(waves_at_hand, refused, tmp_path, wave_task):
    with atomic.new_folder(tmp_path / "forecast.zarr") as folder:
        writer = ForecastWriter(folder, wave_task(), "mine")
        writer.create(REGULAR, (109, 12, 2))
        writer.write(REGULAR, torch.arange(109), Forecast(torch.zeros(109, 12, 2)))
    locked = read_only(tmp_path / "locked")

    assert "Cannot write in" in refused(
        "score", tmp_path / "forecast.zarr", "waves-12", "--out", locked / "result"
    )


@pytest.mark.parametrize("content", [b"", b"\x80\x02garbage", b"PK\x03\x04" + b"\0" * 200])
def test_a_corrupt_checkpoint(waves_at_hand, refused, wave_task, content):
    options = Options(context=48, training={"epochs": 2}, threads=1)
    job = resolve("dlinear", wave_task(), 0, options)
    job.folder.mkdir(parents=True)
    (job.folder / "last.ckpt").write_bytes(content)

    line = refused(
        "run", "dlinear", "waves-12", "--context", "48", "--train", "epochs=2", "--threads", "1", "--no-track"
    )

    assert "last.ckpt is damaged" in line
    assert "start over with --fresh" in line
    assert not list(waves_at_hand.rglob("result.json"))


@pytest.mark.parametrize("name", ["weights.safetensors", "none.safetensors"])
def test_weights_that_are_damaged_or_missing(waves_at_hand, refused, tmp_path, name):
    (tmp_path / "weights.safetensors").write_bytes(b"not weights")

    line = refused("eval", "dlinear", "waves-12", "--weights", tmp_path / name, "--no-track")

    assert name in line
    assert not list(waves_at_hand.rglob("result.json"))


def test_settings_that_no_model_has(waves_at_hand, refused):
    line = refused("run", "dlinear", "waves-12", "--set", "d_model=4", "--no-track")

    assert (
        "dlinear on waves-12: hyperparameters: unknown setting 'd_model'; there are moving_average, individual"
        in line
    )
    line = refused("run", "dlinear", "waves-12", "--train", "epochs=many", "--no-track")
    assert "dlinear on waves-12: training: epochs must be int, not 'many'" in line
    assert left_behind(waves_at_hand) == []


def test_evaluating_what_was_not_fitted(waves_at_hand, refused):
    line = refused("eval", "dlinear", "waves-12", "--no-track")

    assert line.endswith(
        "dlinear on waves-12, seed 0 is not fitted. "
        "First: tsbench fit dlinear waves-12 --seed 0 --context 96 (or use tsbench run)"
    )
    assert left_behind(waves_at_hand) == []


@pytest.mark.parametrize(
    ("model", "package"), [("auto_theta", "statsforecast"), ("lightgbm_lags", "lightgbm")]
)
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    refused, waves_at_hand, monkeypatch, model, package
):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)

    line = refused("run", model, "waves-12", "--context", "48", "--no-track")

    assert line.endswith(f'needs the package {package}: pip install "tsbench[baselines]"')
    assert [path for path in left_behind(waves_at_hand) if not path.endswith("lock")] == []
