"""One suite as the pages see it: its collection, its standings, and the cells of their tables."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tsbench.contracts import CONDITIONS, NotApplicable, Result, Suite, canonical_hash, leakage_of
from tsbench.leaderboard.aggregate import Missing, relative_error
from tsbench.leaderboard.collect import Catalogue, Collection, Stored, collect, read_pool
from tsbench.leaderboard.entries import Entry
from tsbench.leaderboard.standings import Standings, costs, standings
from tsbench.leaderboard.words import metric_words

from . import text

STATES = {"missing": "missing", "skipped": "skipped", "not_applicable": "n/a"}


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, the number it is sorted by, what is below, why it is empty, if best."""

    text: str
    key: str = ""
    below: str = ""
    state: str = ""
    best: bool = False
    href: str = ""
    """From the root of the site; the number is a link to it."""
    shade: int = 0
    """Of a heat table: −4 (much worse than the baseline) to 4 (much better)."""


@dataclass(frozen=True)
class View:
    """A suite with everything that its pages show."""

    collection: Collection
    standings: Standings

    @property
    def href(self) -> str:
        """The suite's page, from the root of the site."""
        return suite_href(self.collection.suite.name)

    @property
    def entries(self) -> list[Entry]:
        """Entries, best first."""
        known = {entry.name: entry for entry in self.collection.entries}
        return [known[name] for name in self.standings.table["entry"]]

    @cached_property
    def values(self) -> dict[tuple[str, str, str], list[float]]:
        """(entry, task, condition) → value of the primary metric for each seed, in the order of the seeds."""
        scores = self.collection.scores
        primary = scores[scores["primary"]].sort_values("seed", kind="stable").dropna(subset=["value"])
        columns = primary[["entry", "task", "condition", "value"]].itertuples(index=False, name=None)
        found: dict[tuple[str, str, str], list[float]] = {}
        for entry, task, condition, value in columns:
            found.setdefault((entry, task, condition), []).append(value)
        return found

    @cached_property
    def means(self) -> dict[tuple[str, str, str], float]:
        """(entry, task, condition) → mean over seeds, as it is ranked."""
        errors = self.standings.errors
        return {
            (entry, task, condition): float(value)
            for (task, condition), row in zip(errors.index, errors.to_numpy(float), strict=True)
            for entry, value in zip(errors.columns, row, strict=True)
        }

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Rows of the standings' table."""
        return [
            {str(key): value for key, value in row.items()} for row in self.standings.table.to_dict("records")
        ]

    @cached_property
    def costs(self) -> dict[Any, dict[str, float]]:
        """(entry, task) → its costs by name, mean over seeds."""
        table = costs(self.collection)
        names = [str(name) for name in table.columns]
        return {
            key: dict(zip(names, row, strict=True))
            for key, row in zip(table.index, table.to_numpy(), strict=True)
        }

    @cached_property
    def states(self) -> dict[tuple[str, str, str], tuple[str, str]]:
        """(entry, task, condition) → state and reason."""
        rows = self.collection.states.itertuples(index=False, name=None)
        return {(entry, task, condition): (state, reason) for entry, task, condition, state, reason in rows}

    def score(self, entry: str, task: str, condition: str) -> Cell:
        """Seed mean with the range of the seeds, or why there is none."""
        state, _ = self.states.get((entry, task, condition), ("no_condition", ""))
        if state == "no_condition":
            return Cell(STATES["not_applicable"], state="not_applicable")
        if state != "value":
            return Cell(STATES[state], state=state)
        values = self.values[entry, task, condition]
        mean = self.means[entry, task, condition]
        cell = number_cell(mean, text.number(mean), low_high(values, text.number))
        return replace(cell, href=self.record(entry, task))

    def record(self, entry: str, task: str) -> str:
        """Address of the page with the Results of an entry on a task; empty where there are none."""
        return self._records.get((entry, task), "")

    @cached_property
    def _records(self) -> dict[tuple[str, str], str]:
        return {key: record_href(found[0].result) for key, found in self.collection.by_task.items()}

    def relative(self, entry: str, task: str, condition: str) -> float:
        """Error relative to the baseline's in the same cell, clipped; NaN where one of the two is missing."""
        baseline = self.collection.baseline
        mine = self.means.get((entry, task, condition), math.nan)
        theirs = self.means.get((baseline, task, condition), math.nan) if baseline else math.nan
        if math.isnan(mine) or math.isnan(theirs):
            return math.nan
        return float(relative_error(np.array([[theirs, mine]]), 0)[0, 1])

    def results(self, entry: str, task: str) -> list[Stored]:
        """Results of an entry on a task, by seed."""
        return self.collection.by_task.get((entry, task), [])

    def score_row(self, entry: Entry, task: str, conditions: Sequence[str]) -> dict[str, Any]:
        """A row of a table of scores."""
        results = self.results(entry.name, task)
        return {
            "task": task,
            "task_href": task_href(task),
            "entry": entry.name,
            "href": model_href(entry.model),
            "context": ", ".join(sorted({str(one.result.track.context or "unknown") for one in results}))
            or text.NOTHING,
            "tuning": entry.tuning,
            "learning": entry.learning,
            "leakage": ", ".join(sorted({leakage_of(one.result) for one in results})) or text.NOTHING,
            "verified": text.verified(results),
            "metric": metric_name(results[0].result.primary) if results else text.NOTHING,
            "cells": [self.score(entry.name, task, condition) for condition in conditions],
            "seeds": number_cell(len(results), str(len(results))),
            "commands": text.commands(results),
        }

    def empty(self, entries: Iterable[str], tasks: Iterable[str]) -> list[dict[str, str]]:
        """Cells without a value, with the reason; conditions of equal reason together."""
        wanted, asked = set(entries), set(tasks)
        grouped: dict[tuple[str, str, str, str], list[str]] = {}
        for (entry, task, condition), (state, reason) in self.states.items():
            if state != "value" and entry in wanted and task in asked:
                grouped.setdefault((entry, task, state, reason), []).append(condition)
        for task in self.collection.suite.tasks:
            for condition, reason in self._not_for(task) if task in asked and wanted else ():
                grouped.setdefault(("every entry", task, "not_applicable", reason), []).append(condition)
        return [
            {
                "entry": entry,
                "task": task,
                "state": state,
                "word": STATES[state],
                "reason": reason,
                "conditions": ", ".join(conditions),
            }
            for (entry, task, state, reason), conditions in sorted(grouped.items())
        ]

    def _not_for(self, task: str) -> list[tuple[str, str]]:
        """Conditions of the suite that a task declares not applicable, with the reason."""
        declared = self.collection.catalogue.tasks.get(task)
        conditions = self.collection.suite.conditions if declared else ()
        grids = (
            [(condition, getattr(declared.conditions, condition)) for condition in conditions]
            if declared
            else []
        )
        return [(name, grid.not_applicable) for name, grid in grids if isinstance(grid, NotApplicable)]

    def statistics(self, row: Mapping[str, Any]) -> dict[str, Cell]:
        """Cells of the three statistics of a row of the standings' table."""
        return {
            "rank": _statistic(row, "mean_rank", lambda value: text.fixed(value, 2)),
            "win": _statistic(row, "win_rate", lambda value: text.percent(value, 0)),
            "skill": _statistic(row, "skill", text.percent),
        }


