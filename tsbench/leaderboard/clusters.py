"""Mean ranks and mean logarithms of errors of entries in each cluster: the blocks of tests."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .aggregate import Missing, ranks
from .bootstrap import TaskUnits
from .collect import Collection
from .units import task_parts

KEYS = ["task", "condition", "cluster"]


def cluster_ranks(collection: Collection, names: Sequence[str], missing: Missing) -> pd.DataFrame:
    """Mean rank of each entry in each cluster.

    An entry's value in a cluster and a cell (task and condition) is the mean over the condition's scenarios
    of the primary metric of the cluster's units, then the mean over seeds. Entries are ranked in each, and
    ranks are averaged over the cells of the cluster, so that no scale counts more than another.

    Args:
        collection: the Results.
        names: entries, in the order of the columns.
        missing: with `impute` the baseline's value stands in for one that is missing.

    Returns:
        Clusters × those entries that have a value in every cluster and cell.
    """
    whole = _errors(collection, names, missing)
    ranked = pd.DataFrame(ranks(whole.to_numpy(float)), index=whole.index, columns=whole.columns)
    return ranked.groupby(level="cluster").mean()


def cluster_logarithms(collection: Collection, names: Sequence[str], missing: Missing) -> pd.DataFrame:
    """Mean over cells of the logarithm of each entry's error in each cluster, as `cluster_ranks` takes them.

    A difference of two entries is the logarithm of the geometric mean of their relative errors, so that
    tasks of different scale come together. Cells in which an entry has no positive error are left out.
    """
    whole = _errors(collection, names, missing)
    whole = whole[(whole > 0).all(axis="columns")]
    return whole.apply(np.log).groupby(level="cluster").mean()


def _errors(collection: Collection, names: Sequence[str], missing: Missing) -> pd.DataFrame:
    """(task, condition, cluster) × those entries that have a value in each; read once for all figures."""
    known = collection.by_cluster
    if (tuple(names), missing) not in known:
        known[tuple(names), missing] = _read_errors(collection, names, missing)
    return known[tuple(names), missing]


def _read_errors(collection: Collection, names: Sequence[str], missing: Missing) -> pd.DataFrame:
    having = {task for _, task, _ in collection.stored}
    rows = [
        row
        for task in collection.suite.tasks
        if task in having
        for part in task_parts(collection, task)
        for row in _rows(task, part)
    ]
    errors = (
        pd.DataFrame(rows, columns=[*KEYS, *(entry.name for entry in collection.entries)])
        .set_index(KEYS)[list(names)]
        .astype(float)
    )
    wanted = [
        condition in collection.suite.conditions for condition in errors.index.get_level_values("condition")
    ]
    errors = errors[wanted]
    baseline = collection.baseline
    if missing == "impute" and baseline is not None:
        declared = _not_applicable(collection, names)
        for name in (one for one in names if one not in declared):
            errors[name] = errors[name].fillna(errors[baseline])
    return errors.dropna(axis="columns")


def _not_applicable(collection: Collection, names: Sequence[str]) -> set[str]:
    """Entries that declare a task not applicable: nothing stands in for them."""
    states = collection.states
    return set(states.loc[states["state"] == "not_applicable", "entry"]) & set(names)


def _rows(task: str, part: TaskUnits) -> list[list]:
    """(task, condition, cluster, value of each entry), where at least one entry has a value."""
    owners = np.array(part.clusters)
    rows = []
    for cluster in sorted(set(part.clusters)):
        mine = owners == cluster
        numerator, denominator = part.numerator[mine].sum(axis=0), part.denominator[mine].sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.where(denominator > 0, part.finish(numerator / denominator), np.nan)
        for condition in dict.fromkeys(part.conditions):
            chosen = np.array([one == condition for one in part.conditions])
            found = _mean(_mean(values[chosen], 0), -1)  # (scenario, entry, seed) → (entry,)
            if not np.isnan(found).all():
                rows.append([task, condition, cluster, *found])
    return rows


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of the values that are there; NaN where none is."""
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(there, values, 0.0).sum(axis=axis) / there.sum(axis=axis)
