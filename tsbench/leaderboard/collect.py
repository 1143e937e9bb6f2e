"""Reads Results into one tidy frame of a suite: which entry, which cell, which value, why a cell is empty.

Owns the question of what may stand beside what: Results made for another version of a task, on other data or
with a parity flag are refused, each with its reason. What the numbers mean together is left to `aggregate`.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from tsbench import registry
from tsbench.contracts import DeclaredGap, InputError, ModelCard, Result, Suite, Task, averages
from tsbench.contracts.commitment import VERIFIED_FILE, Verified
from tsbench.contracts.result import EXAMPLES_FILE, RESULT_FILE, SCORES_FILE, UNITS_FILE
from tsbench.evaluation.record import find_results, read_result

from .entries import Entry, assign_entries
from .interchange import IMPORTED
from .verified import verified_at

State = Literal["value", "missing", "skipped", "not_applicable"]
SCORE_FRAME = ("entry", "task", "condition", "seed", "metric", "primary", "value")
STATE_FRAME = ("entry", "task", "condition", "state", "reason")
REFUSED_FRAME = ("model", "task", "seed", "reason")
Averages = Mapping[str, Mapping[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Stored:
    """A Result and the folder that it was read from."""

    folder: Path
    result: Result
    verified: Verified | None = None
    """How much of its forecasts the check of a submission has seen."""

    @cached_property
    def age(self) -> tuple[str, str]:
        """Sort key: the time of creation, then the whole record, so that ties do not depend on the path."""
        return self.result.provenance.created, self.result.model_dump_json()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content of the folder's files, wherever the folder is."""
        digest = hashlib.blake2b(digest_size=16)
        for name in (RESULT_FILE, SCORES_FILE, UNITS_FILE, EXAMPLES_FILE, VERIFIED_FILE):
            path = self.folder / name
            digest.update(name.encode() + (path.read_bytes() if path.is_file() else b"") + b"\0")
        return digest.hexdigest()


@dataclass(frozen=True)
class Pool:
    """Results as read from disk, oldest first, and what could not be read."""

    stored: tuple[Stored, ...]
    unreadable: tuple[tuple[str, str], ...] = ()
    """Name of the folder and the reason."""


@dataclass(frozen=True)
class Catalogue:
    """The declarations that Results are held against: tasks and model cards by name."""

    tasks: Mapping[str, Task]
    cards: Mapping[str, ModelCard]


@dataclass(frozen=True)
class Collection:
    """The Results of one suite, ready to be aggregated.

    Attributes:
        suite: the suite.
        catalogue: declarations of its tasks and models.
        entries: what is ranked, listed entries of the suite first.
        stored: (entry, task, seed) → the one Result that counts.
        scores: tidy frame with the columns `SCORE_FRAME`; one row per Result, condition and metric.
        states: frame with the columns `STATE_FRAME`; one row per entry and cell (task × condition).
        refused: frame with the columns `REFUSED_FRAME`; Results that are not ranked, with the reason.
        averages: task → name of an average → keys of its scenarios, for the tasks that are installed; only
            those under a condition's own name are ranked.
        imported: Results that were read from others' tables; never ranked here.
    """

    suite: Suite
    catalogue: Catalogue
    entries: tuple[Entry, ...]
    stored: Mapping[tuple[str, str, int], Stored]
    scores: pd.DataFrame
    states: pd.DataFrame
    refused: pd.DataFrame
    averages: Averages
    imported: tuple[Result, ...] = ()

    @property
    def with_imported(self) -> list[tuple[str, Result]]:
        """Every Result that counts, and every imported one, with the name of its entry or model."""
        ours = [(entry, one.result) for (entry, _, _), one in sorted(self.stored.items())]
        return [*ours, *((one.model.name, one) for one in self.imported)]

    @property
    def baseline(self) -> str | None:
        """Name of the entry that skill scores refer to, if it has a Result."""
        return next((entry.name for entry in self.entries if entry.model == self.suite.baseline), None)

    @cached_property
    def by_task(self) -> dict[tuple[str, str], list[Stored]]:
        """(entry, task) → its Results, by seed."""
        grouped: dict[tuple[str, str], list[Stored]] = {}
        for entry, task, seed in sorted(self.stored):
            grouped.setdefault((entry, task), []).append(self.stored[entry, task, seed])
        return grouped

    @cached_property
    def by_cluster(self) -> dict[tuple[tuple[str, ...], str], pd.DataFrame]:
        """Entries and treatment of missing values → errors by cluster; filled by `clusters`."""
        return {}

    def usable(self, result: Result, average: str) -> bool:
        """Whether a Result's value of an average is finite and a mean over all of its scenarios."""
        return usable(result, average, self.averages.get(result.task.name))


