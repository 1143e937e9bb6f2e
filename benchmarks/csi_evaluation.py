"""How fast scenarios are evaluated, beside evaluating each on its own.

    python benchmarks/csi_evaluation.py [--task csi-rrg-tdd-small] [--scenarios 60] [--out FILE.json]

The small RNN on scenarios of 50 samples. The plain way opens the store and builds the model for each scenario
and forecasts sample by sample; ours reads the channels once and forecasts in batches. Both give the same
scores. They run in turns; medians of three are kept. Writes JSON.
"""

import argparse
import json
import statistics
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", default="csi-rrg-tdd-small")
    parser.add_argument("--scenarios", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/csi_evaluation.json"))
    arguments = parser.parse_args()
    from tsbench import registry

    task = registry.task(arguments.task)
    scenarios = task.scenarios()
    chosen = scenarios[:: max(1, len(scenarios) // arguments.scenarios)][: arguments.scenarios]
    few = chosen[:: max(1, len(chosen) // 6)]
    together(task, few), alone(task, few[:1])  # imports, first calls
    ours, theirs = [], []
    for _ in range(3):
        ours.append(timed(lambda: together(task, chosen)) / len(chosen))
        theirs.append(timed(lambda: alone(task, few)) / len(few))
    fast, slow = statistics.median(ours), statistics.median(theirs)
    difference = max(abs(a - b) for a, b in zip(together(task, few), alone(task, few), strict=True))
    found = {
        "scenarios_a_second": 1 / fast,
        "plain": 1 / slow,
        "ratio": slow / fast,
        "largest_difference": difference,
    }
    print(json.dumps(found, indent=1))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=1))


def together(task, scenarios) -> list[float]:
    """NMSE of each scenario: store and model once, all samples of a scenario in a few batches."""
    return evaluated(task, scenarios, None)


def alone(task, scenarios) -> list[float]:
    """NMSE of each scenario: store and model anew for each, one sample a batch."""
    return [value for scenario in scenarios for value in evaluated(task, [scenario], 1)]


def evaluated(task, scenarios, batch_size: int | None) -> list[float]:
    from tsbench.data.task_data import TaskData
    from tsbench.evaluation.evaluate import evaluate, view_of
    from tsbench.models.csi_rnn_small.model import CsiRnnSmall
    from tsbench.training.build import build

    data = TaskData.open(task)
    model = build(CsiRnnSmall, view_of(CsiRnnSmall, task).shape(data.shape(16)), None, seed=0)
    found = evaluate(model, {task.dataset: data}, task, scenarios, 16, batch_size=batch_size)
    return [tally.values()["nmse"] or 0.0 for tally in found.tallies]


def timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
