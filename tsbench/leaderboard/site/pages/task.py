"""The page of a task: definition in words and YAML, scores, scenarios, forecasts, data."""

import json
from typing import Any

import numpy as np
import pandas as pd
import yaml
from markupsafe import Markup

from tsbench import registry
from tsbench.contracts import CONDITIONS, InputError, Task
from tsbench.contracts.result import EXAMPLE_BOUNDS, EXAMPLES_FILE
from tsbench.evaluation.record import read_table
from tsbench.leaderboard import charts
from tsbench.leaderboard.entries import Entry
from tsbench.leaderboard.grid import Grid, grids
from tsbench.leaderboard.kept import drawn_once, kept
from tsbench.leaderboard.words import FEATURES, average_words, metric_words, scenario_words

from .. import text
from ..view import Cell, View, best_marked, number_cell, scenarios_href
from . import map_gallery
from .averages import average_names, metric_tables, score_rows
from .definition import in_words
from .gallery import TYPICAL, WORST, chosen_cases, chosen_panels
from .grid_section import grid_figures, grid_tables
from .scenario_values import ScenarioValues, scenario_values
from .scenarios import explored
from .worst import worst_units

MOST_LINES = 6
"""Entries in a figure with lines: the best ones, and always the baseline."""
MOST_MAPS = 4
"""Entries with heat maps."""
MOST_SCENARIOS = 12
LINES = ("sequence", "panel", "grid")
"""Views whose examples are values in time: of a series, of a place by period, of a point of a grid."""
WHICH = {TYPICAL: "a typical", WORST: "the worst", "": "one"}


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
    values = scenario_values(view, name, entries, metric)
    cells = _grids(view, task, values) if task else []
    averages = average_names(view, name, entries, conditions)
    metrics = list(view.results(entries[0].name, name)[0].result.scores) if entries else []
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
        "metric": metric_words(metric),
        "seeds": len(view.collection.suite.seeds),
        "averages": [average_words(one) for one in averages],
        "scores": score_rows(view, name, entries, averages),
        "metrics": metric_tables(view, name, entries, metrics, averages),
        "empty": view.empty([entry.name for entry in view.entries], [name]),
        "scenarios": None if cells else _scenarios(values, entries, metric),
        "grids": grid_tables(cells, [entry.name for entry in entries], metric_words(metric)),
        "explorer": scenarios_href(name) if explored(view, name) else "",
        "narrow": task is not None and task.view in LINES and not cells,
        "figures": _figures(view, name, task, entries, values, cells, metric),
        "worst": worst_units(view, task, name, _best_and_baseline(view, entries, MOST_LINES)),
        "data": _data(task) if task else None,
        "picture": _picture(view, name, task, entries),
    }


def _by_error(view: View, task: str) -> list[Entry]:
    """Entries by their regular error on the task; those without one last."""

    def key(entry: Entry) -> tuple[bool, float, str]:
        error = view.means.get((entry.name, task, "regular"), np.nan)
        return bool(np.isnan(error)), error, entry.name

    return sorted(view.entries, key=key)


def _grids(view: View, task: Task, values: ScenarioValues) -> list[Grid]:
    """The grids of a task with cells, with the value of each entry in each scenario, mean over seeds."""
    wide = values.scenarios.pivot_table(index="entry", columns="scenario", values="value", aggfunc="mean")
    averages = view.collection.averages.get(task.name, {})
    return grids(task.scenarios(), dict(averages), wide) if len(wide) else []


def _scenarios(values: ScenarioValues, entries: list[Entry], metric: str) -> dict[str, Any] | None:
    keys = list(dict.fromkeys(values.scenarios["scenario"]))
    if not 1 < len(keys) <= MOST_SCENARIOS:
        return None
    means = values.scenarios.set_index(["entry", "scenario"])["value"]
    cells = [[_cell(means.get((entry.name, key))) for key in keys] for entry in entries]
    marked = best_marked(cells, [metric_words(metric).better] * len(keys))
    rows = [{"entry": entry.name, "cells": row} for entry, row in zip(entries, marked, strict=True)]
    return {"columns": [(scenario_words(key), "") for key in keys], "rows": rows}


def _cell(value: float | None) -> Cell:
    if value is None or np.isnan(value):
        return Cell("skipped", state="skipped")
    return number_cell(float(value), text.number(float(value)))


