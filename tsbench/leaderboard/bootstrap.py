"""The hierarchical bootstrap: how far a leaderboard's numbers would move with other data and other seeds.

Clusters (data sets, maps, harvest years) are resampled, and inside each drawn cluster its units. Seeds are
crossed with both: a replicate has one draw of seeds for a model, used in all clusters, and models that ran
the same seeds share the draw. Everything is paired across models. A replicate is a vector of counts per unit
and one per seed, so that all replicates together are matrix products.

Each draw has a generator of its own, keyed by what is drawn; so the numbers of a model do not depend on the
order of the entries, and a cluster's draw not on which other tasks there are.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import pandas as pd

from .aggregate import Floats

MIN_CLUSTERS, MIN_SEEDS = 10, 5
QUANTILES = (0.025, 0.975)
Key = TypeVar("Key")


@dataclass(frozen=True)
class Uncertainty:
    """Which statement about uncertainty the data allow, and why."""

    kind: Literal["interval", "range"]
    clusters: int
    seeds: int
    reason: str


@dataclass(frozen=True)
class TaskUnits:
    """Sufficient statistics of one task's primary metric by independent unit.

    Attributes:
        task: name of the task.
        clusters: cluster of each unit, shape (unit,).
        scenarios: scenario keys.
        conditions: condition of each scenario.
        numerator: shape (unit, scenario, entry, seed); 0 where a unit is not part of a scenario.
        denominator: same shape; NaN in all units of an entry and seed without a Result.
        finish: from numerator / denominator to the value (a square root for RMSE).
    """

    task: str
    clusters: tuple[str, ...]
    scenarios: tuple[str, ...]
    conditions: tuple[str, ...]
    numerator: Floats
    denominator: Floats
    finish: Callable[[Floats], Floats]


def uncertainty(clusters: int, seeds: int) -> Uncertainty:
    """Decide between an interval and the bare points with their range.

    Args:
        clusters: number of distinct clusters on the board.
        seeds: smallest number of seeds of any entry.
    """
    if clusters >= MIN_CLUSTERS and seeds >= MIN_SEEDS:
        reason = f"95 % intervals from resampling {clusters} clusters, their units and {seeds} seeds."
        return Uncertainty("interval", clusters, seeds, reason)
    reason = (
        f"With {_counted(clusters, 'cluster')} and {_counted(seeds, 'seed')} no interval would keep its "
        f"promise (at least {MIN_CLUSTERS} clusters and {MIN_SEEDS} seeds are needed), so the value of every "
        "seed is shown as a point, with the range from the smallest to the largest."
    )
    return Uncertainty("range", clusters, seeds, reason)


def task_units(
    task: str,
    entries: Sequence[str],
    seeds: Sequence[int],
    tables: Mapping[tuple[str, int], pd.DataFrame],
    metric: str,
) -> TaskUnits:
    """Bring the units.parquet tables of one task into arrays.

    Args:
        task: name of the task.
        entries: order of the entries.
        seeds: order of the seeds.
        tables: (entry, seed) → table with the columns `UNIT_COLUMNS`.
        metric: the primary metric; other rows are ignored.
    """
    tables = {key: table[table["metric"] == metric].reset_index(drop=True) for key, table in tables.items()}
    sums = {
        key: (number, *(table[name].to_numpy(float) for name in ("numerator", "denominator")))
        for number, (key, table) in enumerate(tables.items())
    }
    return stacked_units(task, entries, seeds, dict(enumerate(tables.values())), sums, metric)


def stacked_units(
    task: str,
    entries: Sequence[str],
    seeds: Sequence[int],
    layouts: Mapping[int, pd.DataFrame],
    sums: Mapping[tuple[str, int], tuple[int, Floats, Floats]],
    metric: str,
) -> TaskUnits:
    """As `task_units`, for Results of which most have the same rows: what a row means is looked up once.

    Args:
        task: name of the task.
        entries: order of the entries.
        seeds: order of the seeds.
        layouts: number → the rows that are wanted: columns scenario, condition, cluster and unit, and as
            index the place of the row in the sums.
        sums: (entry, seed) → number of its layout, its numerators and its denominators.
        metric: the primary metric, to which all rows belong.
    """
    everything = pd.concat(list(layouts.values()))
    units = everything[["cluster", "unit"]].drop_duplicates().sort_values(["cluster", "unit"], kind="stable")
    cells = everything[["scenario", "condition"]].drop_duplicates().sort_values("scenario", kind="stable")
    unit_index, scenarios = pd.MultiIndex.from_frame(units), pd.Index(cells["scenario"])
    places = {
        number: (
            unit_index.get_indexer(pd.MultiIndex.from_frame(layout[["cluster", "unit"]])),
            scenarios.get_indexer(pd.Index(layout["scenario"])),
            layout.index.to_numpy(),
        )
        for number, layout in layouts.items()
    }
    shape = (len(units), len(cells), len(entries), len(seeds))
    numerator, denominator = np.zeros(shape), np.full(shape, np.nan)
    for (entry, seed), (number, top, bottom) in sums.items():
        if number not in places:
            continue
        e, s = entries.index(entry), seeds.index(seed)
        u, c, rows = places[number]
        denominator[:, np.unique(c), e, s] = 0.0
        numerator[u, c, e, s] = top[rows]
        denominator[u, c, e, s] = bottom[rows]
    return TaskUnits(
        task,
        tuple(units["cluster"].astype(str)),
        tuple(cells["scenario"]),
        tuple(cells["condition"]),
        numerator,
        denominator,
        finish_of(metric),
    )


def finish_of(metric: str) -> Callable[[Floats], Floats]:
    """From numerator / denominator of a metric to its value."""
    return np.sqrt if metric == "rmse" else np.asarray


def blocks(tables: Mapping[Key, pd.DataFrame]) -> list[dict[Key, pd.DataFrame]]:
    """Divide the tables of a task into parts that share no cluster and no scenario.

    An array of all units × all scenarios would be nearly empty where each scenario has units of its own (the
    cells of a grid). The parts together give the same replicates as the whole.

    Args:
        tables: by any key, with the columns scenario and cluster.
    """
    pairs = pd.concat([table[["scenario", "cluster"]].drop_duplicates() for table in tables.values()])
    part = {cluster: cluster for cluster in sorted(set(pairs["cluster"]))}
    for _, together in pairs.groupby("scenario")["cluster"]:
        joined = {part[cluster] for cluster in together}
        if len(joined) > 1:
            part = {cluster: min(joined) if one in joined else one for cluster, one in part.items()}
    found: dict[str, dict[Key, pd.DataFrame]] = {}
    for key, table in tables.items():
        for name, rows in table.groupby(table["cluster"].map(part).to_numpy()):
            found.setdefault(str(name), {})[key] = rows
    return [found[name] for name in sorted(found)]


def replicate_errors(
    tasks: Sequence[TaskUnits], cells: Sequence[tuple[str, str]], resamples: int, seed: int
) -> tuple[Floats, Floats]:
    """Errors of all cells in all replicates.

    Args:
        tasks: statistics by unit; all with the same entries and seeds. A task may come in several `blocks`.
        cells: (task, condition) in the order of the result.
        resamples: number of replicates.
        seed: of the resampling, not of any model.

    Returns:
        Errors (replicate, cell, entry), NaN where an entry has no value, and weights of the cells
        (replicate, cell): how often the clusters of the cell were drawn, 0 where none was.
    """
    drawn = _cluster_counts(sorted({cluster for task in tasks for cluster in task.clusters}), resamples, seed)
    seeds = _seed_counts(tasks, resamples, seed)  # (replicate, entry, seed)
    total = np.zeros((resamples, len(cells), tasks[0].numerator.shape[2]))
    known = np.zeros_like(total)  # scenarios with a value
    weights, sizes = np.zeros((resamples, len(cells))), np.zeros(len(cells))
    for task in tasks:
        counts = _unit_counts(task, drawn, resamples, seed)  # (replicate, unit)
        values = _scenario_values(task, counts, seeds)  # (replicate, scenario, entry)
        for number, (name, condition) in enumerate(cells):
            mine = [index for index, one in enumerate(task.conditions) if one == condition]
            if name != task.task or not mine:
                continue
            there = ~np.isnan(values[:, mine])
            total[:, number] += np.where(there, values[:, mine], 0.0).sum(axis=1)
            known[:, number] += there.sum(axis=1)
            size = _cluster_sizes(task, mine)
            weights[:, number] += size @ np.stack([drawn[c] for c in sorted(set(task.clusters))])
            sizes[number] += size.sum()
    with np.errstate(invalid="ignore"):
        return total / known, weights / np.maximum(sizes, 1)


def interval(replicates: Floats) -> tuple[Floats, Floats]:
    """2.5 % and 97.5 % quantiles over replicates, (replicate, entry) → (entry,) twice; NaN if undefined."""
    result = np.full((2, replicates.shape[1]), np.nan)
    for entry in range(replicates.shape[1]):
        defined = replicates[~np.isnan(replicates[:, entry]), entry]
        if defined.size:
            result[:, entry] = np.quantile(defined, QUANTILES)
    return result[0], result[1]


def _scenario_values(task: TaskUnits, counts: Floats, seeds: Floats) -> Floats:
    """Value of each scenario: resampled units first, then the finish, then the mean over the drawn seeds."""
    units, scenarios, entries, number = task.numerator.shape
    flat = (units, scenarios * entries * number)
    numerator = (counts @ task.numerator.reshape(flat)).reshape(-1, scenarios, entries, number)
    denominator = (counts @ task.denominator.reshape(flat)).reshape(-1, scenarios, entries, number)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(denominator > 0, task.finish(numerator / denominator), np.nan)
    there = ~np.isnan(values)
    weight = seeds[:, None] * there  # (replicate, scenario, entry, seed)
    # An entry that lacks all drawn seeds of this task counts with the seeds that it has.
    weight = np.where(weight.sum(axis=-1, keepdims=True) > 0, weight, there)
    with np.errstate(invalid="ignore"):
        return (np.where(there, values, 0.0) * weight).sum(axis=-1) / weight.sum(axis=-1)


def _cluster_counts(clusters: Sequence[str], resamples: int, seed: int) -> dict[str, Floats]:
    """How often each cluster is drawn in each replicate: cluster → (replicate,)."""
    share = np.full(len(clusters), 1 / len(clusters))
    counts = _generator(seed, "clusters", *clusters).multinomial(len(clusters), share, size=resamples)
    return {cluster: counts[:, index].astype(float) for index, cluster in enumerate(clusters)}


def _unit_counts(task: TaskUnits, drawn: Mapping[str, Floats], resamples: int, seed: int) -> Floats:
    """How often each unit is drawn, (replicate, unit): n draws of a cluster resample its units n times."""
    counts = np.zeros((resamples, len(task.clusters)))
    for cluster in sorted(set(task.clusters)):
        mine = np.array([one == cluster for one in task.clusters])
        size = int(mine.sum())
        generator = _generator(seed, "units", task.task, cluster)
        # n independent draws of `size` units are one draw of n · size units.
        draws = (drawn[cluster] * size).astype(np.int64)
        counts[:, mine] = generator.multinomial(draws, np.full(size, 1 / size))
    return counts


def _seed_counts(tasks: Sequence[TaskUnits], resamples: int, seed: int) -> Floats:
    """How often each entry's seeds are drawn, shape (replicate, entry, seed)."""
    has = np.any([~np.isnan(task.denominator).all(axis=(0, 1)) for task in tasks], axis=0)  # (entry, seed)
    counts = np.zeros((resamples, *has.shape))
    for pattern in np.unique(has, axis=0):
        number = int(pattern.sum())
        if number == 0:
            continue
        generator = _generator(seed, "seeds", *np.flatnonzero(pattern))
        draw = generator.multinomial(number, np.full(number, 1 / number), size=resamples)
        for entry in np.flatnonzero((has == pattern).all(axis=1)):
            counts[:, entry, pattern] = draw
    return counts


def _cluster_sizes(task: TaskUnits, scenarios: Sequence[int]) -> Floats:
    """Units of each cluster (sorted) that take part in some scenarios, shape (cluster,)."""
    part = np.nan_to_num(task.denominator[:, scenarios]).max(axis=(1, 2, 3)) > 0  # (unit,)
    names = np.array(task.clusters)
    return np.array([(part & (names == cluster)).sum() for cluster in sorted(set(task.clusters))], float)


def _generator(seed: int, *what: object) -> np.random.Generator:
    digest = hashlib.blake2b("\x1f".join(map(str, what)).encode(), digest_size=8).digest()
    return np.random.default_rng([seed, int.from_bytes(digest, "little")])


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
