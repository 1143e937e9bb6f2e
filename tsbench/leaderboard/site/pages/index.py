"""The overview: suites with their best entries, what was measured on what, and which models there are."""

from collections.abc import Mapping, Sequence
from typing import Any

from tsbench.contracts import CONDITIONS, ModelCard, Task
from tsbench.leaderboard.entries import shown

from .. import text
from ..view import View, metric_name, model_href, record_href, task_href
from .model import model_names
from .scopes import field_of

BEST = 3


def index_context(
    views: Sequence[View], tasks: Mapping[str, Task], cards: Mapping[str, ModelCard]
) -> dict[str, Any]:
    """Everything that index.html shows."""
    return {
        "title": "Leaderboards",
        "suites": [_suite(view) for view in views],
        "tasks": [_task(name, tasks.get(name), views) for name in task_names(views)],
        "models": [_model(name, cards.get(name), views) for name in model_names(views)],
        "fields": _fields(views, tasks),
        "coverage": _coverage(views, cards),
        "total": len({id(stored) for view in views for stored in view.collection.stored.values()}),
    }


def task_names(views: Sequence[View]) -> list[str]:
    """Tasks of all suites, each once, in the order of the suites."""
    return list(dict.fromkeys(task for view in views for task in view.collection.suite.tasks))


def _fields(views: Sequence[View], tasks: Mapping[str, Task]) -> list[dict[str, Any]]:
    """Fields with their data sets, tasks and Results."""
    grouped: dict[str, list[str]] = {}
    for name in task_names(views):
        grouped.setdefault(field_of(tasks.get(name)) or "other", []).append(name)
    found = []
    for field, names in sorted(grouped.items()):
        results = {
            id(one) for view in views for (_, of, _), one in view.collection.stored.items() if of in names
        }
        found.append(
            {
                "name": field,
                "datasets": len({task.dataset for name in names if (task := tasks.get(name))}),
                "tasks": [{"name": name, "href": task_href(name)} for name in names],
                "results": len(results),
            }
        )
    return found


def _coverage(views: Sequence[View], cards: Mapping[str, ModelCard]) -> dict[str, Any]:
    """What was measured on what: models × tasks, the number of Results with a link to them."""
    found: dict[tuple[str, str], dict[int, str]] = {}
    declared = {name: task for view in views for name, task in view.collection.catalogue.tasks.items()}
    for view in views:
        for stored in view.collection.stored.values():
            result = stored.result
            href = record_href(result)
            found.setdefault((result.model.name, result.task.name), {})[id(stored)] = href
    tasks = [name for name in task_names(views) if any(task == name for _, task in found)]
    seeds = {
        name: max(len(view.collection.suite.seeds) for view in views if name in view.collection.suite.tasks)
        for name in tasks
    }
    rows = []
    for name in model_names(views):
        card = cards.get(name)
        cells = []
        for task in tasks:
            hrefs = found.get((name, task), {})
            gap = card.gap(declared.get(task, task)) if card else None
            kind = "full" if len(hrefs) >= seeds[task] else "part" if hrefs else "gap" if gap else "none"
            cells.append(
                {"kind": kind, "count": len(hrefs), "href": min(hrefs.values(), default=""), "task": task}
            )
        if any(cell["count"] for cell in cells):
            rows.append({"model": shown(name), "href": model_href(name), "cells": cells})
    return {"tasks": [{"name": name, "href": task_href(name)} for name in tasks], "rows": rows}


def _suite(view: View) -> dict[str, Any]:
    suite, collection = view.collection.suite, view.collection
    best = [
        {
            "entry": row["entry"],
            "href": model_href(row["model"]),
            **view.statistics(row),
        }
        for row in view.rows[:BEST]
    ]
    facts = f"{len(suite.tasks)} tasks · {len(view.entries)} entries · {len(collection.stored)} Results"
    return {
        "name": suite.name,
        "slug": text.slug(suite.name),
        "title": suite.title,
        "summary": suite.summary,
        "href": view.href,
        "best": best,
        "facts": facts.replace("1 tasks", "1 task") if len(suite.tasks) == 1 else facts,
    }


def _task(name: str, task: Task | None, views: Sequence[View]) -> dict[str, Any]:
    stored = {
        id(one): (entry, one)
        for view in views
        for (entry, of, _), one in view.collection.stored.items()
        if of == name
    }
    return {
        "name": name,
        "href": task_href(name),
        "dataset": task.dataset if task else text.NOTHING,
        "field": field_of(task) or text.NOTHING,
        "horizon": task.horizon if task else "",
        "metric": metric_name(task.primary) if task else text.NOTHING,
        "conditions": ", ".join(one for one in CONDITIONS if task and task.grids(one)),
        "entries": len({entry for entry, _ in stored.values()}),
        "results": len(stored),
    }


def _model(name: str, card: ModelCard | None, views: Sequence[View]) -> dict[str, Any]:
    results = {
        id(one): one.result.task.name
        for view in views
        for one in view.collection.stored.values()
        if one.result.model.name == name
    }
    return {
        "name": shown(name),
        "href": model_href(name),
        "kind": card.kind if card else text.NOTHING,
        "summary": card.summary if card else "Not installed here: known from its Results only.",
        "tasks": len(set(results.values())),
        "results": len(results),
    }