def views_of(
    suites: Sequence[Suite], results: Sequence[Path], declared: Catalogue, missing: Missing = "impute"
) -> list[View]:
    """Collect and rank each suite; the Results are read once for all."""
    pool = read_pool(results)
    collections = [collect(suite, pool, declared) for suite in suites]
    return [View(one, standings(one, missing=missing)) for one in collections]


def suite_href(name: str) -> str:
    """Address of a suite's page from the root of the site."""
    return f"suites/{text.slug(name)}.html"


def model_href(name: str) -> str:
    """Address of a model's page from the root of the site."""
    return f"models/{text.slug(name)}.html"


def task_href(name: str) -> str:
    """Address of a task's page from the root of the site."""
    return f"tasks/{text.slug(name)}.html"


def scenarios_href(name: str) -> str:
    """Address of a task's scenario explorer from the root of the site."""
    return f"scenarios/{text.slug(name)}.html"


def compare_href(suite: str) -> str:
    """Address of a suite's comparison of entries from the root of the site."""
    return f"compare/{text.slug(suite)}.html"


def record_href(result: Result) -> str:
    """Address of the page of a Result and its other seeds, from the root of the site."""
    made = [
        result.model.version,
        result.model.hyperparameters,
        result.model.training,
        result.model.parameters,
    ]
    made += [result.track.model_dump(), result.task.version, result.task.hash]
    task = text.slug(result.task.name)
    return f"results/{text.slug(result.model.name)}/{task}-{canonical_hash(made)[:8]}.html"


def number_cell(value: float | None, shown: str, below: str = "") -> Cell:
    """A cell with the number that it is sorted by."""
    if value is None or math.isnan(value):
        return Cell(shown, below=below)
    return Cell(shown, repr(float(value)), below)


def low_high(values: Sequence[float], shown: Any) -> str:
    """The range of several values; empty where all read the same."""
    known = [value for value in values if not math.isnan(value)]
    if not known or shown(min(known)) == shown(max(known)):
        return ""
    return f"{shown(min(known))} … {shown(max(known))}"


def metric_name(metric: str) -> str:
    """A metric as tables head it."""
    return metric_words(metric).title


def best_marked(rows: Sequence[Sequence[Cell]], better: Sequence[str]) -> list[list[Cell]]:
    """The same cells, the best of each column marked, also where several are equal.

    Args:
        rows: of a table, equally long.
        better: for each column `lower`, `higher`, or `nominal`: there nothing is marked.
    """
    best: list[str] = []
    for column, direction in zip(zip(*rows, strict=True), better, strict=True):
        keys = sorted({cell.key for cell in column if cell.key}, key=float)
        # With one value only, or the same for all, nothing stands out.
        ranked = len(keys) > 1 and direction != "nominal"
        best.append((keys[0] if direction == "lower" else keys[-1]) if ranked else "")
    return [
        [replace(cell, best=bool(key) and cell.key == key) for cell, key in zip(row, best, strict=True)]
        for row in rows
    ]


def shade_of(relative: float) -> int:
    """Step of a heat table for an error relative to the baseline's: halved or doubled is the end of it."""
    if math.isnan(relative) or relative <= 0:
        return 0
    steps = -4 * math.log2(relative)
    return max(-4, min(4, math.floor(steps) if steps < -0.25 else math.ceil(steps) if steps > 0.25 else 0))


def conditions_of(view: View) -> list[str]:
    """Conditions that at least one task of the suite has."""
    there = {condition for _, _, condition in view.states}
    return [condition for condition in CONDITIONS if condition in there]


def _statistic(row: Mapping[str, Any], name: str, shown: Any) -> Cell:
    return number_cell(
        row[name], shown(row[name]), low_high([row[f"{name}_low"], row[f"{name}_high"]], shown)
    )
