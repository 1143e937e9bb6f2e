"""Tables of averages on a task's page: every metric under every condition, and averages as published."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tsbench.contracts.conditions import PUBLISHED
from tsbench.leaderboard.entries import Entry
from tsbench.leaderboard.words import average_words, metric_words

from .. import text
from ..view import Cell, View, best_marked, low_high, number_cell


def average_names(view: View, task: str, entries: Sequence[Entry], conditions: Sequence[str]) -> list[str]:
    """Conditions of a task, each followed by its average as published, where a Result has one."""
    results = [stored.result for entry in entries for stored in view.results(entry.name, task)]
    pairs = [name for condition in conditions for name in (condition, condition + PUBLISHED)]
    return [name for name in pairs if name in conditions or any(name in one.scenarios for one in results)]


def score_rows(view: View, task: str, entries: Sequence[Entry], names: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of the table of scores: the primary metric of each average, the best of each marked."""
    rows = []
    for entry in entries:
        row = view.score_row(entry, task, [])
        metric = view.results(entry.name, task)[0].result.primary
        row["cells"] = [
            _average(view, task, entry, metric, name)
            if name.endswith(PUBLISHED)
            else view.score(entry.name, task, name)
            for name in names
        ]
        rows.append(row)
    better = [metric_words(view.results(one.name, task)[0].result.primary).better for one in entries[:1]]
    marked = best_marked([row["cells"] for row in rows], better * len(names)) if rows else []
    return [row | {"cells": cells} for row, cells in zip(rows, marked, strict=True)]


def metric_tables(
    view: View, task: str, entries: Sequence[Entry], metrics: Sequence[str], names: Sequence[str]
) -> list[dict[str, Any]]:
    """For each average a table of all metrics, each with the direction that is better and its best value."""
    if len(metrics) < 2 or not entries:
        return []
    words = [metric_words(metric) for metric in metrics]
    tables = []
    for name in names:
        cells = [[_average(view, task, entry, metric, name) for metric in metrics] for entry in entries]
        marked = best_marked(cells, [one.better for one in words])
        rows = [{"entry": entry.name, "cells": row} for entry, row in zip(entries, marked, strict=True)]
        title = average_words(name)
        tables.append({"title": title, "columns": [(one.title, one.advice) for one in words], "rows": rows})
    return tables


def _average(view: View, task: str, entry: Entry, metric: str, name: str) -> Cell:
    """Mean over seeds with their range."""
    results = [stored.result for stored in view.results(entry.name, task)]
    values = [
        value
        for one in results
        if view.collection.usable(one, name) and (value := one.scores.get(metric, {}).get(name)) is not None
    ]
    if not values:
        return Cell(text.NOTHING)
    mean = float(np.mean(values))
    return number_cell(mean, text.number(mean), low_high(values, text.number))
