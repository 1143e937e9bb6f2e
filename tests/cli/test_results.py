"""`tsbench results` as a user sees it."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from tsbench.contracts import Result
from tsbench.evaluation.record import write_result


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def folder(runs):
    result = Result.model_validate(
        {
            "model": {
                "name": "dlinear",
                "version": 1,
                "hyperparameters": {"[b]": "[red]x"},
                "parameters": 10,
            },
            "task": {
                "name": "etth1-96",
                "version": 1,
                "hash": "ab",
                "dataset": "etth1",
                "recipe": {"etth1": "cd"},
                "content": {"etth1": "ef"},
            },
            "seed": 3,
            "track": {"context": 96, "tuning": "default", "learning": "fitted"},
            "trained_on": [],
            "primary": "mse",
            "scores": {"mse": {"regular": 0.375, "robustness": None}},
            "scenarios": {"regular": 1, "robustness": 4},
            "cases": 100,
            "cost": {"fit": {"seconds": 12.5}},
            "provenance": {
                "created": "2026-11-21T10:00:00+00:00",
                "command": "tsbench run dlinear etth1-96 --seed 3",
                "code": "c0de",
                "versions": {},
                "host": "Linux",
                "threads": 2,
            },
        }
    )
    names = ("scenario", "condition", "variable", "level", "region", "lead_time", "metric")
    scores = {name: [] for name in (*names, "numerator", "denominator")}
    units = {
        name: []
        for name in ("scenario", "condition", "cluster", "unit", "metric", "numerator", "denominator")
    }
    path = runs / "jobs" / "etth1-96" / "dlinear" / "seed-3-abcdef" / "result-01234567"
    write_result(path, result, scores, units, None)
    return path


def results(runs, *arguments, code="from tsbench.cli.results import app; app()"):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment | {"TSBENCH_RUNS": str(runs), "COLUMNS": "200"},
    )


def test_list_as_json_and_as_a_table(runs, folder):
    (row,) = json.loads(results(runs, "list", "--json").stdout)
    assert row == {
        "task": "etth1-96",
        "model": "dlinear",
        "seed": 3,
        "metric": "mse",
        "score": 0.375,
        "context": 96,
        "tuning": "default",
        "learning": "fitted",
        "folder": str(folder),
    }
    assert "0.375" in results(runs, "list").stdout


@pytest.mark.parametrize("name", ["seed-3", "etth1-96/dlinear", "FOLDER", "RUN FOLDER"])
def test_show_finds_a_result_by_folder_or_part_of_its_path(runs, folder, name):
    known = {"FOLDER": str(folder), "RUN FOLDER": str(folder.parent)}
    shown = results(runs, "show", known.get(name, name))
    assert shown.returncode == 0, shown.stderr
    assert "mse (primary)" in shown.stdout
    assert "[b] = [red]x" in shown.stdout
    assert "tsbench run dlinear etth1-96 --seed 3" in shown.stdout


def test_show_of_an_unknown_name_says_where_to_look(runs, folder):
    shown = results(runs, "show", "tpgn")
    assert "There is no Result 'tpgn'" in shown.stderr
    assert "tsbench results list" in shown.stderr


def test_no_results_is_one_line(runs):
    assert results(runs, "list").stderr.startswith("No Results below")
    assert json.loads(results(runs, "log", "--json").stdout) == []


def test_log_sends_what_an_unreachable_server_missed(runs, folder):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        start = time.monotonic()
        uri = f"http://user:s3cr3t@127.0.0.1:{listener.getsockname()[1]}"
        failed = results(runs, "log", "--uri", uri)
        assert time.monotonic() - start < 10
    assert failed.returncode == 0
    assert failed.stderr.count("Warning") == 1
    assert "0 sent, 0 already there, 1 not sent" in failed.stderr
    assert "s3cr3t" not in failed.stdout + failed.stderr
    assert json.loads(results(runs, "log", "--json").stdout)[0]["state"] == "sent"
    again = results(runs, "log")
    assert "0 sent, 1 already there, 0 not sent" in again.stderr
    # What MLflow keeps as artifacts is not a second Result.
    assert len(json.loads(results(runs, "list", "--json").stdout)) == 1


def test_listing_imports_neither_torch_nor_mlflow_nor_pandas(runs, folder):
    code = """
import sys
from tsbench.cli.results import app
app(["list"], standalone_mode=False)
assert not {"torch", "mlflow", "pandas"} & set(sys.modules)
"""
    done = results(runs, code=code)
    assert done.returncode == 0, done.stderr
