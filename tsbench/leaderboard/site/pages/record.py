"""The page of a model's Results on one task in the same settings: everything that each seed recorded."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tsbench.contracts import DataRange, OperatorsUsed, Result, leakage_of
from tsbench.jobs.checked_in import confirmed_at
from tsbench.leaderboard.collect import Stored
from tsbench.leaderboard.entries import shown
from tsbench.leaderboard.words import average_words, metric_words

from .. import text
from ..view import Cell, View, model_href, number_cell, record_href, task_href

COSTS = (
    ("seconds", "Time", text.duration),
    ("flops", "Compute", lambda value: text.prefixed(value, "flop")),
    ("peak_memory_bytes", "Peak memory", lambda value: text.prefixed(value, "B")),
    ("energy_joules", "Energy", lambda value: text.prefixed(value, "J")),
)


def records(views: Iterable[View]) -> dict[str, list[Stored]]:
    """Address of each page → its Results, one for each seed."""
    found: dict[str, dict[int, Stored]] = {}
    for view in views:
        for stored in view.collection.stored.values():
            found.setdefault(record_href(stored.result), {})[stored.result.seed] = stored
    return {href: [seeds[seed] for seed in sorted(seeds)] for href, seeds in sorted(found.items())}


def record_inputs(stored: Sequence[Stored], views: Sequence[View]) -> list[Any]:
    """Everything that the page of some Results depends on, as a key; arguments as for `record_context`."""
    return [
        [[one.fingerprint, confirmed_at(one.folder, one.result)] for one in stored],
        _suites(stored[0].result.task.name, views),
    ]


def record_context(stored: Sequence[Stored], views: Sequence[View]) -> dict[str, Any]:
    """Everything that record.html shows.

    Args:
        stored: Results of one model on one task in the same settings, by seed.
        views: all suites; those that rank these Results are linked.
    """
    results = [one.result for one in stored]
    first = results[0]
    task, model = first.task.name, shown(first.model.name)
    return {
        "title": f"{model} on {task}",
        "model": model,
        "model_href": model_href(first.model.name),
        "task": task,
        "task_href": task_href(task),
        "suites": _suites(task, views),
        "facts": _facts(results),
        "verified": _verified(stored),
        "seeds": [one.seed for one in results],
        "tables": _scores(results),
        "cost": _cost(results),
        "settings": [
            ("Hyper-parameters", _pairs(first.model.hyperparameters)),
            ("Training", _pairs(first.model.training)),
        ],
        "origin": [(name, values) for name, values in _origin(stored) if any(values)],
        "trained": [_range(one, one.stage) for one in first.trained_on],
        "skipped": sorted(first.skipped.items()),
        "commands": text.commands(stored),
    }


def _suites(task: str, views: Sequence[View]) -> list[dict[str, str]]:
    return [
        {"title": view.collection.suite.title, "href": view.href}
        for view in views
        if task in view.collection.suite.tasks
    ]


def _facts(results: Sequence[Result]) -> list[tuple[str, str]]:
    first = results[0]
    context = first.track.context
    return [
        ("Context", "unknown" if context is None else str(context)),
        ("Tuning", first.track.tuning),
        ("Learning", first.track.learning),
        ("Leakage", ", ".join(sorted({leakage_of(one) for one in results}))),
        ("Forecast", first.forecast_kind),
        ("Parameters", text.count(first.model.parameters)),
        ("Cases", text.count(first.cases)),
        ("Seeds", ", ".join(str(one.seed) for one in results)),
    ]


def _verified(stored: Sequence[Stored]) -> list[str]:
    """What the check of each seed's submission has seen; nothing for Results that nobody handed in."""
    return [
        (f"Seed {one.result.seed}: " if len(stored) > 1 else "") + one.verified.words
        for one in stored
        if one.verified is not None
    ]


def _scores(results: Sequence[Result]) -> list[dict[str, Any]]:
    """For each average a table: a row for each metric, a column for each seed, and their mean."""
    averages = list(dict.fromkeys(name for one in results for name in one.scenarios))
    tables = []
    for average in averages:
        rows = []
        for metric in results[0].scores:
            values = [one.scores.get(metric, {}).get(average) for one in results]
            known = [value for value in values if value is not None]
            mean = float(np.mean(known)) if known else None
            words = metric_words(metric)
            rows.append(
                {
                    "metric": words.title,
                    "advice": words.advice,
                    "primary": metric == results[0].primary,
                    "cells": [_number(value) for value in [mean, *values]],
                }
            )
        count = results[0].scenarios.get(average, 0)
        title = f"{average_words(average)}: {text.count(count)} scenario{'' if count == 1 else 's'}"
        tables.append({"title": title, "rows": rows})
    return tables


def _number(value: float | None) -> Cell:
    return number_cell(value, text.number(value))


def _cost(results: Sequence[Result]) -> list[dict[str, Any]]:
    stages = list(dict.fromkeys(stage for one in results for stage in one.cost))
    rows = []
    for stage in stages:
        for key, title, form in COSTS:
            values = [getattr(one.cost[stage], key) if stage in one.cost else None for one in results]
            if any(value is not None for value in values):
                cells = [number_cell(value, form(value)) for value in values]
                rows.append({"stage": stage, "what": title, "cells": cells})
    return rows


def _origin(stored: Sequence[Stored]) -> list[tuple[str, list[str]]]:
    """Provenance: name → a text for each seed."""
    made = [one.result.provenance for one in stored]
    rows = [
        ("Created", [one.created.replace("T", " ")[:16] for one in made]),
        ("Host", [one.host for one in made]),
        ("Threads", [str(one.threads) for one in made]),
        ("Deterministic", ["yes" if one.deterministic else "no" for one in made]),
        ("Code", [one.code for one in made]),
        ("Confirmed at code", [confirmed_at(one.folder, one.result) or "" for one in stored]),
        ("Weights", [one.result.model.weights or "" for one in stored]),
        ("Task hash", [one.result.task.hash for one in stored]),
        ("Data recipe", [_pairs(one.result.task.recipe) for one in stored]),
        ("Data content", [_pairs(one.result.task.content) for one in stored]),
    ]
    if any(one.operators for one in made):
        rows.append(("Operators", [_operators(one.operators) for one in made]))
    names = sorted({name for one in made for name in one.versions})
    return rows + [(name, [one.versions.get(name, "") for one in made]) for name in names]


def _operators(used: OperatorsUsed | None) -> str:
    return "" if used is None else f"{used.choice}: {_pairs(used.paths) or 'none called'}"


def _range(one: DataRange, stage: str) -> dict[str, str]:
    series = one.series if isinstance(one.series, str) else _few(one.series)
    variables = one.variables if isinstance(one.variables, str) else _few(one.variables)
    return {
        "stage": stage,
        "dataset": one.dataset,
        "series": series + (f", without {_few(one.without)}" if one.without else ""),
        "variables": variables,
        "range": one.start if one.start == one.end else f"{one.start} … {one.end}",
    }


def _few(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in values.items()) or text.NOTHING
