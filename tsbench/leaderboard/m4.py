"""The overall weighted average of the M4 competition, from Results: sMAPE and MASE over those of a reference.

The competition's reference is Naive 2, the last value of the seasonally adjusted series. Ratios are taken
after grouping: over the totals of a group, never series by series.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tsbench.contracts import InputError

from .collect import Collection

Floats = npt.NDArray[np.float64]
REFERENCE = "naive2"
AVERAGE = "average"
COLUMNS = ("entry", "group", "smape", "mase", "owa")


def overall_weighted_average(
    smape: Floats | float, mase: Floats | float, reference_smape: Any, reference_mase: Any
) -> Floats:
    """(sMAPE / sMAPE of the reference + MASE / MASE of the reference) / 2; 1 for the reference itself.

    Makridakis, Spiliotis and Assimakopoulos (2020).

    Args:
        smape: of a group of series, any shape.
        mase: same shape.
        reference_smape: of the reference on the same group, broadcast to `smape`.
        reference_mase: likewise.

    Returns:
        Shape of `smape`; NaN or infinite where the reference makes no error.

    Example:
        >>> round(float(overall_weighted_average(12.555, 1.663, 13.564, 1.912)), 3)
        0.898
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.divide(smape, reference_smape) + np.divide(mase, reference_mase)
    return np.asarray(ratios / 2)


def owa_table(
    collection: Collection, groups: Mapping[str, Sequence[str]] | None = None, reference: str = REFERENCE
) -> pd.DataFrame:
    """OWA of every entry on every group of tasks and on all of them.

    Args:
        collection: Results of tasks with the metrics `smape` and `mase`.
        groups: name → tasks (M4: weekly, daily and hourly series are one); by default each task is one.
        reference: model whose errors are divided by.

    Returns:
        Columns `COLUMNS`: a row for each entry and group, then for all tasks together (`average`). Means over
        seeds; within a group, tasks weigh as many as they have cases. NaN where an entry lacks a task.

    Raises:
        InputError: where the reference lacks a Result, or a task one of the two metrics.
    """
    tasks = [name for name in collection.suite.tasks if any(one == name for _, one in collection.by_task)]
    if reference not in {entry.model for entry in collection.entries} or not tasks:
        raise InputError(f"OWA needs Results of {reference} on the tasks of {collection.suite.name}")
    means = {name: _means(collection, name, tasks) for name in (entry.name for entry in collection.entries)}
    base = next(entry.name for entry in collection.entries if entry.model == reference)
    counts = np.array([_cases(collection, task) for task in tasks], float)
    rows = []
    for group, members in {**(groups or {task: (task,) for task in tasks}), AVERAGE: tasks}.items():
        if absent := set(members) - set(tasks):
            raise InputError(f"OWA of {group}: there is no Result on {sorted(absent)[0]}")
        weight = np.array([task in members for task in tasks]) * counts
        totals = {name: _total(values, weight) for name, values in means.items()}
        if np.isnan(totals[base]).any():
            raise InputError(f"OWA of {group} needs Results of {reference} on {', '.join(members)}")
        for name, (smape, mase) in totals.items():
            owa = float(overall_weighted_average(smape, mase, *totals[base]))
            rows.append((name, group, smape, mase, owa))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _means(collection: Collection, entry: str, tasks: Sequence[str]) -> Floats:
    """Errors of an entry, sMAPE and MASE, mean over seeds, shape (2, task); NaN without a Result."""
    found = np.full((2, len(tasks)), np.nan)
    for column, task in enumerate(tasks):
        results = [stored.result for stored in collection.by_task.get((entry, task), [])]
        for row, metric in enumerate(("smape", "mase")):
            if results and metric not in results[0].scores:
                raise InputError(f"OWA needs the metric {metric}, which {task} does not have")
            values = [one.scores[metric].get("regular") for one in results]
            known = [value for value in values if value is not None]
            if known:
                found[row, column] = np.mean(known)
    return found


def _cases(collection: Collection, task: str) -> int:
    return max(one[0].result.cases for (_, name), one in collection.by_task.items() if name == task)


def _total(values: Floats, weight: Floats) -> Floats:
    """Weighted mean over the tasks of a group, shape (2,)."""
    kept = weight > 0
    return (values[:, kept] * weight[kept]).sum(axis=1) / weight[kept].sum()
