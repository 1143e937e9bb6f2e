"""The page of a model: card, standing, scores, published beside reproduced figures, cost."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from tsbench.contracts import CONDITIONS, ModelCard
from tsbench.leaderboard import charts
from tsbench.leaderboard.aggregate import ranks
from tsbench.leaderboard.collect import Stored
from tsbench.leaderboard.entries import Entry, shown
from tsbench.leaderboard.kept import drawn_once

from .. import text
from ..view import Cell, View, low_high, metric_name, number_cell, shade_of, task_href

MOST_STRONG, MOST_TASKS = 5, 30
"""Cells in the tables of strengths, and tasks in their figure."""


def model_context(name: str, card: ModelCard | None, views: Sequence[View]) -> dict[str, Any]:
    """Everything that model.html shows.

    Args:
        name: name of the model; as it comes, also from Results of others.
        card: its card, where the model is installed.
        views: all suites.
    """
    mine = [(view, [entry for entry in view.entries if entry.model == name]) for view in views]
    rows = list(_once_each(mine))
    context = {
        "title": card.title if card else shown(name),
        "heading": card.title if card else shown(name),
        "standings": [row for view, entries in mine for row in _standings(view, entries)],
        "scores": [_score_row(view, entry, task) for view, entry, task in rows],
        "empty": [gap for view, entries in mine for gap in _gaps(view, entries)],
        "cost": [_cost_row(view, entry, task) for view, entry, task in rows],
        "strength": [part for view, entries in mine for part in _strength(view, entries)],
    }
    return context | _card_parts(name, card, rows)


def model_names(views: Iterable[View]) -> list[str]:
    """Models that have Results in any suite or are listed by one."""
    listed = {entry.model for view in views for entry in view.collection.suite.models}
    return sorted(listed | {entry.model for view in views for entry in view.entries})


def _once_each(mine: Sequence[tuple[View, list[Entry]]]) -> Iterable[tuple[View, Entry, str]]:
    """Every (entry, task) with Results; a task of two suites once."""
    seen: set[tuple[str, str]] = set()
    for view, entries in mine:
        for task in view.collection.suite.tasks:
            for entry in entries:
                if (entry.name, task) not in seen and view.results(entry.name, task):
                    seen.add((entry.name, task))
                    yield view, entry, task


def _standings(view: View, entries: Sequence[Entry]) -> Iterable[dict[str, Any]]:
    table = view.standings.table
    for entry in entries:
        place = int(np.flatnonzero(table["entry"] == entry.name)[0])
        yield {
            "suite": view.collection.suite.title,
            "suite_href": view.href,
            "entry": entry.name,
            "context": entry.context,
            "tuning": entry.tuning,
            "learning": entry.learning,
            "leakage": entry.leakage,
            "place": f"{place + 1} of {len(table)}",
            **view.statistics(view.rows[place]),
        }


def _strength(view: View, entries: Sequence[Entry]) -> Iterable[dict[str, Any]]:
    """Where an entry is strong and weak: its error against the baseline's, and its place, in each cell."""
    ranked = view.standings.ranked
    places = ranks(ranked.to_numpy(float))  # (cell, entry)
    there = (~np.isnan(places)).sum(axis=1)
    for entry in entries:
        column = places[:, ranked.columns.get_loc(entry.name)]
        rows = []
        for (task, condition), place, others in zip(ranked.index, column, there, strict=True):
            state, _ = view.states.get((entry.name, task, condition), ("", ""))
            relative = view.relative(entry.name, task, condition)
            if state == "value" and not math.isnan(relative):
                rows.append((task, condition, relative, float(place), int(others)))
        if not rows or entry.name == view.collection.baseline:
            continue
        rows.sort(key=lambda row: row[2])
        most = min(MOST_STRONG, -(-len(rows) // 2))
        strong, weak = rows[:most], rows[most:][-most:][::-1]
        frame = pd.DataFrame(rows, columns=["entry", "condition", "value", "place", "there"])
        tasks = list(dict.fromkeys(frame["entry"]))[:MOST_TASKS]
        frame = frame[frame["entry"].isin(tasks)].sort_values(
            "condition", key=lambda names: names.map(CONDITIONS.index), kind="stable"
        )
        baseline = view.collection.baseline
        caption = f"Error on each task relative to {baseline} (dashed line), strongest first."
        caption += f" The first {MOST_TASKS} tasks." if len(tasks) == MOST_TASKS else ""
        svg = drawn_once(
            charts.condition_chart, frame[["entry", "condition", "value"]], tasks, "relative error"
        )
        yield {
            "suite": view.collection.suite.title,
            "suite_href": view.href,
            "entry": entry.name,
            "parts": [
                ("Strongest", [_cell_row(*row) for row in strong]),
                ("Weakest", [_cell_row(*row) for row in weak]),
            ],
            "figure": {"svg": Markup(svg), "caption": caption, "label": caption},
        }


def _cell_row(task: str, condition: str, relative: float, place: float, there: int) -> dict[str, Any]:
    cell = number_cell(1 - relative, text.percent(1 - relative))
    return {
        "task": task,
        "task_href": task_href(task),
        "condition": condition,
        "skill": replace(cell, shade=shade_of(relative)),
        "place": number_cell(place, f"{place:g} of {there}"),
    }


def _score_row(view: View, entry: Entry, task: str) -> dict[str, Any]:
    values = view.values.get((entry.name, task, "regular"), [])
    return {
        **view.score_row(entry, task, CONDITIONS),
        "anchor": f"{text.slug(entry.name)}--{text.slug(task)}",
        "each": "  ".join(text.number(value) for value in values) or text.NOTHING,
    }


def _gaps(view: View, entries: Sequence[Entry]) -> list[dict[str, str]]:
    return view.empty([entry.name for entry in entries], view.collection.suite.tasks)


def _cost_row(view: View, entry: Entry, task: str) -> dict[str, Any]:
    row = view.costs[entry.name, task]
    shown = {
        "parameters": text.count,
        "fit_seconds": text.duration,
        "fit_flops": lambda value: text.prefixed(value, "flop"),
        "predict_seconds": text.duration,
        "predict_flops": lambda value: text.prefixed(value, "flop"),
        "memory": lambda value: text.prefixed(value, "B"),
    }
    hosts = {one.result.provenance.host for one in view.results(entry.name, task)}
    return {
        "task": task,
        "task_href": task_href(task),
        "entry": entry.name,
        "cells": [number_cell(row[name], form(row[name])) for name, form in shown.items()],
        "host": "; ".join(sorted(hosts)),
    }


def _card_parts(name: str, card: ModelCard | None, rows: Sequence[tuple[View, Entry, str]]) -> dict[str, Any]:
    if card is None:
        return {
            "summary": "",
            "kind": "",
            "facts": [],
            "paper": None,
            "published": [],
            "not_run": [],
            "settings": [],
        }
    reproduced = [stored for view, entry, task in rows for stored in view.results(entry.name, task)]
    figures = _published(card, reproduced)
    return {
        "summary": card.summary,
        "kind": card.kind,
        "facts": [("Name", name), ("Version", str(card.version)), ("Licence", card.licence)],
        "paper": _paper(card),
        "published": [row for row in figures if not row["value_only"]],
        "not_run": [row for row in figures if row["value_only"]],
        "settings": [
            {
                "tasks": settings.words,
                "context": settings.context,
                "tuning": settings.tuning,
                "hyperparameters": _pairs(settings.hyperparameters),
                "training": _pairs(settings.training),
                "note": settings.note,
            }
            for settings in card.settings
        ],
    }


def _paper(card: ModelCard) -> dict[str, Any] | None:
    if card.paper is None:
        return None
    links = {key: _safe_link(getattr(card.paper, key)) for key in ("url", "code")}
    return card.paper.model_dump() | links


def _safe_link(address: str) -> str:
    """Only https is linked: `javascript:` and the like are shown nowhere."""
    return address if address.startswith("https://") else ""


def _published(card: ModelCard, results: Sequence[Stored]) -> list[dict[str, Any]]:
    """Published figures; ours beside them only where task, metric and context agree."""
    rows = []
    for figure in card.published:
        ours = [
            value
            for one in results
            if one.result.task.name == figure.task and one.result.track.context == figure.context
            if (value := one.result.scores.get(figure.metric, {}).get("regular")) is not None
        ]
        mean = float(np.mean(ours)) if ours else None
        rows.append(
            {
                "task": figure.task,
                "task_href": task_href(figure.task) if ours else "",
                "metric": metric_name(figure.metric),
                "context": figure.context if figure.context is not None else "not said",
                "value": f"{figure.value:g}",
                "reproduced": number_cell(mean, text.number(mean), low_high(ours, text.number))
                if mean is not None
                else Cell("not run", state="missing"),
                "difference": text.percent(mean / figure.value - 1, 1, sign=True)
                if mean is not None and figure.value
                else text.NOTHING,
                "source": figure.source,
                "value_only": mean is None,
            }
        )
    return rows


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in values.items()) or text.NOTHING
