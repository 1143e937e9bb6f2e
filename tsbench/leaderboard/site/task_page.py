"""The page of a task: definition in words and YAML, scores, scenarios, forecasts, data."""

from typing import Any

import numpy as np
import pandas as pd
import yaml
from markupsafe import Markup

from tsbench import registry
from tsbench.contracts import CONDITIONS, InputError, Task
from tsbench.contracts.result import EXAMPLES_FILE, SCORES_FILE
from tsbench.contracts.task import NotApplicable
from tsbench.evaluation.record import read_table
from tsbench.leaderboard import charts
from tsbench.leaderboard.entries import Entry

from . import text
from .view import Cell, View, metric_name, number_cell

MOST_LINES = 6
"""Entries in a figure with lines: the best ones, and always the baseline."""
MOST_SCENARIOS = 12
ROOTED = ("rmse",)
"""Metrics whose value is the square root of numerator / denominator."""


def task_context(name: str, task: Task | None, view: View) -> dict[str, Any]:
    """Everything that task.html shows.

    Args:
        name: name of the task.
        task: its declaration, where the task is installed.
        view: the suite whose Results are shown.
    """
    entries = [entry for entry in _by_error(view, name) if view.results(entry.name, name)]
    conditions = [one for one in CONDITIONS if any(key[1:] == (name, one) for key in view.states)]
    metric = (
        view.results(entries[0].name, name)[0].result.primary if entries else (task.primary if task else "")
    )
    tables = _score_tables(view, name, entries, metric)
    return {
        "title": task.title if task and task.title else name,
        "heading": name,
        "name": name,
        "lead": task.title if task else "",
        "version": task.version if task else None,
        "words": in_words(task) if task else [],
        "yaml": yaml.safe_dump(task.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        if task
        else "",
        "metric": metric_name(metric),
        "seeds": len(view.collection.suite.seeds),
        "conditions": conditions,
        "scores": [view.score_row(entry, name, conditions) for entry in entries],
        "empty": view.empty([entry.name for entry in view.entries], [name]),
        "scenarios": _scenarios(tables, entries),
        "figures": _figures(view, name, entries, tables, metric),
        "data": _data(task) if task else None,
    }


def in_words(task: Task) -> list[tuple[str, str]]:
    """The definition of a task in words, as pairs of a term and what holds."""
    split = task.split
    unit = "rows" if split.kind == "rows" else "% of the rows"
    shares = [
        value if split.kind == "rows" else 100 * value
        for value in (split.train, split.validation, split.test)
    ]
    train, validation, test = (f"{text.count(share)} {unit}" for share in shares)
    scored = "all of them" if task.targets == "all" else ", ".join(task.targets)
    seen = "all variables" if task.variables == "all" else ", ".join(task.variables)
    scale = {"none": "none", "zscore": "per variable, by mean and standard deviation of the training part"}
    space = {"normalised": "on normalised values", "units": "in physical units"}
    return [
        ("Forecast", f"the next {task.horizon} steps; main season {task.period} steps"),
        ("Data set", task.dataset),
        ("Context", f"{seen}, at most {task.max_context} steps; how many is a choice of the entry"),
        ("Scored", f"{scored}, every window of the test part, {space[task.space]}"),
        (
            "Split",
            f"in order of time: {train} for training, {validation} for validation, {test} for the test",
        ),
        ("Normalisation", scale[task.normalisation]),
        ("Metrics", ", ".join(_metric_in_words(task, metric) for metric in task.metrics)),
        ("Missing values", "refused" if task.missing == "refuse" else "masked, never scored, and counted"),
        *((condition.capitalize(), _condition_in_words(task, condition)) for condition in CONDITIONS),
        ("Independent unit", f"block of {task.unit_windows} consecutive windows; cluster: the data set"),
    ]


def _metric_in_words(task: Task, metric: str) -> str:
    return f"{metric_name(metric)} (ranks)" if metric == task.primary else metric_name(metric)


def _condition_in_words(task: Task, condition: str) -> str:
    grids = getattr(task.conditions, condition)
    if isinstance(grids, NotApplicable):
        return f"not applicable: {grids.not_applicable}"
    parts = []
    for grid in grids:
        place = f"test windows of {grid.dataset}" if grid.dataset else "the test part"
        if grid.disturbance is None:
            parts.append(f"{place} as it is" if not grid.dataset else f"{place}, never trained on")
            continue
        levels = ", ".join(f"{level:g}" for level in grid.disturbance.levels)
        parts.append(f"{place} with {grid.disturbance.name} at {grid.disturbance.parameter} {levels}")
    return "; ".join(parts)


def _by_error(view: View, task: str) -> list[Entry]:
    """Entries by their regular error on the task; those without one last."""

    def key(entry: Entry) -> tuple[bool, float, str]:
        error = view.means.get((entry.name, task, "regular"), np.nan)
        return bool(np.isnan(error)), error, entry.name

    return sorted(view.entries, key=key)


def _score_tables(view: View, task: str, entries: list[Entry], metric: str) -> pd.DataFrame:
    """Rows of scores.parquet of the primary metric, all entries and seeds, with the value of each row."""
    tables = []
    for entry in entries:
        for stored in view.results(entry.name, task):
            table = read_table(stored.folder, SCORES_FILE)
            table = table[(table["metric"] == metric) & table["variable"].isna()]
            tables.append(table.assign(entry=entry.name, seed=stored.result.seed))
    if not tables:
        return pd.DataFrame(columns=["entry", "seed", "scenario", "condition", "lead_time", "value"])
    frame = pd.concat(tables, ignore_index=True)
    ratio = frame["numerator"].astype(float) / frame["denominator"].astype(float)
    return frame.assign(value=np.sqrt(ratio) if metric in ROOTED else ratio)


def _scenarios(tables: pd.DataFrame, entries: list[Entry]) -> dict[str, Any] | None:
    totals = tables[tables["lead_time"].isna()]
    keys = list(dict.fromkeys(totals["scenario"]))
    if not 1 < len(keys) <= MOST_SCENARIOS:
        return None
    means = totals.groupby(["entry", "scenario"])["value"].mean()
    rows = []
    for entry in entries:
        values = [means.get((entry.name, key)) for key in keys]
        cells = [
            Cell("skipped", state="skipped") if value is None or np.isnan(value) else _cell(value)
            for value in values
        ]
        rows.append({"entry": entry.name, "cells": cells})
    return {"columns": keys, "rows": rows}


def _cell(value: float) -> Cell:
    return number_cell(float(value), text.number(float(value)))


def _figures(
    view: View, task: str, entries: list[Entry], tables: pd.DataFrame, metric: str
) -> list[dict[str, Any]]:
    shown = [entry.name for entry in _best_and_baseline(view, entries)]
    which = (
        ""
        if len(shown) == len(entries)
        else f" The best {len(shown)} of {len(entries)} entries, with the baseline."
    )
    figures = []
    examples = _examples(view, task, shown)
    if examples is not None:
        caption = f"Context and truth in the colour of the text, forecasts in colour, first seed.{which}"
        label = f"Forecasts of {', '.join(shown)} on cases of {task}, beside the truth"
        figures.append(_figure(charts.forecast_chart(examples, entries=shown), caption, label))
    leads = tables[
        tables["lead_time"].notna() & (tables["condition"] == "regular") & tables["entry"].isin(shown)
    ]
    if len(leads):
        mean = leads.groupby(["entry", "lead_time"])["value"].mean().reset_index()
        caption = f"{metric_name(metric)} by lead time under the regular condition, mean over seeds.{which}"
        svg = charts.lead_time_chart(mean, shown, metric_name(metric))
        figures.append(_figure(svg, caption, caption))
    return figures


def _best_and_baseline(view: View, entries: list[Entry]) -> list[Entry]:
    baseline = [entry for entry in entries[MOST_LINES - 1 :] if entry.name == view.collection.baseline]
    return entries[: MOST_LINES - len(baseline)] + baseline


def _examples(view: View, task: str, shown: list[str]) -> pd.DataFrame | None:
    tables = []
    for entry in shown:
        first = view.results(entry, task)[0].folder
        if (first / EXAMPLES_FILE).is_file():
            tables.append(read_table(first, EXAMPLES_FILE).assign(entry=entry))
    return pd.concat(tables, ignore_index=True) if tables else None


def _figure(svg: str, caption: str, label: str) -> dict[str, Any]:
    # The renderer escapes every text; a test proves it with hostile names.
    return {"svg": Markup(svg), "caption": caption, "label": label}


def _data(task: Task) -> dict[str, Any] | None:
    try:
        entry = registry.dataset(task.dataset)
    except InputError:
        return None  # a task whose data set is not installed still has its page
    card, variant = entry.card, entry.variant
    words = [
        ("Name", f"{entry.name} ({variant.title})"),
        ("Field", card.field),
        ("Origin", entry.origin),
        ("Source", card.source),
        ("Licence", card.licence),
        ("Citation", card.citation),
    ]
    if variant.rows:
        words.append(
            ("Size", f"{text.count(variant.rows)} rows × {variant.variables or 'unknown'} variables")
        )
    if variant.time.step:
        words.append(("Step", variant.time.step))
    for sentinel in variant.sentinels:
        cells = f", {sentinel.cells} cells" if sentinel.cells is not None else ""
        words.append(("Missing code", f"{sentinel.code:g}{cells}. {sentinel.note}"))
    if variant.note:
        words.append(("Note", variant.note))
    return {"summary": card.summary, "words": words}
