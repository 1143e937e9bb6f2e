"""Tests over units, as some papers make them: offered under the paper's name, beside our own over clusters.

Units that share a trained model and a data set are no independent repetitions, so such a test says that one
model is better on these data, not that it would be on others. What a paper tests over (windows, counties,
samples) is the task's unit. Neighbouring windows share most of their values: units that are blocks of windows
are joined to blocks of at least look-back + horizon windows, which share no forecast origin.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tsbench.contracts import Task

from .aggregate import Floats
from .bootstrap import MIN_CLUSTERS, TaskUnits
from .collect import Collection
from .paired import Test, holm, student, wilcoxon
from .units import task_parts

MIN_BLOCKS = MIN_CLUSTERS
TESTS: dict[Test, Callable[[Floats], float]] = {"t": student, "wilcoxon": wilcoxon}


@dataclass(frozen=True)
class UnitTest:
    """Every pair of entries on one task under one condition, tested over units.

    Attributes:
        paper: whose test it is.
        task: name of the task.
        condition: of the scenarios.
        entries: those with a value in every block.
        means: error of each entry, mean over blocks, shape (entry,).
        blocks: number of pairs of values.
        joined: units in a block.
        p_values: two-sided, of each pair by itself, shape (entry, entry), NaN on the diagonal; None where no
            test is made.
        adjusted: the same, by Holm over all pairs.
        reason: why no test is made; empty where one is.
    """

    paper: str
    task: str
    condition: str
    entries: tuple[str, ...]
    means: Floats
    blocks: int
    joined: int
    p_values: Floats | None = None
    adjusted: Floats | None = None
    reason: str = ""


def unit_tests(collection: Collection, names: Sequence[str], paper: str, test: Test = "t") -> list[UnitTest]:
    """Test all pairs of entries over the units of each task, under each condition.

    Args:
        collection: the Results.
        names: entries that are compared.
        paper: whose test it is; no test of this kind stands without that.
        test: `t` (Student, paired) or `wilcoxon` (signed ranks).

    Raises:
        ValueError: without a paper.
    """
    if not paper.strip():
        raise ValueError("a test over units is a paper's own and is named so: say which")
    having = {task for _, task, _ in collection.stored}
    found = []
    for name in (task for task in collection.suite.tasks if task in having):
        parts = task_parts(collection, name)
        joined, reason = _joined(collection, name, names)
        for condition in collection.suite.conditions:
            if any(condition in part.conditions for part in parts):
                found.append(_tested(parts, condition, collection, names, paper, test, joined, reason))
    return found


def block_values(part: TaskUnits, condition: str, task: Task | None, joined: int, needed: int) -> Floats:
    """Error of each entry in each block, shape (block, entry): mean over scenarios, then over seeds.

    Args:
        part: statistics by unit; blocks are made within each of its clusters.
        condition: whose scenarios count.
        task: its declaration; the last unit of a cluster may hold fewer windows than the others.
        joined: units in a block; what is left over at the end is not used.
        needed: windows that a block must hold.

    Returns:
        NaN where an entry has no value.
    """
    chosen = [index for index, one in enumerate(part.conditions) if one == condition]
    owners = np.array(part.clusters)
    rows = []
    for cluster in sorted(set(part.clusters)):
        mine = np.flatnonzero(owners == cluster)
        count = len(mine) // joined
        short = task is not None and task.unit.kind == "window_block" and count * joined == len(mine)
        if short and task is not None and (joined - 1) * task.unit_windows + 1 < needed:
            count -= 1
        for block in range(max(count, 0)):
            rows.append(_value(part, mine[block * joined : (block + 1) * joined], chosen))
    return np.array(rows).reshape(-1, part.numerator.shape[2])


def _value(part: TaskUnits, units: np.ndarray, scenarios: Sequence[int]) -> Floats:
    """Value of each entry over some units, shape (entry,)."""
    numerator, denominator = (
        sums[units][:, scenarios].sum(axis=0) for sums in (part.numerator, part.denominator)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(denominator > 0, part.finish(numerator / denominator), np.nan)
    there = (~np.isnan(values)).all(axis=0)  # (entry, seed): a seed counts where all of its scenarios do
    seeds = np.where(there, values.mean(axis=0), np.nan)
    known = ~np.isnan(seeds)
    with np.errstate(invalid="ignore"):
        return np.where(known, seeds, 0.0).sum(axis=-1) / known.sum(axis=-1)


def _joined(collection: Collection, name: str, names: Sequence[str]) -> tuple[int, str]:
    """Units in a block, and why there can be none."""
    task = collection.catalogue.tasks.get(name)
    if task is None:
        return 1, "No test: the task is not installed, so it is not known what its units are."
    if task.unit.kind != "window_block":
        return 1, ""
    if any(None in entry.contexts for entry in collection.entries if entry.name in names):
        return 1, "No test: the look-back of an entry is not known, so blocks may share values."
    return math.ceil(_needed(collection, task, names) / task.unit_windows), ""


def _needed(collection: Collection, task: Task, names: Sequence[str]) -> int:
    """Longest look-back of the entries, and the horizon."""
    contexts = [context or 0 for one in collection.entries if one.name in names for context in one.contexts]
    return max(contexts, default=0) + task.horizon


def _tested(
    parts: Sequence[TaskUnits],
    condition: str,
    collection: Collection,
    names: Sequence[str],
    paper: str,
    test: Test,
    joined: int,
    reason: str,
) -> UnitTest:
    task = collection.catalogue.tasks.get(parts[0].task)
    needed = _needed(collection, task, names) if task else 0
    blocks = [
        block_values(part, condition, task, joined, needed) for part in parts if condition in part.conditions
    ]
    values = np.concatenate(blocks)[:, [_place(collection, name) for name in names]]
    there = np.asarray((~np.isnan(values)).all(axis=0))
    entries = tuple(name for name, known in zip(names, there.tolist(), strict=True) if known)
    values = values[:, there]
    if not reason and len(values) < MIN_BLOCKS:
        reason = f"No test: {len(values)} blocks, and at least {MIN_BLOCKS} are needed."
    if not reason and len(entries) < 2:
        reason = "No test: there is one entry only."
    means = values.mean(axis=0) if len(values) else np.full(len(entries), np.nan)
    frame = (paper, parts[0].task, condition, entries, means, len(values), joined)
    if reason:
        return UnitTest(*frame, reason=reason)
    first, second = np.triu_indices(len(entries), 1)
    single = np.array([TESTS[test](values[:, i] - values[:, j]) for i, j in zip(first, second, strict=True)])
    p_values, adjusted = (_matrix(one, len(entries)) for one in (single, holm(single)))
    return UnitTest(*frame, p_values=p_values, adjusted=adjusted)


def _place(collection: Collection, name: str) -> int:
    return [entry.name for entry in collection.entries].index(name)


def _matrix(values: Floats, entries: int) -> Floats:
    matrix = np.full((entries, entries), np.nan)
    first, second = np.triu_indices(entries, 1)
    matrix[first, second] = matrix[second, first] = values
    return matrix
