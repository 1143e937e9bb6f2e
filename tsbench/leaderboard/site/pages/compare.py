"""Two to five entries of a suite side by side: the first ones as a table, any choice by script."""

import math
from typing import Any

import numpy as np

from tsbench.leaderboard.pairwise import skill_matrix, win_matrix

from .. import text
from ..view import View, best_marked, metric_name, model_href, task_href
from .scopes import fields_of

FIRST, MOST = 3, 5
"""Entries that the plain table compares, and how many can be chosen."""


def compare_context(view: View) -> dict[str, Any]:
    """Everything that compare.html shows; `data` is written beside it as a script."""
    names = [entry.name for entry in view.entries]
    cells = _cells(view)
    first = names[:FIRST]
    rows = [[view.score(name, *cell) for name in first] for cell in cells]
    marked = [best_marked([[one] for one in row], ["lower"]) for row in rows]
    return {
        "title": f"Compare entries of {view.collection.suite.title}",
        "suite": view.collection.suite.title,
        "suite_href": view.href,
        "first": [{"name": entry.name, "href": model_href(entry.model)} for entry in view.entries[:FIRST]],
        "rows": [
            {
                "task": task,
                "task_href": task_href(task),
                "condition": condition,
                "cells": [one[0] for one in row],
            }
            for (task, condition), row in zip(cells, marked, strict=True)
        ],
        "entries": names,
        "most": MOST,
        "data": _data(view, names, cells),
    }


def _cells(view: View) -> list[tuple[str, str]]:
    return [(str(task), str(condition)) for task, condition in view.standings.ranked.index]


def _data(view: View, names: list[str], cells: list[tuple[str, str]]) -> dict[str, Any]:
    fields = fields_of(view)
    errors = view.standings.ranked[names].to_numpy(float)
    scores = [[view.score(name, *cell) for name in names] for cell in cells]
    rows = {row["entry"]: row for row in view.rows}
    return {
        "suite": view.collection.suite.name,
        "baseline": view.collection.baseline,
        "most": MOST,
        "entries": [
            {
                "name": entry.name,
                "href": model_href(entry.model),
                "track": f"context {entry.context} · {entry.tuning} · {entry.learning}",
                "facts": _facts(rows[entry.name]),
            }
            for entry in view.entries
        ],
        "cells": [
            {
                "task": task,
                "href": task_href(task),
                "condition": condition,
                "field": fields[task],
                "metric": _metric(view, names, task),
            }
            for task, condition in cells
        ],
        "values": [[None if not one.key else float(one.key) for one in row] for row in scores],
        "texts": [[one.text for one in row] for row in scores],
        "ranges": [[one.below for one in row] for row in scores],
        "links": {
            task: [view.record(name, task) for name in names]
            for task in dict.fromkeys(one for one, _ in cells)
        },
        "relative": [[_plain(view.relative(name, *cell)) for name in names] for cell in cells],
        "wins": [[_percent(value) for value in row] for row in win_matrix(errors)],
        "skill": [[_percent(value) for value in row] for row in skill_matrix(errors)],
    }


def _facts(row: dict[str, Any]) -> list[str]:
    seconds = row["fit_seconds"] + row["predict_seconds"]
    flops = row["fit_flops"] + row["predict_flops"]
    return [
        text.fixed(row["mean_rank"], 2),
        text.percent(row["win_rate"], 0),
        text.percent(row["skill"]),
        text.count(row["parameters"]),
        text.duration(seconds),
        text.prefixed(flops, "flop"),
        text.prefixed(row["memory"], "B"),
    ]


def _metric(view: View, names: list[str], task: str) -> str:
    found = [results[0] for name in names if (results := view.results(name, task))]
    return metric_name(found[0].result.primary) if found else text.NOTHING


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.5g}")


def _percent(value: float) -> str:
    return "" if np.isnan(value) else text.percent(float(value), 0)
