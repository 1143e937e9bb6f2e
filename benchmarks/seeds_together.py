"""Five seeds of a small model, side by side: one fit, five one by one, five together, in one run.

    python benchmarks/seeds_together.py [--epochs N] [--repeats N] [--threads N] [--out FILE.json]

Needs the ETTh1 store (`tsbench data get etth1`). Prints seconds, the ratio of five together to one, and the
largest difference between weights of both ways; writes JSON. With one thread the clock is that of this
process alone: where others share the machine, the time of day tells how busy these were.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from tsbench import registry
from tsbench.data.task_data import TaskData
from tsbench.jobs.source import find_model
from tsbench.training.build import build
from tsbench.training.module import NeuralForecaster
from tsbench.training.settings import TrainingSettings, fill
from tsbench.training.source import FitReport, TaskSource
from tsbench.training.together import fit_together

SEEDS = 5
ENTRIES = (("dlinear", "etth1-96"), ("tpgn", "etth1-univariate-168"), ("tpgn", "etth1-96"))
GOAL = 2.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/seeds_together.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    measured: dict[str, Any] = {"threads": arguments.threads, "epochs": arguments.epochs, "goal": GOAL}
    for name, task in ENTRIES:
        measured[f"{name} on {task}"] = found = compare(
            Entry(name, task, arguments.epochs), arguments.repeats
        )
        print(f"{name} on {task}")
        for title, value in found.items():
            print(f"  {title:44} {value:.3g}" if isinstance(value, float) else f"  {title:44} {value}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=1))


class Entry:
    """A model of the zoo on a task, with the settings of its card and so many epochs."""

    def __init__(self, name: str, task: str, epochs: int) -> None:
        source = find_model(name)
        chosen = source.card.settings_for(registry.task(task))
        assert chosen is not None
        self.kind: Any = source.load()
        self.data, self.context = TaskData.open(registry.task(task)), chosen.context
        self.hyperparameters = fill(self.kind.Hyperparameters, chosen.hyperparameters, name)
        self.settings = fill(TrainingSettings, chosen.training | {"epochs": epochs}, name)

    def fit(self, seed: int) -> tuple[NeuralForecaster, TaskSource]:
        """A model to be fitted, and its source."""
        model = build(self.kind, self.data.shape(self.context), self.hyperparameters, seed)
        source = TaskSource(self.data, self.context, seed, settings=self.settings, uses=model.uses)
        return model, source


def compare(entry: Entry, repeats: int) -> dict[str, Any]:
    """Medians over repeats in which all ways take turns, so that a busy moment hits each."""
    seconds: dict[str, list[float]] = {"one": [], "one by one": [], "together": []}
    alone, stacked = [], []
    for _ in range(repeats):
        began = clock()
        alone = [entry.fit(seed) for seed in range(SEEDS)]
        each = []
        for model, source in alone:
            start = clock()
            model.fit(source)
            each.append(clock() - start)
        seconds["one by one"].append(clock() - began)
        seconds["one"].append(statistics.median(each))
        began = clock()
        stacked = [entry.fit(seed) for seed in range(SEEDS)]
        reports = fit_together(stacked)
        seconds["together"].append(clock() - began)
        assert all(isinstance(report, FitReport) for report in reports)
    difference = max(
        float((one - other).detach().abs().max())
        for (model, _), (twin, _) in zip(alone, stacked, strict=True)
        for one, other in zip(model.parameters(), twin.parameters(), strict=True)
    )
    ratios = [both / one for both, one in zip(seconds["together"], seconds["one"], strict=True)]
    return {
        "one (s)": statistics.median(seconds["one"]),
        "five one by one (s)": statistics.median(seconds["one by one"]),
        "five together (s)": statistics.median(seconds["together"]),
        "together / one": statistics.median(ratios),
        "together / one, each repeat": [round(ratio, 2) for ratio in ratios],
        "largest difference between weights": difference,
        "within the goal": statistics.median(ratios) <= GOAL,
    }


def clock() -> float:
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


if __name__ == "__main__":
    main()
