"""Synthetic Result folders: errors of known size by entry, task, scenario, unit and seed."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tsbench.contracts import ModelCard, Result, Scenario, Suite, Task, averages
from tsbench.contracts.result import EXAMPLE_COLUMNS, SCORE_COLUMNS, UNIT_COLUMNS
from tsbench.evaluation.record import write_result
from tsbench.leaderboard.collect import Catalogue

UNITS = 6
Errors = Callable[[str, str, str, int, int], float]


def make_task(
    name: str, dataset: str | None = None, horizon: int = 4, other: str | None = None, **changes: Any
) -> Task:
    """A task with one regular scenario, two robustness levels, and generalisation to `other` if given."""
    generalisation: Any = [{"dataset": other}] if other else {"not_applicable": "no second set of this kind"}
    declaration = {
        "name": name,
        "version": 1,
        "title": f"Title of {name}",
        "dataset": dataset or name.split("-")[0],
        "horizon": horizon,
        "period": 24,
        "max_context": 512,
        "split": {"kind": "ratio", "train": 0.7, "validation": 0.1, "test": 0.2},
        "normalisation": "zscore",
        "space": "normalised",
        "conditions": {
            "robustness": [{"disturbance": {"name": "noise", "parameter": "snr_db", "levels": [20, 10]}}],
            "generalisation": generalisation,
        },
        "metrics": ["mse", "mae"],
        "primary": "mse",
    }
    return Task.model_validate(declaration | changes)


def make_cells_task(name: str = "cells-4", **changes: Any) -> Task:
    """A task with cells: 8 trained ones, 16 others of which 4 were trained on, and a quirk of its authors."""
    cells = {"model": ["A", "B"], "spread": [10, 100], "speed": [1, 30]}
    unseen = {"model": ["A", "C"], "spread": [10, 100], "speed": [1, 3, 9, 30]}
    noise = {"name": "white_noise", "parameter": "snr_db", "levels": [0, 10, 20]}
    drop = {"name": "packet_drop", "parameter": "probability", "levels": [0.1, 0.2]}
    quirk = drop | {"options": {"compat": True}}
    conditions = {
        "regular": [{"cells": cells, "disturbance": noise}],
        "robustness": [
            {"cells": cells, "disturbance": drop, "counts": "condition"},
            {"cells": cells, "disturbance": quirk, "counts": "published"},
        ],
        "generalisation": [{"part": "unseen", "cells": unseen, "trained": cells, "disturbance": noise}],
    }
    shape = {
        "samples": {"view": "csi", "context": "history", "target": "target"},
        "split": {"kind": "labels", "test": "test"},
        "normalisation": "zscore_parts",
        "unit": {"kind": "sample"},
        "cluster": "cell",
        "metrics": ["nmse", "nmse_db", "se"],
        "primary": "nmse",
        "conditions": conditions,
    }
    return make_task(name, **(shape | changes))


def make_card(name: str, **changes: Any) -> ModelCard:
    """A card that prescribes context 96 everywhere."""
    declaration = {
        "name": name,
        "title": name.title(),
        "summary": f"What {name} is.",
        "kind": "baseline",
        "class_name": "Model",
        "settings": [{"tasks": ["*"], "context": 96}],
    }
    return ModelCard.model_validate(declaration | changes)


def make_suite(
    tasks: Sequence[str], models: Sequence[str], seeds: Sequence[int] = (0, 1), **changes: Any
) -> Suite:
    """A suite whose baseline is the first model."""
    declaration = {
        "name": "synthetic",
        "title": "Synthetic suite",
        "summary": "Made for tests.",
        "tasks": list(tasks),
        "models": [{"model": model} for model in models],
        "seeds": list(seeds),
        "baseline": models[0],
    }
    return Suite.model_validate(declaration | changes)


def plain_errors(model: str, task: str, scenario: str, unit: int, seed: int) -> float:
    """Deterministic errors that differ by model, scenario, unit and seed."""
    base = 0.3 + 0.1 * (sum(map(ord, model)) % 7)
    harder = {"regular": 1.0, "robustness": 1.25, "generalisation": 1.5}[scenario.split("/")[0]]
    return base * harder * (1 + 0.02 * seed + 0.05 * (unit % 3) + 0.01 * (sum(map(ord, task)) % 5))


def save_result(
    folder: Path,
    model: str,
    task: Task,
    seed: int,
    errors: Errors = plain_errors,
    *,
    skip: dict[str, str] | None = None,
    units: int = UNITS,
    examples: bool = True,
    cluster: Callable[[str, int], str] | None = None,
    **changes: Any,
) -> Path:
    """Write one Result folder and return it; `changes` replace keys of the record (`track__context=336`)."""
    skip = skip or {}
    run = [scenario for scenario in task.scenarios() if scenario.key not in skip]
    by_unit = {
        s.key: np.array([errors(model, task.name, s.key, unit, seed) for unit in range(units)]) for s in run
    }
    value = {key: float(values.mean()) for key, values in by_unit.items()}
    keys = averages(run)
    means = {name: float(np.mean([value[key] for key in mine])) for name, mine in keys.items()}
    record: dict[str, Any] = {
        "model": {"name": model, "version": 1, "hyperparameters": {}, "parameters": 1000 + len(model)},
        "task": {
            "name": task.name,
            "version": task.version,
            "hash": task.hash,
            "dataset": task.dataset,
            "recipe": {task.dataset: "aaaa"},
            "content": {task.dataset: "bbbb"},
        },
        "seed": seed,
        "track": {"context": 96, "tuning": "default", "learning": "fitted"},
        "trained_on": [],
        "primary": task.primary,
        "scores": {m: {key: _metric(m, one) for key, one in means.items()} for m in task.metrics},
        "scenarios": {name: len(mine) for name, mine in keys.items()},
        "cases": 100,
        "skipped": skip,
        "cost": {
            "fit": {"seconds": 0.5 * len(model), "flops": 1e9 * len(model), "peak_memory_bytes": 5_000_000},
            "predict": {"seconds": 0.01 * len(model), "flops": 1e7},
        },
        "provenance": {
            "created": f"2026-01-0{1 + seed % 9}T00:00:00+00:00",
            "command": f"tsbench run {model} {task.name} --seed {seed}",
            "code": "cccc",
            "versions": {"torch": "2.13.0"},
            "host": "Linux x86_64, 2 cores",
            "threads": 2,
        },
    }
    for dotted, replacement in changes.items():
        *path, last = dotted.split("__")
        part = record
        for key in path:
            part = part[key]
        part[last] = replacement
    write_result(
        folder,
        Result.model_validate(record),
        _scores(task, run, value),
        _units(task, run, by_unit, cluster),
        _examples(task, len(model)) if examples else None,
    )
    return folder


def _metric(name: str, error: float) -> float:
    """A value of a metric that goes with an error of the primary metric."""
    return {"mae": error / 2, "se": 8 - error, "nmse_db": 10 * float(np.log10(error))}.get(name, error)


def _cluster(scenario: Scenario) -> str:
    return "/".join(map(str, scenario.cell.values())) or scenario.dataset


def _scores(task: Task, run: Sequence[Any], value: dict[str, float]) -> dict[str, list[Any]]:
    rows = [
        (
            s.key,
            s.condition,
            None,
            None,
            None,
            lead,
            metric,
            10 * value[s.key] * (1 if lead is None else lead),
            10.0,
        )
        for s in run
        for metric in task.metrics
        for lead in (None, *range(1, task.horizon + 1))
    ]
    return {name: [row[index] for row in rows] for index, name in enumerate(SCORE_COLUMNS)}


def _units(
    task: Task,
    run: Sequence[Any],
    by_unit: dict[str, Any],
    cluster: Callable[[str, int], str] | None,
) -> dict[str, list[Any]]:
    rows = [
        (s.key, s.condition, label, unit, task.primary, 50.0 * error, 50.0)
        for s in run
        for unit, error in enumerate(by_unit[s.key])
        for label in [cluster(s.dataset, unit) if cluster else _cluster(s)]
    ]
    return {name: [row[index] for row in rows] for index, name in enumerate(UNIT_COLUMNS)}


def _examples(task: Task, shift: int) -> dict[str, list[Any]]:
    if task.view != "sequence":
        return _response_example(task, shift)
    rows = [
        ("regular", case, variable, f"2026-01-0{case + 1}T{12 + lead:02d}:00:00", lead, wave, forecast)
        for case in range(2)
        for variable in ("HUFL", "OT")
        for lead in range(-7, task.horizon + 1)
        for wave in [float(np.sin(lead / 3 + case))]
        for forecast in [None if lead < 1 else wave + 0.02 * shift]
    ]
    return {name: [row[index] for row in rows] for index, name in enumerate(EXAMPLE_COLUMNS)}


def _response_example(task: Task, shift: int) -> dict[str, list[Any]]:
    rows = [
        (task.scenarios()[0].key, 3, str(feature), str(lead), lead, magnitude, forecast)
        for feature in range(6)
        for lead in range(-7, task.horizon + 1)
        for magnitude in [1 + float(np.sin(lead / 3 + feature))]
        for forecast in [None if lead < 1 else magnitude + 0.02 * shift]
    ]
    return {name: [row[index] for row in rows] for index, name in enumerate(EXAMPLE_COLUMNS)}


class Bench:
    """Tasks, cards and Results of a synthetic suite below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tasks = [make_task("one-4", other="other"), make_task("two-4"), make_task("three-4")]
        self.models = ["naive", "linear", "deep"]
        self.seeds = [0, 1]

    @property
    def suite(self) -> Suite:
        return make_suite([task.name for task in self.tasks], self.models, self.seeds)

    @property
    def declared(self) -> Catalogue:
        cards = {name: make_card(name) for name in self.models}
        return Catalogue({task.name: task for task in self.tasks}, cards)

    def save(self, model: str, task: Task, seed: int, name: str = "", **changes: Any) -> Path:
        folder = self.root / (name or f"{model}-{task.name}-{seed}")
        return save_result(folder, model, task, seed, **changes)

    def save_all(self, **changes: Any) -> list[Path]:
        runs = itertools.product(self.models, self.tasks, self.seeds)
        return [self.save(model, task, seed, **changes) for model, task, seed in runs]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "results")


@pytest.fixture(scope="session")
def make() -> Any:
    """The factories above, for tests that need a shape of their own."""

    class Make:
        task = staticmethod(make_task)
        cells_task = staticmethod(make_cells_task)
        card = staticmethod(make_card)
        suite = staticmethod(make_suite)
        result = staticmethod(save_result)
        bench = Bench

    return Make
