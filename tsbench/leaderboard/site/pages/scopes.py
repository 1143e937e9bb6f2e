"""What a suite's page can be narrowed to: standings by field and condition, and facts that entries have."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tsbench import registry
from tsbench.contracts import Task
from tsbench.leaderboard import aggregate

from .. import text
from ..view import View, conditions_of

ALL = ""


def field_of(task: Task | None) -> str:
    """The field that a task's data come from; empty where the data set is not installed."""
    known = registry.datasets().get(task.dataset) if task else None
    return known.card.field if known else ""


def fields_of(view: View) -> dict[str, str]:
    """Task → field."""
    tasks = view.collection.catalogue.tasks
    return {name: field_of(tasks.get(name)) for name in view.collection.suite.tasks}


def scopes(view: View) -> list[dict[str, Any]]:
    """Standings over a part of the cells, for each field and condition that has ranked cells.

    The statistics are those of the whole board (`aggregate`) over fewer cells. Each has, in the order of the
    view's rows, a place, and for each statistic the key it is sorted by and its text.
    """
    ranked, fields = view.standings.ranked, fields_of(view)
    tasks, conditions = (ranked.index.get_level_values(level) for level in ("task", "condition"))
    own = np.array([fields[task] for task in tasks], dtype=object)
    found = []
    for field in _choices(list(fields.values())):
        for condition in _choices(conditions_of(view)):
            mask = (own == field) | (field == ALL)
            mask = mask & ((conditions.to_numpy() == condition) | (condition == ALL))
            if mask.any():
                found.append({"field": field, "condition": condition} | _standing(view, mask))
    return found


def _choices(values: Sequence[str]) -> list[str]:
    known = list(dict.fromkeys(value for value in values if value))
    return [ALL, *known] if len(known) > 1 else [ALL]


def _standing(view: View, mask: np.ndarray) -> dict[str, Any]:
    ranked, names = view.standings.ranked, [row["entry"] for row in view.rows]
    errors = ranked.loc[mask, names].to_numpy(float)
    baseline = view.collection.baseline
    rank, win = aggregate.mean_rank(errors), aggregate.win_rate(errors)
    place = names.index(baseline) if baseline in names else None
    skill = np.full(len(names), np.nan) if place is None else aggregate.skill_score(errors, place)
    order = sorted(range(len(names)), key=lambda at: (np.isnan(rank[at]), rank[at], names[at]))
    places = {at: number + 1 for number, at in enumerate(order)}
    return {
        "cells": int(mask.sum()),
        "place": [places[at] for at in range(len(names))],
        "rank": [_pair(value, text.fixed(value, 2)) for value in rank],
        "win": [_pair(value, text.percent(value, 0)) for value in win],
        "skill": [_pair(value, text.percent(value)) for value in skill],
    }


def _pair(value: float, shown: str) -> list[Any]:
    return [None if np.isnan(value) else float(value), shown]