def catalogue() -> Catalogue:
    """The declarations of everything that is installed."""
    return Catalogue(registry.tasks(), registry.models())


def result_folders(suite: str, runs: Path | None) -> list[Path]:
    """Folders of the suite's checked-in Results and of all Results below `runs`."""
    roots = [registry.suite_folder(suite).path / "results", *([runs] if runs else [])]
    return [folder for root in roots if root.is_dir() for folder in find_results(root)]


def read_pool(folders: Iterable[Path]) -> Pool:
    """Read Results once for all suites; the order of `folders` does not matter."""
    stored: list[Stored] = []
    unreadable: list[tuple[str, str]] = []
    for folder in dict.fromkeys(folders):
        try:
            stored.append(Stored(folder, read_result(folder), verified_at(folder)))
        except InputError as error:
            # One bad folder must not take the page down; it is listed there, without the local path.
            unreadable.append((folder.name, str(error).replace(str(folder), folder.name)))
    return Pool(tuple(sorted(stored, key=lambda one: one.age)), tuple(sorted(unreadable)))


def collect(suite: Suite, pool: Pool, declared: Catalogue) -> Collection:
    """Choose the Results of a suite that may stand beside each other.

    Args:
        suite: the suite.
        pool: Results, of this suite and of others.
        declared: tasks and model cards that they are held against.
    """
    refused: list[tuple[str, str, int | None, str]] = [
        (name, "", None, f"unreadable: {reason}") for name, reason in pool.unreadable
    ]
    candidates = []
    imported = []
    for stored in (one for one in pool.stored if one.result.task.name in suite.tasks):
        if IMPORTED in stored.result.parity:
            imported.append(stored.result)
            continue
        reason = _unranked(stored.result, suite, declared.tasks.get(stored.result.task.name))
        if reason:
            refused.append((stored.result.model.name, stored.result.task.name, stored.result.seed, reason))
        else:
            candidates.append(stored)
    candidates = _same_data(candidates, refused)
    entries, owner = assign_entries(suite, declared.cards, [one.result for one in candidates], declared.tasks)
    chosen = _newest(candidates, owner, refused)
    means = {
        name: averages(declared.tasks[name].scenarios()) for name in suite.tasks if name in declared.tasks
    }
    return Collection(
        suite,
        declared,
        entries,
        chosen,
        _scores(chosen, suite, means),
        _states(chosen, suite, declared, entries, means),
        pd.DataFrame(sorted(refused, key=str), columns=list(REFUSED_FRAME)),
        means,
        tuple(imported),
    )


def _unranked(result: Result, suite: Suite, task: Task | None) -> str | None:
    """Why a Result cannot be ranked, judged on its own."""
    if result.parity:
        return f"parity run ({', '.join(sorted(result.parity))}): comparable with a paper, not with others"
    if result.seed not in suite.seeds:
        return f"seed {result.seed} is not among the suite's seeds"
    if task is None:
        return None
    if result.task.version != task.version:
        return f"outdated: made for version {result.task.version} of the task, which is at {task.version}"
    if result.task.hash != task.hash:
        return "outdated: made for another declaration of the task"
    return None


def _same_data(candidates: Sequence[Stored], refused: list) -> list[Stored]:
    """Keep the Results whose tasks and stores were made as the majority's, the newest deciding a tie."""
    votes: dict[tuple[str, str], Counter[str]] = {}
    for stored in reversed(candidates):  # newest first: Counter.most_common keeps that order among equals
        for what, made in _made_as(stored.result).items():
            votes.setdefault((stored.result.task.name, what), Counter())[made] += 1
    kept = []
    for stored in candidates:
        task = stored.result.task.name
        odd = [
            what
            for what, made in _made_as(stored.result).items()
            if votes[task, what].most_common(1)[0][0] != made
        ]
        if odd:
            reason = f"outdated: {odd[0]} was made by another recipe than for most Results"
            refused.append((stored.result.model.name, task, stored.result.seed, reason))
        else:
            kept.append(stored)
    return kept


