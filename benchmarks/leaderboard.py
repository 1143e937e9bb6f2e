"""Leaderboard with a bootstrap over tasks, beside fev.leaderboard in the same run, with the same numbers.

    python benchmarks/leaderboard.py [--sizes 20x100 50x500 100x1000] [--alone 1000x3708] [--resamples 1000]
        [--repeats 5] [--out FILE.json]

A size is models x tasks. Ours is measured on the table of errors, fev on its summaries of it; both end in
win rate and skill score with 95 % intervals, equal to 1e-12 or the run ends. Writes JSON. Needs fev.
"""

import argparse
import json
import os
import resource
import statistics
import time
import warnings
from pathlib import Path

import fev
import numpy as np
import pandas as pd

from tsbench.leaderboard.parity import fev_leaderboard

COLUMNS = [f"{name}{end}" for name in ("win_rate", "skill_score") for end in ("", "_lower", "_upper")]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", nargs="*", default=["20x100", "50x500", "100x1000"])
    parser.add_argument("--alone", nargs="*", default=["1000x3708"], help="sizes that are too large for fev")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/leaderboard.json"))
    arguments = parser.parse_args()
    measured: dict = {"cores": os.cpu_count(), "load_before": os.getloadavg()[0], "sizes": []}
    for size in [*arguments.alone, *arguments.sizes]:
        # The large one first: the memory that is read afterwards is the peak of the process.
        models, tasks = map(int, size.split("x"))
        errors = table_of(models, tasks)
        before = peak_memory()
        seconds = [
            clock(lambda e=errors: fev_leaderboard(e, resamples=arguments.resamples))
            for _ in range(arguments.repeats)
        ]
        row = {"models": models, "tasks": tasks, "seconds": statistics.median(seconds)}
        if size in arguments.alone:
            row["more_memory_bytes"] = peak_memory() - before
        else:
            row |= beside_fev(errors, arguments.resamples, row["seconds"])
        measured["sizes"].append(row)
        print(json.dumps(row))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=1))


def beside_fev(errors: pd.DataFrame, resamples: int, ours: float) -> dict:
    summaries = errors.rename_axis("dataset_path").reset_index().melt("dataset_path", var_name="model_name")
    summaries = summaries.rename(columns={"value": "test_error"}).assign(
        fev_version="0.10.0", quantile_levels="[0.5]", training_time_s=1.0, inference_time_s=1.0,
        trained_on_this_dataset=False,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        theirs = fev.leaderboard(summaries, n_resamples=resamples)
        seconds = time.perf_counter() - start
    made = fev_leaderboard(errors, resamples=resamples).loc[theirs.index]
    difference = float(np.abs(made[COLUMNS].to_numpy() - theirs[COLUMNS].to_numpy()).max())
    if difference > 1e-12:
        raise SystemExit(f"the numbers differ by {difference}")
    return {"fev_seconds": seconds, "ratio": seconds / ours, "difference": difference}


def table_of(models: int, tasks: int) -> pd.DataFrame:
    errors = np.exp(np.random.default_rng(0).normal(size=(tasks, models)).round(2))
    names = ["seasonal_naive", *(f"model_{number:04}" for number in range(1, models))]
    return pd.DataFrame(errors, index=[f"task_{row:05}" for row in range(tasks)], columns=names)


def clock(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
