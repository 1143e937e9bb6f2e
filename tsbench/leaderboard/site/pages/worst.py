"""Where entries fail: units of a task with the largest errors, from what a Result keeps of every unit."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsbench.contracts import Task
from tsbench.contracts.result import UNITS_FILE
from tsbench.evaluation.record import read_table
from tsbench.leaderboard.collect import Stored
from tsbench.leaderboard.kept import kept
from tsbench.leaderboard.words import metric_words, scenario_words

from .. import text
from ..view import Cell, View, number_cell

MOST = 5
"""Units that are listed."""
FEWEST = 4
"""With fewer units there is nothing to choose from."""
TOLD_APART = 1.01
"""A unit whose error is nearer to the typical one is not listed."""
PLACE = ["scenario", "cluster", "unit"]


def worst_units(view: View, task: Task | None, name: str, shown: Sequence[str]) -> dict[str, Any] | None:
    """Table of the units with the largest errors under the regular condition, and a typical one below.

    The error of a unit is compared with what the entry makes of half of the units (its median), and units are
    ordered by the geometric mean of that over the entries, so that no scale and no weak entry decides alone.

    Args:
        view: the suite.
        task: its declaration, where it is installed.
        name: of the task.
        shown: entries with Results, best first.

    Returns:
        Columns, rows and caption; None with few units, or where ratios of the metric mean nothing.
    """
    if not shown:
        return None
    metric = view.results(shown[0], name)[0].result.primary
    if metric_words(metric).better != "lower" or metric_words(metric).finish == "decibel":
        return None
    mine = [(entry, view.results(entry, name)) for entry in shown]
    inputs = [metric, [[entry, [one.fingerprint for one in results]] for entry, results in mine]]
    found = json.loads(kept("worst", inputs, lambda: json.dumps(_chosen(mine, metric))))
    return _table(found, task, shown) if found["rows"] else None


def _chosen(mine: Sequence[tuple[str, Sequence[Stored]]], metric: str) -> dict[str, Any]:
    """Rows of the worst units and of the typical one, each with place, factor and errors; number of units."""
    errors = pd.concat({entry: _errors(results, metric) for entry, results in mine}, axis=1).dropna()
    errors = errors[(errors > 0).all(axis=1)]
    if len(errors) < FEWEST or errors.shape[1] < len(mine):
        return {"rows": [], "units": len(errors)}
    factor = np.exp(np.log(errors / errors.median()).mean(axis=1))
    order = factor.sort_values(kind="stable", ascending=False)
    typical = order.index[len(order) // 2]
    above = [place for place, value in order.items() if value > TOLD_APART * order[typical]]
    if not above:
        return {"rows": [], "units": len(errors)}
    chosen = [*above[:MOST], typical]
    rows = [[list(map(_plain, place)), float(order[place]), list(errors.loc[place])] for place in chosen]
    places = errors.index.to_frame(index=False)
    return {"rows": rows, "units": len(errors), "several": [places[name].nunique() > 1 for name in PLACE]}


def _errors(results: Sequence[Stored], metric: str) -> pd.Series:
    """Error of each regular unit, mean over seeds."""
    tables = [read_table(one.folder, UNITS_FILE) for one in results]
    tables = [one[(one["metric"] == metric) & (one["condition"] == "regular")] for one in tables]
    frame = pd.concat(tables, ignore_index=True)
    numerator, denominator = (frame[name].to_numpy(float) for name in ("numerator", "denominator"))
    with np.errstate(divide="ignore", invalid="ignore"):
        frame = frame.assign(value=metric_words(metric).value(numerator / denominator))
    return frame.groupby(PLACE, sort=True)["value"].mean()


def _table(found: dict[str, Any], task: Task | None, shown: Sequence[str]) -> dict[str, Any]:
    scenario, cluster, _ = found["several"]
    columns = ["Unit", *(["Scenario"] if scenario else []), *(["Cluster"] if cluster else [])]
    rows = []
    for number, (place, factor, errors) in enumerate(found["rows"]):
        said = [_unit(place[2], task)]
        said += [scenario_words(place[0])] if scenario else []
        said += [str(place[1])] if cluster else []
        cells = [_times(factor), *(number_cell(one, text.number(one)) for one in errors)]
        typical = number == len(found["rows"]) - 1
        rows.append({"place": said, "cells": cells, "typical": typical})
    caption = (
        f"{len(rows) - 1} of {text.count(found['units'])} units under the regular condition: those in which "
        "these entries are furthest above their own typical error (median over units; geometric mean over "
        "entries). Below them a typical unit. Mean over seeds."
    )
    return {"columns": columns, "entries": list(shown), "rows": rows, "caption": caption}


def _times(factor: float) -> Cell:
    return number_cell(factor, f"{text.number(factor, 3)} ×") if math.isfinite(factor) else Cell(text.NOTHING)


def _unit(unit: Any, task: Task | None) -> str:
    """A unit in words: which windows, which sample or series of the test part or of its scenario."""
    if task is None or not isinstance(unit, int):
        return str(unit)
    if task.unit.kind == "window_block" and not task.rolling:
        first = unit * task.unit_windows
        return f"test windows {first + 1} to {first + task.unit_windows}"
    kind = "sample" if task.unit.kind == "sample" else "series"
    return f"{kind} {unit + 1}"


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    return int(value) if float(value).is_integer() else float(value)