def _made_as(result: Result) -> dict[str, str]:
    """What two Results must agree in: the declaration of the task and the recipe of every data set."""
    data = {f"data set {name}": recipe for name, recipe in result.task.recipe.items()}
    return {"the task": f"{result.task.version} {result.task.hash}", **data}


def _newest(
    candidates: Sequence[Stored], owner: Sequence[str], refused: list
) -> dict[tuple[str, str, int], Stored]:
    """The newest Result of each (entry, task, seed), in the settings of the newest of its (entry, task)."""
    settings: dict[tuple[str, str], object] = {}
    chosen: dict[tuple[str, str, int], Stored] = {}
    for stored, entry in reversed(list(zip(candidates, owner, strict=True))):
        result = stored.result
        key = (entry, result.task.name, result.seed)
        made = (result.model.version, result.model.hyperparameters, result.model.training)
        if settings.setdefault(key[:2], made) != made:
            reason = "other settings or another model version than the newest Result of this entry"
            refused.append((result.model.name, result.task.name, result.seed, reason))
        elif key not in chosen:
            chosen[key] = stored
        elif chosen[key].age != stored.age:
            refused.append((result.model.name, result.task.name, result.seed, "superseded by a newer Result"))
    return chosen


def _scores(chosen: Mapping[tuple[str, str, int], Stored], suite: Suite, means: Averages) -> pd.DataFrame:
    rows = [
        (
            entry,
            task,
            condition,
            seed,
            metric,
            metric == stored.result.primary,
            value if usable(stored.result, condition, means.get(task)) else None,
        )
        for (entry, task, seed), stored in sorted(chosen.items(), key=lambda item: item[0])
        for metric, by_condition in stored.result.scores.items()
        for condition, value in by_condition.items()
        if condition in suite.conditions
    ]
    frame = pd.DataFrame(rows, columns=list(SCORE_FRAME))
    return frame.astype({"value": float, "seed": int, "primary": bool})


def _states(
    chosen: Mapping[tuple[str, str, int], Stored],
    suite: Suite,
    declared: Catalogue,
    entries: Sequence[Entry],
    means: Averages,
) -> pd.DataFrame:
    by_task: dict[tuple[str, str], list[Result]] = {}
    for (entry, task, _), stored in sorted(chosen.items(), key=lambda item: item[0]):
        by_task.setdefault((entry, task), []).append(stored.result)
    rows = []
    for task in suite.tasks:
        everyone = [result for (_, name), results in by_task.items() if name == task for result in results]
        for condition in _conditions(suite, declared.tasks.get(task), everyone):
            for entry in entries:
                results = by_task.get((entry.name, task), [])
                card = declared.cards.get(entry.model)
                gap = card.gap(declared.tasks.get(task, task)) if card else None
                state = _state(results, task, condition, gap, means)
                rows.append((entry.name, task, condition, *state))
    return pd.DataFrame(rows, columns=list(STATE_FRAME))


def _conditions(suite: Suite, task: Task | None, results: Sequence[Result]) -> list[str]:
    if task is not None:
        return [condition for condition in suite.conditions if task.grids(condition)]
    return [condition for condition in suite.conditions if any(condition in one.scenarios for one in results)]


def _state(
    results: Sequence[Result], task: str, condition: str, gap: DeclaredGap | None, means: Averages
) -> tuple[State, str]:
    if any(usable(result, condition, means.get(task)) for result in results):
        return "value", ""
    if gap is not None:
        return "not_applicable", gap.reason
    if not results:
        return "missing", "no Result"
    reasons = {
        f"{scenario}: {reason}"
        for result in results
        for scenario, reason in result.skipped.items()
        if scenario.split("/")[0] == condition
    }
    return "skipped", "; ".join(sorted(reasons)) or "its score is not a finite number"


def usable(result: Result, average: str, means: Mapping[str, Sequence[str]] | None) -> bool:
    """As `Collection.usable`; `means` are the task's averages, None where the task is not installed."""
    value = result.scores.get(result.primary, {}).get(average)
    if value is None or not np.isfinite(value):
        return False
    return means is None or result.scenarios.get(average, 0) == len(means.get(average, ()))
