"""What knowing the station is worth: Results of `energy-small` beside the published 12.75 % → 4.98 %.

    python benchmarks/energy_site.py [--results DIR] [--out FILE.json]

Reads the Results of the suite, by default those that are checked in, and trains nothing. For each task: the
percentage error of every entry, mean over seeds and their range; the error of the energy fingerprint over
that of the same model without the station, seed by seed; and what the generator leaves to anybody, with and
without knowing the station, from the attributes of its store (made where it is not there).

Published: arXiv 2406.16929, abstract: MAPE from 12.75 % (existing models, without the station) to 4.98 % on
the challenge's tables. The division behind these is not stated, and the tables are not ours: only direction
and ratio can be compared. Writes JSON.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tsbench.contracts import Result
from tsbench.contracts.result import RESULT_FILE
from tsbench.data import prepare, store

PUBLISHED = {"without": 12.75, "with": 4.98}
TASKS = ("hours", "stations", "configurations")
SUBJECT = "energy_fingerprint"
WITH, WITHOUT = SUBJECT, f"{SUBJECT} site=False"
UNMASKED = f"{SUBJECT} mask=0.0 unseen=untrained"
TOLD_APART = ("attention", "mask", "site", "unseen")
"""Hyper-parameters by which entries of the subject differ."""
USUAL = {"attention": "encoder", "mask": 0.15, "site": True, "unseen": "refuse"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, default=Path("leaderboards/energy-small/results"))
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/energy_site.json"))
    arguments = parser.parse_args()
    errors = errors_of(arguments.results)
    if not errors:
        print(f"no Results in {arguments.results}: tsbench run --suite energy-small, then check them in")
        return
    attributes = store.open_lazily(prepare.ensure("base_station_energy")).attrs
    found = {task: task_of(errors.get(f"energy-{task}", {}), task, attributes) for task in TASKS}
    for task, one in found.items():
        print_task(task, one)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({"published": PUBLISHED, "tasks": found}, indent=1))


def errors_of(folder: Path) -> dict[str, dict[str, dict[int, float]]]:
    """Task → entry → seed → MAPE of the regular condition."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for path in sorted(folder.rglob(RESULT_FILE)):
        result = Result.model_validate_json(path.read_text(encoding="utf-8"))
        value = result.scores["mape"]["regular"]
        if value is not None:
            found.setdefault(result.task.name, {}).setdefault(entry_of(result), {})[result.seed] = value
    return found


def entry_of(result: Result) -> str:
    """Name of the model, with the settings in which it differs from the usual ones."""
    chosen = result.model.hyperparameters
    if result.model.name != SUBJECT:
        return result.model.name
    differing = [f"{key}={chosen[key]}" for key in TOLD_APART if chosen.get(key, USUAL[key]) != USUAL[key]]
    return " ".join([SUBJECT, *differing])


def task_of(
    entries: Mapping[str, Mapping[int, float]], task: str, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything that is said of one task."""
    rows = {name: spread(list(seeds.values())) for name, seeds in entries.items()}
    return {
        "entries": dict(sorted(rows.items(), key=lambda row: row[1]["mean"])),
        "floor": {
            "noise": attributes[f"mape_of_noise_{task}"],
            "without_station": attributes[f"mape_without_station_{task}"],
        },
        "ratio": ratio(entries, WITH, WITHOUT),
        "masked_over_unmasked": ratio(entries, WITH, UNMASKED),
    }


def ratio(entries: Mapping[str, Mapping[int, float]], one: str, other: str) -> dict[str, float] | None:
    """Error of one entry over that of another: mean, lowest and highest over the seeds that both have."""
    seeds = sorted(entries.get(one, {}).keys() & entries.get(other, {}).keys())
    if not seeds:
        return None
    return spread([entries[one][seed] / entries[other][seed] for seed in seeds])


def spread(values: list[float]) -> dict[str, float]:
    """Mean, lowest, highest and number of the values of some seeds."""
    return {"mean": sum(values) / len(values), "low": min(values), "high": max(values), "seeds": len(values)}


def print_task(task: str, found: Mapping[str, Any]) -> None:
    print(f"\nenergy-{task}: MAPE in % (range of seeds)")
    for name, row in found["entries"].items():
        print(
            f"  {name:55s} {row['mean']:6.2f} ({row['low']:.2f} to {row['high']:.2f}, {row['seeds']} seeds)"
        )
    noise, without = found["floor"]["noise"], found["floor"]["without_station"]
    print(f"  the generator leaves {noise:.2f} with the station, {without:.2f} without")
    published = PUBLISHED["with"] / PUBLISHED["without"]
    figures = f"published {PUBLISHED['without']} -> {PUBLISHED['with']}: {published:.2f}, division not stated"
    for one, words, beside in (
        (found["ratio"], "with / without the station", f"; {figures}"),
        (found["masked_over_unmasked"], "with / without hidden stations in training", ""),
    ):
        if one is not None:
            print(f"  {words}: {one['mean']:.2f} ({one['low']:.2f} to {one['high']:.2f}){beside}")


if __name__ == "__main__":
    main()
