"""Units of a task's Results as arrays, read once: what the bootstrap and the tests resample and compare."""

import io
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tsbench.contracts.result import UNITS_FILE
from tsbench.evaluation.record import read_table

from . import bootstrap
from .bootstrap import TaskUnits
from .collect import Collection, Stored
from .kept import kept_bytes
from .layouts import Layouts


def task_parts(collection: Collection, task: str) -> list[TaskUnits]:
    """Statistics of a task's units, in `bootstrap.blocks` that share no cluster and no scenario.

    Entries are in the order of the collection. Only scenarios that count for a condition's own average are in
    them. What was read from the same files before is kept.

    Args:
        collection: the Results.
        task: name of a task with a Result.
    """
    stored = {
        (entry, seed): one for (entry, of, seed), one in sorted(collection.stored.items()) if of == task
    }
    counted = collection.averages.get(task)
    names, seeds = [entry.name for entry in collection.entries], list(collection.suite.seeds)
    inputs = [task, names, seeds, counted, [[*key, one.fingerprint] for key, one in stored.items()]]
    packed = kept_bytes("units", inputs, lambda: _packed(_parts(task, stored, names, seeds, counted)))
    metric = next(iter(stored.values())).result.primary
    return _unpacked(task, packed, metric)


def _parts(
    task: str,
    stored: Mapping[tuple[str, int], Stored],
    names: Sequence[str],
    seeds: Sequence[int],
    counted: Mapping[str, Sequence[str]] | None,
) -> list[TaskUnits]:
    metric = next(iter(stored.values())).result.primary
    layouts = Layouts(["scenario", "condition", "cluster", "unit", "metric"])
    sums = {key: layouts.add(read_table(one.folder, UNITS_FILE)) for key, one in stored.items()}
    wanted: dict[int, pd.DataFrame] = {}
    for number, rows in enumerate(layouts.known):
        ranked = _ranked(rows, counted)
        wanted[number] = ranked[ranked["metric"] == metric]
    return [
        bootstrap.stacked_units(task, names, seeds, part, sums, metric) for part in bootstrap.blocks(wanted)
    ]


def _ranked(units: pd.DataFrame, averages: Mapping[str, Sequence[str]] | None) -> pd.DataFrame:
    """Units of the scenarios that count for a condition's own average: what is ranked."""
    if averages is None:
        return units
    own = [units["condition"].eq(name) & units["scenario"].isin(keys) for name, keys in averages.items()]
    return units[np.any(own, axis=0)]


def _packed(parts: Sequence[TaskUnits]) -> bytes:
    arrays: dict[str, np.ndarray] = {}
    for number, one in enumerate(parts):
        names = json.dumps([one.clusters, one.scenarios, one.conditions])
        arrays[f"names{number}"] = np.frombuffer(names.encode(), np.uint8)
        arrays[f"numerator{number}"], arrays[f"denominator{number}"] = one.numerator, one.denominator
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _unpacked(task: str, packed: bytes, metric: str) -> list[TaskUnits]:
    found = []
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        for number in range(len(arrays.files) // 3):
            clusters, scenarios, conditions = map(tuple, json.loads(arrays[f"names{number}"].tobytes()))
            sums = arrays[f"numerator{number}"], arrays[f"denominator{number}"]
            found.append(TaskUnits(task, clusters, scenarios, conditions, *sums, bootstrap.finish_of(metric)))
    return found
