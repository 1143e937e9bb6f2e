"""Pretraining against none on `crop-yield-small`: pairs by seed and year, intervals, and a map of errors.

    python benchmarks/crop_yield.py [--results DIR] [--out FILE.json] [--map FILE.svg]

Reads the Results of the suite, by default those that are checked in, and computes no forecast. Prints, for
the regular scenario of each test year:

- RMSE in bu/acre and both kinds of R² of every entry, mean over seeds;
- RMSE with and without pretraining for each (seed, year), and in how many of these pairs it is lower;
- our comparison: differences by year, counties and seeds averaged first. With fewer than ten years these are
  points and their range, no interval;
- the comparison as the paper has it: a paired t-test over all counties and years, which takes counties that
  share a year's weather for independent. It is printed for comparison alone.

The map shows the error of each county over years and seeds, with and without pretraining.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from tsbench import registry
from tsbench.contracts.result import UNITS_FILE
from tsbench.evaluation.record import find_results, read_result, read_table
from tsbench.leaderboard.charts.places import place_maps

SUITE, MODEL, CORPUS = "crop-yield-small", "vita", "crop-weather-small"
WITH, WITHOUT = "pretrained", "not pretrained"
FEWEST = 10
"""Clusters from which on an interval is given."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, default=Path("leaderboards") / SUITE / "results")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/crop_yield.json"))
    parser.add_argument("--map", type=Path, default=Path("runs/benchmarks/crop_yield.svg"))
    arguments = parser.parse_args()
    scores, units = read(arguments.results)
    found = report(scores, units)
    for folder in (arguments.out.parent, arguments.map.parent):
        folder.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=1))
    arguments.map.write_text(county_map(units), encoding="utf-8")
    print(f"written: {arguments.out} and {arguments.map}")


def read(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and squared errors of the regular scenario.

    Returns:
        Scores (entry, year, seed, rmse, r2, r2_official), and units of VITA alone (entry, year, seed, unit,
        squared).
    """
    scores, units = [], []
    for folder in find_results(root):
        result = read_result(folder)
        if result.task.name not in registry.suite(SUITE).tasks:
            continue
        year = int(result.task.name.split("-")[2])
        entry = entry_of(result.model.name, result.model.start, result.model.hyperparameters)
        row = {name: result.scores[name]["regular"] for name in ("rmse", "r2", "r2_official")}
        scores.append({"entry": entry, "year": year, "seed": result.seed, **row})
        if result.model.name != MODEL:
            continue
        table = read_table(folder, UNITS_FILE)
        table = table[table["scenario"] == "regular"]
        units.append(
            pd.DataFrame(
                {
                    "entry": entry,
                    "year": year,
                    "seed": result.seed,
                    "unit": table["unit"].to_numpy(int),
                    "squared": table["numerator"].to_numpy(float),
                }
            )
        )
    if not units:
        raise SystemExit(f"{root} holds no Results of {MODEL}; first: tsbench run --suite {SUITE}")
    return pd.DataFrame(scores), pd.concat(units, ignore_index=True)


def entry_of(model: str, start: str, hyperparameters: dict[str, Any]) -> str:
    """What an entry is called here."""
    if model == MODEL:
        return WITH if start == CORPUS else WITHOUT
    reads = hyperparameters.get("reads", "all")
    return model if reads == "all" else f"{model} ({reads})"


def report(scores: pd.DataFrame, units: pd.DataFrame) -> dict[str, Any]:
    """Print and return what is compared."""
    table = scores.groupby("entry")[["rmse", "r2", "r2_official"]].mean().sort_values("rmse")
    print("Mean over years and seeds: RMSE in bu/acre, R² = 1 − SSE / SST, R² against the training spread")
    print(table.round(3).to_string(), end="\n\n")
    pairs = scores[scores["entry"].isin([WITH, WITHOUT])].pivot_table(
        index=["year", "seed"], columns="entry", values="rmse"
    )
    pairs = pairs.dropna()
    if pairs.empty or len(pairs.columns) < 2:
        raise SystemExit("There is no (seed, year) with both entries of vita")
    lower = int((pairs[WITH] < pairs[WITHOUT]).sum())
    print(pairs.round(3).to_string())
    print(f"RMSE is lower with pretraining in {lower} of {len(pairs)} pairs\n")
    by_year = (pairs[WITH] - pairs[WITHOUT]).groupby("year").mean()
    ours = interval_by_year(by_year)
    print("Difference of RMSE by year, seeds averaged (negative: pretraining is better):")
    print(by_year.round(3).to_string())
    print(ours["words"], end="\n\n")
    published = t_test_over_counties(units)
    print(
        f"As published (paired t-test over {published['pairs']} counties and years, which share weather): "
        f"mean difference of absolute errors {published['difference']:.3f} bu/acre, t = "
        f"{published['t']:.2f}, p = {published['p']:.2g}"
    )
    return {
        "entries": table.to_dict("index"),
        "pairs": {"lower": lower, "of": len(pairs), "rmse": pairs.reset_index().to_dict("records")},
        "by_year": {"differences": dict(zip(map(int, by_year.index), by_year.tolist(), strict=True)), **ours},
        "as_published": published,
    }


def interval_by_year(differences: pd.Series) -> dict[str, Any]:
    """Mean over years, with their range, or with a t-interval where there are enough years."""
    mean, count = float(differences.mean()), len(differences)
    found: dict[str, Any] = {"mean": mean, "years": count}
    if count < FEWEST:
        low, high = float(differences.min()), float(differences.max())
        found |= {"range": [low, high]}
        found["words"] = (
            f"mean {mean:.3f}, range {low:.3f} to {high:.3f} over {count} years: too few for an interval"
        )
        return found
    half = float(stats.t.ppf(0.975, count - 1) * differences.std(ddof=1) / np.sqrt(count))
    found |= {"interval": [mean - half, mean + half]}
    found["words"] = f"mean {mean:.3f}, 95 % interval by year {mean - half:.3f} to {mean + half:.3f}"
    return found


def t_test_over_counties(units: pd.DataFrame) -> dict[str, float]:
    """Paired t-test of absolute errors, averaged over seeds, over all counties and years."""
    errors = units.assign(error=np.sqrt(units["squared"])).pivot_table(
        index=["year", "unit"], columns="entry", values="error", aggfunc="mean"
    )
    errors = errors.dropna()
    found: Any = stats.ttest_rel(errors[WITH], errors[WITHOUT])
    difference = float((errors[WITH] - errors[WITHOUT]).mean())
    return {
        "pairs": len(errors), "difference": difference, "t": float(found.statistic), "p": float(found.pvalue)
    }  # fmt: skip


def county_map(units: pd.DataFrame) -> str:
    """The SVG: root mean squared error of each county over years and seeds."""
    from tsbench.data.task_data import TaskData

    places = []
    for year in sorted(units["year"].unique()):
        data: Any = TaskData.open(registry.task(f"crop-corn-{year}-small"))
        rows = data.windows("test", data.task.period).rows.numpy()
        named = {name: data.arrays.coordinate(name)[rows] for name in ("county", "latitude", "longitude")}
        places.append(pd.DataFrame({"year": year, "unit": np.arange(len(rows)), **named}))
    joined = units.merge(pd.concat(places), on=["year", "unit"])
    by_county = joined.groupby(["entry", "county", "latitude", "longitude"])["squared"].mean() ** 0.5
    table = by_county.rename("value").reset_index().rename(columns={"county": "place"})
    return place_maps(table, [WITH, WITHOUT], "RMSE of VITA, bu/acre, over years and seeds")


if __name__ == "__main__":
    main()
