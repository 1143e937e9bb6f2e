"""The scenario explorer of a task: every value as a table, and as data for the reader's own cuts."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tsbench.contracts import CONDITIONS, Scenario, Task
from tsbench.leaderboard.entries import Entry
from tsbench.leaderboard.words import metric_words, name_words, value_words

from .. import text
from ..view import Cell, View, best_marked, number_cell, task_href
from .scenario_values import scenario_values

MOST_COLUMNS = 6
"""Entries in the plain table; the explorer has all."""


def explored(view: View, task: str) -> bool:
    """Whether a task has more than one scenario that somebody has a value in."""
    declared = view.collection.catalogue.tasks.get(task)
    some = any(view.results(entry.name, task) for entry in view.entries)
    return bool(some and declared and len(declared.scenarios()) > 1)


def scenarios_context(task: Task, view: View) -> dict[str, Any]:
    """Everything that scenarios.html shows; `data` is written beside it as a script.

    Args:
        task: its declaration.
        view: the suite whose Results are shown.
    """
    entries = sorted(
        (entry for entry in view.entries if view.results(entry.name, task.name)),
        key=lambda entry: (view.means.get((entry.name, task.name, "regular"), float("inf")), entry.name),
    )
    metric = view.results(entries[0].name, task.name)[0].result.primary
    words = metric_words(metric)
    values = scenario_values(view, task.name, entries, metric).scenarios
    wide = values.pivot_table(index="scenario", columns="entry", values="value", aggfunc="mean")
    wide = wide.reindex(columns=[entry.name for entry in entries])
    found = [one for one in task.scenarios() if one.key in wide.index]
    axes = _axes(found)
    shown = _shown(view, entries)
    cells = [[_cell(wide[name].get(one.key)) for name in shown] for one in found]
    return {
        "title": f"Scenarios of {task.name}",
        "name": task.name,
        "task_href": task_href(task.name),
        "metric": words,
        "count": text.count(len(found)),
        "coordinates": [name_words(name) for name in axes],
        "columns": shown,
        "others": len(entries) - len(shown),
        "rows": [
            {
                "condition": one.condition,
                "place": [_said(one.cell.get(name)) for name in axes],
                "disturbance": _disturbance(one),
                "cells": row,
            }
            for one, row in zip(found, _best_in_row(cells, words.better), strict=True)
        ],
        "published": any(one.counts == "published" for one in found),
        "data": _data(
            task,
            [one for one in found if one.counts != "published"],
            axes,
            wide,
            entries,
            words.title,
            view.collection.baseline,
        ),
    }


def _shown(view: View, entries: Sequence[Entry]) -> list[str]:
    names = [entry.name for entry in entries]
    baseline = [name for name in names[MOST_COLUMNS - 1 :] if name == view.collection.baseline]
    return names[: MOST_COLUMNS - len(baseline)] + baseline


def _best_in_row(cells: list[list[Cell]], better: str) -> list[list[Cell]]:
    """The best of each row marked: `best_marked` marks columns."""
    if not cells:
        return []
    turned = best_marked(list(zip(*cells, strict=True)), [better] * len(cells))
    return [list(row) for row in zip(*turned, strict=True)]


def _axes(scenarios: Sequence[Scenario]) -> list[str]:
    """Coordinates of the cells, in the order of the task."""
    return list(dict.fromkeys(name for one in scenarios for name in one.cell))


def _data(
    task: Task,
    scenarios: Sequence[Scenario],
    axes: Sequence[str],
    wide: pd.DataFrame,
    entries: Sequence[Entry],
    title: str,
    baseline: str | None,
) -> dict[str, Any]:
    """What the explorer draws: coordinates as columns of texts, values as a matrix scenario × entry."""
    coordinates = {"data set": [one.dataset for one in scenarios]}
    coordinates |= {name_words(name): [_said(one.cell.get(name)) for one in scenarios] for name in axes}
    coordinates["disturbance"] = [
        name_words(one.disturbance) if one.disturbance else "none" for one in scenarios
    ]
    coordinates["level"] = ["" if one.level is None else value_words(one.level) for one in scenarios]
    varying = {name: column for name, column in coordinates.items() if len(set(column)) > 1}
    matrix = wide.reindex([one.key for one in scenarios])
    return {
        "task": task.name,
        "metric": title,
        "baseline": baseline,
        "conditions": [one for one in CONDITIONS if any(s.condition == one for s in scenarios)],
        "condition": [one.condition for one in scenarios],
        "coordinates": varying,
        "entries": [entry.name for entry in entries],
        "values": [[_rounded(value) for value in row] for row in matrix.to_numpy(float)],
    }


def _rounded(value: float) -> float | None:
    """Five digits draw a line and fill a table; a page of thousands of scenarios stays light."""
    return None if pd.isna(value) else float(f"{value:.5g}")


def _disturbance(one: Scenario) -> str:
    if one.disturbance is None:
        return "none"
    published = "" if one.counts != "published" else ", as published"
    level = "" if one.level is None else f" {value_words(one.level)}"
    return f"{name_words(one.disturbance)}{level}{published}"


def _said(value: Any) -> str:
    return "" if value is None else value_words(value)


def _cell(value: float | None) -> Cell:
    if value is None or pd.isna(value):
        return Cell("skipped", state="skipped")
    return number_cell(float(value), text.number(float(value)))
