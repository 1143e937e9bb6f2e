"""The scenario grid on a task's page: tables by level and by cell, heat maps and curves.

Thousands of scenarios are not listed: each table and picture is a mean over the rest of the grid, and the
page says where the single numbers are.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from tsbench.leaderboard import charts
from tsbench.leaderboard.grid import Axis, Grid
from tsbench.leaderboard.kept import drawn_once
from tsbench.leaderboard.words import MetricWords, name_words, value_words

from .. import text
from ..view import Cell, best_marked, number_cell

MAPPED = ("regular", "generalisation")
"""Conditions with heat maps; robustness has the cells of the regular condition."""


def grid_tables(grids: Sequence[Grid], entries: Sequence[str], metric: MetricWords) -> list[dict[str, Any]]:
    """For each condition its tables: means by level of each disturbance, then by each value of the axes."""
    sections = []
    for grid in grids:
        tables = []
        for one in grid.disturbances():
            parameter = name_words(one.parameter)
            columns = {f"{parameter} {value_words(level)}": mean for level, mean in one.levels.items()}
            tables.append(_table(f"{name_words(one.name)}, mean over cells", columns, entries, metric))
        columns = {
            f"{name_words(axis.name)} {_said(value)}": mean
            for axis in grid.axes
            if len(axis.values) > 1
            for value, mean in grid.along(axis).items()
        }
        if columns:
            title = "cells, mean over levels and other cells"
            title += "" if grid.whole else "; of these, only what has every value of the axis is compared"
            tables.append(_table(title, columns, entries, metric))
        if metric.better == "lower":
            share = {"share of scenarios": grid.first_share()}
            title = "first in the scenarios, CSI-RRG's win rate (ties to the entry listed first)"
            tables.append(_table(title, share, entries, replace(metric, better="higher")))
        title = f"{grid.condition.capitalize()}: {text.count(len(grid.scenarios))} scenarios"
        sections.append({"title": title, "tables": tables})
    return sections


def grid_figures(
    grids: Sequence[Grid], mapped: Sequence[str], drawn: Sequence[str], metric: MetricWords
) -> Iterator[tuple[str, str]]:
    """Pictures of the grid, each with its caption.

    Args:
        grids: of the conditions.
        mapped: entries with heat maps.
        drawn: entries with curves.
        metric: the primary metric.
    """
    for grid in grids:
        if grid.condition in MAPPED and (picture := _heat_maps(grid, mapped, metric)):
            yield picture
    levels = [
        _panel(_level_title(grid, one.name), one.parameter, one.levels, drawn) for grid, one in _levels(grids)
    ]
    if levels := [panel for panel in levels if len(panel.frame)]:
        yield (
            drawn_once(charts.curve_chart, levels, drawn, metric.title),
            f"{metric.title} over the level of each disturbance, mean over cells and seeds.",
        )
    axes = [
        _panel(grid.condition, axis.name, grid.along(axis), drawn)
        for grid in grids
        for axis in _numeric(grid)
    ]
    if axes := [panel for panel in axes if len(panel.frame)]:
        columns = max((len(_numeric(grid)) for grid in grids), default=1)
        yield (
            drawn_once(charts.curve_chart, axes, drawn, metric.title, columns=max(2, min(columns, 3))),
            f"{metric.title} along each axis of the cells, mean over levels, seeds and the other axes, where "
            "these have every value of the axis.",
        )


def _heat_maps(grid: Grid, entries: Sequence[str], metric: MetricWords) -> tuple[str, str] | None:
    """Over the two longest numeric axes, with a facet for each value of the first axis of text, if any."""
    numeric = sorted(_numeric(grid), key=lambda axis: -len(axis.values))
    if len(numeric) < 2:
        return None
    x, y = numeric[:2]
    texts = [axis for axis in grid.axes if not axis.numeric and len(axis.values) > 1][:1]
    rows = []
    for key, mean in grid.over(*texts, x, y).items():
        assert isinstance(key, tuple)
        facet = f"{name_words(texts[0].name)} {_said(key[0])}" if texts else ""
        rows += [
            (entry, facet, _said(key[-2]), _said(key[-1]), float(mean[entry]))
            for entry in entries
            if entry in mean.index and pd.notna(mean[entry])
        ]
    if not rows:
        return None
    frame = pd.DataFrame(rows, columns=["entry", "facet", "x", "y", "value"])
    facets = [f"{name_words(texts[0].name)} {_said(value)}" for value in texts[0].values] if texts else [""]
    names = [entry for entry in entries if entry in set(frame["entry"])]
    drawn = drawn_once(charts.heat_maps, frame, names, _titled(x), _titled(y), facets, metric.title)
    caption = (
        f"{metric.title} over {name_words(x.name)} and {name_words(y.name)}, {grid.condition} condition, "
        "mean over levels and seeds."
    )
    size = len(x.values) * len(y.values) * len(facets)
    if len(grid.over(*texts, x, y)) < size:
        caption += " Empty: cells that do not count here, since they were trained on."
    return drawn, caption


def _table(
    title: str, columns: dict[str, pd.Series], entries: Sequence[str], metric: MetricWords
) -> dict[str, Any]:
    cells = [[_cell(mean.get(entry)) for mean in columns.values()] for entry in entries]
    marked = best_marked(cells, [metric.better] * len(columns)) if cells else []
    rows = [{"entry": entry, "cells": row} for entry, row in zip(entries, marked, strict=True)]
    return {"title": title, "columns": [(column, "") for column in columns], "rows": rows}


def _cell(value: Any) -> Cell:
    if value is None or pd.isna(value):
        return Cell("skipped", state="skipped")
    return number_cell(float(value), text.number(float(value)))


def _levels(grids: Sequence[Grid]) -> Iterator[tuple[Grid, Any]]:
    return ((grid, one) for grid in grids for one in grid.disturbances() if len(one.levels) > 1)


def _level_title(grid: Grid, disturbance: str) -> str:
    return f"{grid.condition}: {name_words(disturbance)}"


def _panel(title: str, axis: str, means: dict[Any, pd.Series], entries: Sequence[str]) -> charts.Panel:
    rows = [
        (entry, float(place), float(mean[entry]))
        for entry in entries
        for place, mean in means.items()
        if entry in mean.index and pd.notna(mean[entry])
    ]
    return charts.Panel(title, name_words(axis), pd.DataFrame(rows, columns=["entry", "x", "value"]))


def _numeric(grid: Grid) -> list[Axis]:
    return [axis for axis in grid.axes if axis.numeric and len(axis.values) > 1]


def _titled(axis: Axis) -> tuple[str, list[str]]:
    return name_words(axis.name), [_said(value) for value in axis.values]


def _said(value: Hashable) -> str:
    return value_words(value if isinstance(value, str) else float(str(value)))
