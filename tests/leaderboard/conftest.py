"""Synthetic Result folders: errors of known size by entry, task, scenario, unit and seed."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tsbench.contracts import ModelCard, Result, Suite, Task
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
        "max_context": 96,
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
    conditions = list(dict.fromkeys(scenario.condition for scenario in run))
    means = {c: float(np.mean([value[s.key] for s in run if s.condition == c])) for c in conditions}
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
        "primary": "mse",
        "scores": {"mse": means, "mae": {key: one / 2 for key, one in means.items()}},
        "scenarios": {c: sum(s.condition == c for s in run) for c in conditions},
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
        _units(run, by_unit, cluster or (lambda dataset, unit: dataset)),
        _examples(task, seed, len(model)) if examples else None,
    )
    return folder


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
        for metric in ("mse", "mae")
        for lead in (None, *range(1, task.horizon + 1))
    ]
    return {name: [row[index] for row in rows] for index, name in enumerate(SCORE_COLUMNS)}


def _units(
    run: Sequence[Any], by_unit: dict[str, Any], cluster: Callable[[str, int], str]
) -> dict[str, list[Any]]:
    rows = [
        (s.key, s.condition, cluster(s.dataset, unit), unit, "mse", 50.0 * error, 50.0)
        for s in run
        for unit, error in enumerate(by_unit[s.key])
    ]
    return {name: [row[index] for row in rows] for index, name in enumerate(UNIT_COLUMNS)}


def _examples(task: Task, seed: int, shift: int) -> dict[str, list[Any]]:
    rows = [
        ("regular", case, variable, f"2026-01-0{case + 1}T{12 + lead:02d}:00:00", lead, wave, forecast)
        for case in range(2)
        for variable in ("HUFL", "OT")
        for lead in range(-7, task.horizon + 1)
        for wave in [float(np.sin(lead / 3 + case))]
        for forecast in [None if lead < 1 else wave + 0.02 * shift]
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
        card = staticmethod(make_card)
        suite = staticmethod(make_suite)
        result = staticmethod(save_result)
        bench = Bench

    return Make
