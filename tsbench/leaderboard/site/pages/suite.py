"""The page of a suite: standings with their uncertainty, two figures, every score with its command."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from tsbench.jobs.checked_in import confirmed_at
from tsbench.leaderboard import aggregate, charts

from .. import text
from ..view import Cell, View, conditions_of, model_href, number_cell

MOST_ROWS = 30
"""Entries in the figure by condition; the table has them all."""
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
        "rows": [_row(view, number, conditions) for number in range(len(standings.table))],
        "conditions": conditions,
        "dropping": _dropping(conditions),
        "strip_title": "Skill: interval, mean" if interval else "Skill: seeds, range, mean",
        "uncertainty": "Below each number: its 95 % interval."
        if interval
        else "Below each number: range of the seeds.",
        "uncertainty_long": said.reason,
        "figures": _figures(view, conditions) if len(standings.ranked) else [],
        "scores": [
            view.score_row(entry, task, conditions)
            for task in suite.tasks
            for entry in view.entries
            if view.results(entry.name, task)
        ],
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
    return facts


def _row(view: View, number: int, conditions: list[str]) -> dict[str, Any]:
    row = view.rows[number]
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
        "conditions": [_share(row[f"skill_{one}"]) for one in conditions],
        "drops": [
            number_cell(row[f"drop_{one}"], text.drop(row[f"drop_{one}"])) for one in _dropping(conditions)
        ],
        "cells": number_cell(row["cells"], str(row["cells"]), f"of {total}" if row["missing"] else ""),
        "seeds": number_cell(row["seeds"], str(row["seeds"])),
        "parameters": number_cell(row["parameters"], text.count(row["parameters"])),
        "seconds": number_cell(seconds, text.duration(seconds)),
        "flops": number_cell(flops, text.prefixed(flops, "flop")),
    }


def _share(value: float) -> Cell:
    return number_cell(value, text.percent(value))


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


def _figures(view: View, conditions: list[str]) -> list[dict[str, Any]]:
    table, baseline = view.standings.table, view.collection.suite.baseline
    if table["skill"].isna().all():
        return []
    figures = []
    axis = f"error relative to {baseline}"
    for title, name, form in (
        ("seconds to fit and predict, mean per task", "seconds", "~g"),
        ("compute", "flops", "~s"),
    ):
        cost = table[f"fit_{name}"] + table[f"predict_{name}"]
        points = pd.DataFrame({"entry": table["entry"], "cost": cost, "error": 1 - table["skill"]})
        points = points[points["cost"].gt(0) & points["error"].notna()]
        if len(points) < 2:
            continue
        title = "floating-point operations to fit and predict, mean per task" if name == "flops" else title
        left_out = len(table) - len(points)
        caption = f"Error against {'time' if name == 'seconds' else 'compute'}. Filled: on the Pareto front."
        if left_out:
            caption += f" {left_out} without a counted cost {'is' if left_out == 1 else 'are'} not shown."
        figures.append(_figure(charts.cost_chart(points, title, axis, form), caption, caption))
    figures.append(_condition_figure(view, conditions))
    return figures


def _condition_figure(view: View, conditions: list[str]) -> dict[str, Any]:
    table = view.standings.table.head(MOST_ROWS)
    long = table.melt("entry", [f"skill_{one}" for one in conditions], "condition", "score").dropna()
    long["condition"] = long["condition"].str.removeprefix("skill_")
    # Clipped ratios are at least 0.01 each, so the logarithmic axis is safe.
    frame = long.assign(value=(1 - long["score"]).clip(*aggregate.CLIP))[["entry", "condition", "value"]]
    baseline = view.collection.suite.baseline
    caption = f"Error under each condition relative to {baseline} (dashed line) under the same condition."
    if len(view.standings.table) > MOST_ROWS:
        caption += f" The first {MOST_ROWS} entries."
    title = "relative error (geometric mean over tasks)"
    return _figure(charts.condition_chart(frame, list(table["entry"]), title), caption, caption)


def _figure(svg: str, caption: str, label: str) -> dict[str, Any]:
    # The renderer escapes every text; a test proves it with hostile names.
    return {"svg": Markup(svg), "caption": caption, "label": label}