def _figures(
    view: View,
    name: str,
    task: Task | None,
    entries: list[Entry],
    values: ScenarioValues,
    cells: list[Grid],
    metric: str,
) -> list[dict[str, Any]]:
    shown, mapped = (_best_and_baseline(view, entries, most) for most in (MOST_LINES, MOST_MAPS))
    words, which = metric_words(metric), _which(shown, entries)
    figures = _gallery(view, name, shown, task.view if task else "sequence", which)
    for svg, caption in grid_figures(cells, mapped, shown, words):
        figures.append(_figure(svg, caption, caption))
    leads = values.leads[values.leads["entry"].isin(shown)]
    if leads["lead_time"].nunique() > 1:
        caption = f"{words.title} by lead time under the regular condition, mean over seeds.{which}"
        drawn = drawn_once(charts.lead_time_chart, leads, shown, words.title)
        figures.append(_figure(drawn, caption, caption))
    return figures


def _gallery(view: View, name: str, shown: list[str], shape: str, which: str) -> list[dict[str, Any]]:
    """Forecasts beside the truth: typical cases and the worst of those that Results keep."""
    prints = [view.results(entry, name)[0].fingerprint for entry in shown]

    def make() -> str:
        examples = _examples(view, name, shown)
        return json.dumps([] if examples is None else _drawn_gallery(examples, shown, shape, name, which))

    found = json.loads(kept("gallery", [name, shape, which, shown, prints], make))
    return [_figure(*one) for one in found]


def _drawn_gallery(
    examples: pd.DataFrame, shown: list[str], view: str, task: str, which: str
) -> list[tuple[str, str, str]]:
    """Figures as SVG, caption and label."""
    label = f"Forecasts of {', '.join(shown)} on cases of {task}, beside the truth"
    kept = len(examples.groupby(["scenario", "case"]))
    said = f" Typical and worst: by the mean error of these entries, of the {kept} cases that Results keep."
    if view in LINES:
        examples = _lines(examples)
        if examples.empty:
            return []
        bounded = set(EXAMPLE_BOUNDS) <= set(examples)
        bands = ", with a band for 80 % intervals where there are such" if bounded else ""
        caption = (
            f"Context and truth in the colour of the text, forecasts in colour{bands}, first seed.{which}"
        )
        chosen = chosen_panels(examples)
        drawn = drawn_once(charts.forecast_chart, examples, entries=shown, chosen=chosen)
        return [(drawn, caption + (said if len(chosen) > 1 else ""), label)]
    if view in map_gallery.VIEWS:
        return map_gallery.map_figures(examples, shown, task, which)
    feature = FEATURES.get(view, "variable")
    figures = []
    for scenario, case, word in chosen_cases(examples):
        mine = examples[(examples["scenario"] == scenario) & (examples["case"] == case)]
        svg = drawn_once(charts.response_images, mine, shown, variable_title=feature, value_title="magnitude")
        caption = (
            f"Magnitude over time and {feature} of {WHICH[word]} "
            f"case ({scenario_words(scenario)}): context and truth, with a line at the forecast origin, and "
            f"beside them the forecasts, first seed, in the same shades.{which}{said if word else ''}"
        )
        figures.append((svg, caption, label))
    return figures


def _lines(examples: pd.DataFrame) -> pd.DataFrame:
    """Those examples that make a line: a single value without any before it is none."""
    steps = examples.groupby(["scenario", "case", "variable"])["lead_time"].transform("nunique")
    return examples[steps > 1]


def _picture(view: View, name: str, task: Task | None, entries: list[Entry]) -> dict[str, Any] | None:
    """What the data look like, from the Result that keeps the longest context."""
    if task is None or task.view not in LINES:
        return None  # the gallery shows images of the truth
    contexts = {one.name: max((c for c in one.contexts if c is not None), default=0) for one in entries}
    for entry in sorted(contexts, key=lambda one: (-contexts[one], one)):
        examples = _examples(view, name, [entry])
        if examples is not None and len(_lines(examples)):
            stamp = str(examples["time"].iloc[0]).replace("T", " ")[:16]
            caption = f"One case of the test part from {stamp}, in the task's metric space. "
            caption += "The line is the forecast origin."
            return _figure(drawn_once(charts.data_chart, examples), caption, f"Values of {task.dataset}")
    return None


def _which(shown: list[str], entries: list[Entry]) -> str:
    if len(shown) == len(entries):
        return ""
    return f" The best {len(shown)} of {len(entries)} entries, with the baseline."


def _best_and_baseline(view: View, entries: list[Entry], most: int) -> list[str]:
    baseline = [entry for entry in entries[most - 1 :] if entry.name == view.collection.baseline]
    return [entry.name for entry in entries[: most - len(baseline)] + baseline]


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
