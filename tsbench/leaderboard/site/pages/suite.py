"""The page of a suite: standings with their uncertainty, filters, heat tables of all scores, figures."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tsbench.jobs.checked_in import confirmed_at
from tsbench.leaderboard.entries import Entry

from .. import text
from ..view import (
    View,
    best_marked,
    compare_href,
    conditions_of,
    metric_name,
    model_href,
    number_cell,
    shade_of,
    task_href,
)
from .scopes import fields_of, scopes
from .suite_figures import order_table, pair_figures, suite_figures

MOST_RANGES = 1000
"""Cells up to which the heat tables hold the range of the seeds; with more, the page of a Result has it."""
COST_LIMITS = (
    ("seconds", "Fit and predict", (("1", "at most 1 s"), ("60", "at most 1 min"), ("3600", "at most 1 h"))),
    ("parameters", "Parameters", (("1e4", "at most 10⁴"), ("1e6", "at most 10⁶"), ("1e8", "at most 10⁸"))),
)
STRIP, FLOOR = 120, -0.5
MISSING = {
    "error": "None: a board with a missing value is not built.",
    "drop": "A cell in which an entry has no value is left out for every entry.",
    "impute": (
        "Where an entry has no value in a cell, the baseline's error stands in for it (as in fev), so that "
        "running only the easy tasks gains nothing; cells that nobody has run do not count. Where the model "
        "declares a task not applicable it takes no part in the comparison there."
    ),
}


def suite_context(view: View) -> dict[str, Any]:
    """Everything that suite.html shows."""
    suite, standings = view.collection.suite, view.standings
    conditions = conditions_of(view)
    said = standings.uncertainty
    interval = said.kind == "interval"
    return {
        "title": suite.title,
        "suite": suite,
        "facts": _facts(view),
        "rows": [_row(view, number) for number in range(len(standings.table))],
        "strip_title": "Skill: interval, mean" if interval else "Skill: seeds, range, mean",
        "uncertainty": "Below each number: its 95 % interval."
        if interval
        else "Below each number: range of the seeds.",
        "uncertainty_long": said.reason,
        "figures": suite_figures(view, conditions) if len(standings.ranked) else [],
        "pairs": pair_figures(view) if len(standings.ranked) else [],
        "order": order_table(view) if len(standings.ranked) else None,
        "by_condition": _by_condition(view, conditions),
        "scores": [_scores(view, condition) for condition in conditions],
        "filters": _filters(view, conditions),
        "task_links": {task: task_href(task) for task in suite.tasks},
        "compare": compare_href(suite.name) if len(view.entries) > 1 else "",
        "data": {"scopes": scopes(view), "entries": len(view.rows)},
        "empty": view.empty([entry.name for entry in view.entries], suite.tasks),
        "refused": refused_rows(view.collection.refused),
        "ranked": _ranked_cells(view),
        "baseline": suite.baseline,
        "missing": MISSING[standings.missing],
    }


def refused_rows(refused: pd.DataFrame) -> list[dict[str, str]]:
    """Results that are not ranked, seeds of the same reason together."""
    grouped: dict[tuple[str, str, str], set[int]] = {}
    for model, task, seed, reason in refused.itertuples(index=False, name=None):
        seeds = grouped.setdefault((model, task, reason), set())
        seeds |= set() if pd.isna(seed) else {int(seed)}
    return [
        {
            "model": model,
            "task": task,
            "reason": reason,
            "seeds": ", ".join(map(str, sorted(seeds))) or text.NOTHING,
        }
        for (model, task, reason), seeds in sorted(grouped.items())
    ]


def _facts(view: View) -> list[tuple[str, str]]:
    suite, stored = view.collection.suite, view.collection.stored.values()
    facts = [
        ("Tasks", str(len(suite.tasks))),
        ("Entries", str(len(view.entries))),
        ("Results", str(len(stored))),
        ("Seeds", ", ".join(map(str, suite.seeds))),
        ("Baseline", suite.baseline),
    ]
    if stored:
        facts.append(("Newest Result", max(one.result.provenance.created for one in stored)[:10]))
    if count := sum(confirmed_at(one.folder, one.result) is not None for one in stored):
        facts.append(("Confirmed", f"{count} Results: later code gave equal scores"))
    if checked := [one.verified for one in stored if one.verified is not None]:
        part = sum(not one.whole for one in checked)
        said = f", of {part} a part that was drawn by lot" if part else ""
        facts.append(("Computed again", f"forecasts of {len(checked)} submitted Results{said}"))
    return facts


def _row(view: View, number: int) -> dict[str, Any]:
    row, entry = view.rows[number], view.entries[number]
    seconds = row["fit_seconds"] + row["predict_seconds"]
    flops = row["fit_flops"] + row["predict_flops"]
    total = row["cells"] + row["missing"]
    return {
        "entry": row["entry"],
        "href": model_href(row["model"]),
        "baseline": row["entry"] == view.collection.baseline,
        "context": row["context"],
        "tuning": row["tuning"],
        "learning": row["learning"],
        "leakage": row["leakage"],
        **view.statistics(row),
        "strip": _strip(view, row),
        "kind": _kind(view, entry),
        "tunings": entry.tunings,
        "learnings": entry.learnings,
        "cells": number_cell(row["cells"], str(row["cells"]), f"of {total}" if row["missing"] else ""),
        "seeds": number_cell(row["seeds"], str(row["seeds"])),
        "parameters": number_cell(row["parameters"], text.count(row["parameters"])),
        "seconds": number_cell(seconds, text.duration(seconds)),
        "flops": number_cell(flops, text.prefixed(flops, "flop")),
    }


def _kind(view: View, entry: Entry) -> str:
    """Class of the model, by its card."""
    card = view.collection.catalogue.cards.get(entry.model)
    return card.kind if card else "unknown"


def _by_condition(view: View, conditions: list[str]) -> dict[str, Any]:
    """Heat table: skill under each condition, and how much the error grows from the regular one."""
    table = view.standings.table
    conditions = [one for one in conditions if table[f"skill_{one}"].notna().any()]
    dropping = [one for one in _dropping(conditions) if table[f"drop_{one}"].notna().any()]
    columns = [(f"Skill, {one}", "") for one in conditions] + [
        (f"Error, {one}", "against regular") for one in dropping
    ]
    rows = []
    for row in view.rows:
        cells = []
        for one in conditions:
            value = row[f"skill_{one}"]
            shade = 0 if math.isnan(value) else shade_of(1 - value)
            cells.append(replace(number_cell(value, text.percent(value)), shade=shade))
        for one in dropping:
            value = row[f"drop_{one}"]
            shade = 0 if math.isnan(value) else shade_of(math.exp(value))
            cells.append(replace(number_cell(value, text.drop(value)), shade=shade))
        rows.append({"entry": row["entry"], "href": model_href(row["model"]), "cells": cells})
    return {"columns": columns, "rows": rows}


def _scores(view: View, condition: str) -> dict[str, Any]:
    """Heat table of a condition: entries × tasks, each number a link to its Results."""
    tasks = [
        task
        for task in view.collection.suite.tasks
        if any(key[1:] == (task, condition) for key in view.states)
    ]
    few = len(tasks) * len(view.entries) <= MOST_RANGES
    rows = []
    for entry in view.entries:
        cells = []
        for task in tasks:
            cell = view.score(entry.name, task, condition)
            shade = shade_of(view.relative(entry.name, task, condition)) if cell.key else 0
            cells.append(replace(cell, shade=shade, below=cell.below if few else ""))
        rows.append({"entry": entry.name, "href": model_href(entry.model), "cells": cells})
    better = ["lower"] * len(tasks)
    marked = best_marked([row["cells"] for row in rows], better) if rows else []
    fields = fields_of(view)
    return {
        "condition": condition,
        "ranges": few,
        "columns": [
            {"task": task, "href": task_href(task), "metric": _metric(view, task), "field": fields[task]}
            for task in tasks
        ],
        "rows": [row | {"cells": cells} for row, cells in zip(rows, marked, strict=True)],
    }


def _metric(view: View, task: str) -> str:
    found = [results[0] for entry in view.entries if (results := view.results(entry.name, task))]
    return metric_name(found[0].result.primary) if found else text.NOTHING


def _filters(view: View, conditions: list[str]) -> list[dict[str, Any]]:
    """Choices of the filters that have more than one: a name, a title, and pairs of value and text."""
    entries = view.entries
    several = {
        "field": ("Field", list(fields_of(view).values())),
        "condition": ("Condition", conditions),
        "tuning": ("Tuning", [one for entry in entries for one in entry.tunings]),
        "learning": ("Learning", [one for entry in entries for one in entry.learnings]),
        "kind": ("Model class", [_kind(view, entry) for entry in entries]),
    }
    found = [
        {"name": name, "title": title, "choices": [("", "all"), *((one, one) for one in choices)]}
        for name, (title, values) in several.items()
        if len(choices := sorted({value for value in values if value})) > 1
    ]
    for name, title, limits in COST_LIMITS:
        found.append({"name": name, "title": title, "choices": [("", "any"), *limits]})
    return found


def _dropping(conditions: list[str]) -> list[str]:
    return [one for one in conditions if one != "regular"] if "regular" in conditions else []


def _strip(view: View, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where the marks of a skill score lie, on one axis for all rows with the baseline's zero."""
    if math.isnan(row["skill"]):
        return None
    table = view.standings.table
    # Far below the baseline the axis ends: one hopeless entry must not squeeze the others together.
    floor = max(float(np.nanmin(table[["skill", "skill_low"]].to_numpy())), FLOOR)
    ceiling = max(float(np.nanmax(table[["skill", "skill_high"]].to_numpy())), 0.0)
    floor = min(floor, 0.0)

    def place(value: float) -> str:
        inside = min(max((value - floor) / max(ceiling - floor, 1e-9), 0.0), 1.0)
        return f"{6 + inside * (STRIP - 12):.1f}"

    points = view.standings.points
    own = points[points["entry"] == row["entry"]]["skill"].dropna()
    seeds = own if view.standings.uncertainty.kind == "range" else []
    return {
        "zero": place(0.0),
        "low": place(row["skill_low"] if not math.isnan(row["skill_low"]) else row["skill"]),
        "high": place(row["skill_high"] if not math.isnan(row["skill_high"]) else row["skill"]),
        "value": place(row["skill"]),
        "points": [place(value) for value in seeds if value >= floor],
        "beyond": row["skill"] < floor,
    }


def _ranked_cells(view: View) -> str:
    cells, errors = len(view.standings.ranked), view.standings.errors
    without = int(errors.isna().all(axis=1).sum())
    dropped = len(errors) - without - cells
    parts = [f"{cells} cells are ranked."]
    if without:
        parts.append(f"{without} have no value from anybody yet.")
    if dropped:
        parts.append(f"{dropped} were left out because an entry has no value there.")
    return " ".join(parts)
