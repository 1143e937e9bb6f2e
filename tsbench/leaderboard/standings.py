"""The leaderboard of a suite as tables: a pure function of suite and Results, down to the last byte."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from tsbench.contracts import StageCost, Suite
from tsbench.contracts.result import UNITS_FILE
from tsbench.evaluation.record import read_table

from . import aggregate, bootstrap
from .aggregate import Floats, Missing
from .bootstrap import Uncertainty
from .collect import Catalogue, Collection, catalogue, collect, read_pool
from .units import task_parts

STATISTICS = ("mean_rank", "win_rate", "skill")
COSTS = ("parameters", "fit_seconds", "predict_seconds", "fit_flops", "predict_flops", "memory")


@dataclass(frozen=True)
class Standings:
    """A leaderboard and what it was made of.

    Attributes:
        table: one row per entry, best mean rank first; see `leaderboard`.
        errors: cells (task, condition) × entries, seed means of the primary metric; NaN where there is none.
        ranked: the cells that were ranked, after missing values were resolved.
        points: the statistics of each seed on its own: columns entry, seed and `STATISTICS`.
        uncertainty: whether low and high are an interval or a range.
        missing: what was done about missing values.
    """

    table: pd.DataFrame
    errors: pd.DataFrame
    ranked: pd.DataFrame
    points: pd.DataFrame
    uncertainty: Uncertainty
    missing: Missing


def leaderboard(
    suite: Suite,
    results: Sequence[Path],
    *,
    missing: Missing = "impute",
    resamples: int = 1000,
    seed: int = 123,
    declared: Catalogue | None = None,
) -> pd.DataFrame:
    """Rank the entries of a suite.

    Args:
        suite: the suite.
        results: Result folders, in any order, also of other suites.
        missing: what happens to cells without a value: `error`, `drop` or `impute` (see `resolve_missing`).
        resamples: bootstrap replicates, where there are clusters and seeds enough.
        seed: of the bootstrap.
        declared: tasks and cards to hold the Results against; what is installed by default.

    Returns:
        One row per entry, best mean rank first: `entry`, `model`, `context`, `tuning`, `learning`, `leakage`,
        `seeds`, `cells` (with a value), `missing`, then `mean_rank`, `win_rate`, `skill`, each with `_low`
        and `_high` (`Standings.uncertainty` says of what kind), `skill_<condition>`, `drop_<condition>` (mean
        log ratio to the regular error) and the costs of `costs`, mean per task.

    Raises:
        InputError: with `missing="error"`, where a result is missing.
    """
    collection = collect(suite, read_pool(results), declared or catalogue())
    return standings(collection, missing=missing, resamples=resamples, seed=seed).table


def standings(
    collection: Collection, *, missing: Missing = "impute", resamples: int = 1000, seed: int = 123
) -> Standings:
    """Aggregate a collection; arguments as for `leaderboard`."""
    names = [entry.name for entry in collection.entries]
    by_seed = _errors_by_seed(collection, names)
    errors = by_seed.groupby(level=["task", "condition"], sort=False).mean()
    absent = _not_applicable(collection, errors)
    ranked = aggregate.resolve_missing(errors, missing, collection.baseline, absent)
    points = _points(collection, by_seed, ranked)
    said = bootstrap.uncertainty(_clusters(collection), _fewest_seeds(collection))
    low, high = _range(points, names)
    if said.kind == "interval" and len(ranked):
        low, high = _intervals(collection, ranked, resamples, seed)
    table = _table(collection, errors, ranked, low, high)
    return Standings(table, errors, ranked, points, said, missing)


def costs(collection: Collection) -> pd.DataFrame:
    """Cost of each entry on each task, mean over seeds; NaN where it was not counted.

    The cost of a fit holds that of the sweep that chose its settings.

    Returns:
        Index entry, task; columns parameters, fit_seconds, predict_seconds, fit_flops, predict_flops, memory.
    """
    rows = []
    for (entry, task, _), stored in sorted(collection.stored.items(), key=lambda item: item[0]):
        cost, record = stored.result.cost, stored.result.model
        predict = cost.get("predict")
        peaks = [stage.peak_memory_bytes for stage in cost.values() if stage.peak_memory_bytes is not None]
        rows.append(
            {
                "entry": entry,
                "task": task,
                "parameters": record.parameters,
                "fit_seconds": _with_sweep(cost, "seconds"),
                "predict_seconds": predict.seconds if predict else None,
                "fit_flops": _with_sweep(cost, "flops"),
                "predict_flops": predict.flops if predict else None,
                "memory": max(peaks, default=None),
            }
        )
    frame = pd.DataFrame(rows, columns=["entry", "task", *COSTS])
    return frame.astype(dict.fromkeys(COSTS, float)).groupby(["entry", "task"], sort=False).mean()


def _with_sweep(cost: Mapping[str, StageCost], name: Literal["seconds", "flops"]) -> float | None:
    """Cost of the fit, and of the sweep that chose its settings; None where one was not counted."""
    parts = [getattr(cost[stage], name) for stage in ("sweep", "fit") if stage in cost]
    return sum(parts) if parts and None not in parts else None


def _errors_by_seed(collection: Collection, names: Sequence[str]) -> pd.DataFrame:
    """Primary metric by (task, condition, seed) × entry, only the cells whose state is `value`."""
    states = collection.states
    cells = states[["task", "condition"]].drop_duplicates()
    primary = collection.scores[collection.scores["primary"]]
    valued = states.loc[states["state"] == "value", ["entry", "task", "condition"]]
    rows = primary.merge(valued, on=["entry", "task", "condition"])
    wide = rows.pivot_table(
        index=["task", "condition", "seed"], columns="entry", values="value", dropna=False
    )
    index = pd.MultiIndex.from_tuples(
        [
            (task, condition, seed)
            for task, condition in cells.itertuples(index=False)
            for seed in collection.suite.seeds
        ],
        names=["task", "condition", "seed"],
    )
    return wide.reindex(index=index, columns=pd.Index(names, name="entry"))


def _not_applicable(collection: Collection, errors: pd.DataFrame) -> pd.DataFrame:
    states = collection.states
    wide = states.assign(gap=states["state"] == "not_applicable").pivot(
        index=["task", "condition"], columns="entry", values="gap"
    )
    return wide.reindex(index=errors.index, columns=errors.columns, fill_value=False)


def _statistics(errors: Floats, baseline: int | None, weights: Floats | None = None) -> dict[str, Floats]:
    """Mean rank, win rate and skill of errors (..., cell, entry)."""
    nothing = np.full((*errors.shape[:-2], errors.shape[-1]), np.nan)
    return {
        "mean_rank": aggregate.mean_rank(errors, weights),
        "win_rate": aggregate.win_rate(errors, weights),
        "skill": nothing if baseline is None else aggregate.skill_score(errors, baseline, weights),
    }


def _points(collection: Collection, by_seed: pd.DataFrame, ranked: pd.DataFrame) -> pd.DataFrame:
    """Each seed's statistics; an entry without that seed takes part with its mean and has no point."""
    frames = []
    for seed in collection.suite.seeds:
        mine = by_seed[by_seed.index.get_level_values("seed") == seed]
        own = mine.droplevel("seed").reindex(ranked.index)
        values = own.fillna(ranked)
        found = pd.DataFrame(
            _statistics(values.to_numpy(float), _baseline_index(collection)), index=ranked.columns
        )
        found = found[own.notna().any()]
        frames.append(found.rename_axis("entry").reset_index().assign(seed=seed))
    return pd.concat(frames, ignore_index=True)[["entry", "seed", *STATISTICS]]


