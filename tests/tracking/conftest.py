"""Synthetic Result folders, and a tracking store of each test's own."""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tsbench.contracts import Result
from tsbench.evaluation.record import write_result
from tsbench.tracking import session

MakeResult = Callable[..., Path]

RECORD: dict[str, Any] = {
    "model": {
        "name": "dlinear",
        "version": 1,
        "hyperparameters": {"moving_average": 25, "individual": False},
        "training": {"learning_rate": 0.005, "epochs": 10},
        "parameters": 18624,
        "weights": "feedfacefeedface",
    },
    "task": {
        "name": "etth1-96",
        "version": 2,
        "hash": "0123456789abcdef",
        "dataset": "etth1",
        "recipe": {"etth1": "1111222233334444", "etth2": "5555666677778888"},
        "content": {"etth1": "aaaabbbbccccdddd", "etth2": "eeeeffff00001111"},
    },
    "seed": 3,
    "track": {"context": 336, "tuning": "published", "learning": "fitted"},
    "trained_on": [{"dataset": "etth1", "start": "2016-07-01T00:00", "end": "2017-06-25T23:00"}],
    "primary": "mse",
    "scores": {
        "mse": {"regular": 0.375, "robustness": 0.5, "generalisation": 0.28125},
        "mase": {"regular": 0.875, "robustness": None},
    },
    "scenarios": {"regular": 1, "robustness": 4, "generalisation": 1},
    "cases": 2785,
    "cost": {
        "fit": {
            "seconds": 12.5,
            "flops": 3e12,
            "energy_joules": None,
            "detail": {"epochs": 7, "flops_per_case": None},
        },
        "predict": {"seconds": 0.5, "peak_memory_bytes": 1048576},
    },
    "provenance": {
        "created": "2026-11-21T10:00:00+00:00",
        "command": "tsbench run dlinear etth1-96 --seed 3 --context 336",
        "code": "c0dec0dec0dec0de",
        "versions": {"python": "3.11.9", "torch": "2.13.0"},
        "host": "Linux x86_64, 2 cores, no accelerator",
        "threads": 2,
    },
}


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty runs folder; no test sees another's session, nor the settings that a session makes."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("TSBENCH_RUNS", str(folder))
    for name in ("MLFLOW_TRACKING_URI", *session.SETTINGS):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(session, "_opened", {})
    monkeypatch.setattr(session, "_failed", {})
    return folder


@pytest.fixture
def record() -> dict[str, Any]:
    """The record that `make_result` starts from."""
    return copy.deepcopy(RECORD)


@pytest.fixture
def make_result(runs: Path) -> MakeResult:
    """Writes a Result folder like that of a job; keywords change its record, dictionaries are merged."""

    def make(folder: Path | None = None, examples: bool = False, **changes: Any) -> Path:
        record = dict(RECORD)
        for key, value in changes.items():
            record[key] = record[key] | value if isinstance(record.get(key), dict) else value
        result = Result.model_validate(record)
        if folder is None:
            run = runs / "jobs" / "etth1-96" / result.model.name / f"seed-{result.seed}-abcdef"
            folder = run / "result-01234567"
        write_result(folder, result, _scores(), _units(), _examples() if examples else None)
        return folder

    return make


def _scores() -> dict[str, list[Any]]:
    row = ("regular", "regular", None, None, None, None, "mse", 3.0, 8.0)
    names = ("scenario", "condition", "variable", "level", "region", "lead_time", "metric")
    return {name: [value] for name, value in zip((*names, "numerator", "denominator"), row, strict=True)}


def _units() -> dict[str, list[Any]]:
    row = ("regular", "regular", "etth1", "0", "mse", 3.0, 8.0)
    names = ("scenario", "condition", "cluster", "unit", "metric", "numerator", "denominator")
    return {name: [value] for name, value in zip(names, row, strict=True)}


def _examples() -> dict[str, list[Any]]:
    steps = range(-23, 25)
    return {
        "scenario": ["regular"] * 48,
        "case": [0] * 48,
        "variable": ["OT"] * 48,
        "time": [f"2018-01-{1 + (step + 23) // 24:02d}T{(step + 23) % 24:02d}:00:00" for step in steps],
        "lead_time": list(steps),
        "observed": [math.sin(step / 4) for step in steps],
        "forecast": [None if step < 1 else math.sin(step / 4) + 0.1 for step in steps],
    }