def _range(points: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    grouped = points.groupby("entry")[list(STATISTICS)]
    return grouped.min().reindex(list(names)), grouped.max().reindex(list(names))


def _intervals(
    collection: Collection, ranked: pd.DataFrame, resamples: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = list(ranked.columns)
    tasks = [
        part
        for task in dict.fromkeys(ranked.index.get_level_values("task"))
        for part in task_parts(collection, task)
    ]
    errors, weights = bootstrap.replicate_errors(tasks, list(ranked.index), resamples, seed)
    errors = _as_ranked(errors, collection, ranked)
    statistics = _statistics(errors, _baseline_index(collection), weights)
    bounds = {name: bootstrap.interval(values) for name, values in statistics.items()}
    low = pd.DataFrame({name: bound[0] for name, bound in bounds.items()}, index=names)
    high = pd.DataFrame({name: bound[1] for name, bound in bounds.items()}, index=names)
    return low, high


def _as_ranked(errors: Floats, collection: Collection, ranked: pd.DataFrame) -> Floats:
    """Give replicates the same holes and the same imputed values as the point estimate."""
    states = collection.states.pivot(index=["task", "condition"], columns="entry", values="state")
    own = (states.reindex(index=ranked.index, columns=ranked.columns) == "value").to_numpy()
    baseline = _baseline_index(collection)
    imputed = errors if baseline is None else np.broadcast_to(errors[..., baseline, None], errors.shape)
    errors = np.where(own, errors, imputed)
    return np.where(ranked.isna().to_numpy(), np.nan, errors)


def _table(
    collection: Collection, errors: pd.DataFrame, ranked: pd.DataFrame, low: pd.DataFrame, high: pd.DataFrame
) -> pd.DataFrame:
    entries = {entry.name: entry for entry in collection.entries}
    table = pd.DataFrame({"entry": list(entries)}, dtype=object)
    table["model"] = [entry.model for entry in entries.values()]
    for part in ("context", "tuning", "learning", "leakage"):
        table[part] = [getattr(entry, part) for entry in entries.values()]
    table["seeds"] = [_seed_count(collection, name) for name in entries]
    table["cells"] = errors.notna().sum().reindex(list(entries)).to_numpy(int)
    states = collection.states[collection.states["state"].isin(["missing", "skipped"])]
    counts = states["entry"].value_counts()
    table["missing"] = [int(counts.get(name, 0)) for name in entries]
    baseline = _baseline_index(collection)
    for name, values in _statistics(ranked.to_numpy(float), baseline).items():
        table[name] = values
        table[f"{name}_low"], table[f"{name}_high"] = low[name].to_numpy(float), high[name].to_numpy(float)
    for condition in collection.suite.conditions:
        part = ranked[ranked.index.get_level_values("condition") == condition].to_numpy(float)
        table[f"skill_{condition}"] = _statistics(part, baseline)["skill"] if len(part) else np.nan
    for condition in [one for one in collection.suite.conditions if one != "regular"]:
        table[f"drop_{condition}"] = _drop(errors, condition)
    cost = costs(collection).groupby(level="entry").agg(_mean_of_all).reindex(list(entries))
    table = pd.concat([table, cost.reset_index(drop=True)], axis=1)
    order = table["mean_rank"].fillna(np.inf)
    return (
        table.assign(_order=order)
        .sort_values(["_order", "entry"])
        .drop(columns="_order")
        .reset_index(drop=True)
    )


def _mean_of_all(values: pd.Series) -> float:
    """Mean over tasks, NaN where one of them was not counted."""
    return float(values.mean(skipna=False))


def _drop(errors: pd.DataFrame, condition: str) -> Floats:
    """From the entries' own values only: an imputed drop would be the baseline's."""
    tasks = [task for task, one in errors.index if one == condition and (task, "regular") in errors.index]
    if not tasks:
        return np.full(errors.shape[1], np.nan)
    changed = errors.loc[[(task, condition) for task in tasks]].to_numpy(float)
    regular = errors.loc[[(task, "regular") for task in tasks]].to_numpy(float)
    return aggregate.log_drop(changed, regular)


def _baseline_index(collection: Collection) -> int | None:
    names = [entry.name for entry in collection.entries]
    return None if collection.baseline is None else names.index(collection.baseline)


def _seed_count(collection: Collection, entry: str) -> int:
    """Seeds that the entry has on every task that it has run."""
    tasks: dict[str, int] = {}
    for name, task, _ in collection.stored:
        if name == entry:
            tasks[task] = tasks.get(task, 0) + 1
    return min(tasks.values(), default=0)


def _fewest_seeds(collection: Collection) -> int:
    return min((_seed_count(collection, entry.name) for entry in collection.entries), default=0)


def _clusters(collection: Collection) -> int:
    """Distinct clusters on the board; one Result per task tells, since units belong to the task."""
    found: set[str] = set()
    seen: set[str] = set()
    for (_, task, _), stored in sorted(collection.stored.items(), key=lambda item: item[0]):
        if task not in seen:
            seen.add(task)
            found.update(read_table(stored.folder, UNITS_FILE)["cluster"].astype(str).unique())
    return len(found)
