"""Training step of every neural model of the zoo, side by side: our fit against a bare loop, in one run.

    python benchmarks/step_time.py [MODEL ...] [--rounds N] [--threads N] [--out FILE.json]

The bare loop gathers the same batches and does forward, loss, backward and a fused optimiser step, nothing
else. Both take turns, and a round counts by the lower quartile of its steps: where others share the machine,
more tells how busy these were. Needs the ETTh1 store (`tsbench data get etth1`). Prints a table and writes
JSON; exits with 1 where a step takes more than 15 % or 0.5 ms longer, whichever is more.
"""

import argparse
import copy
import inspect
import itertools
import json
import statistics
import sys
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from tsbench import registry
from tsbench.data.cases import Batches
from tsbench.data.presented import Presented
from tsbench.data.task_data import TaskData
from tsbench.data.windows import Windows
from tsbench.jobs.source import find_model
from tsbench.training.build import NoHyperparameters, build
from tsbench.training.fit import fit_by_gradient
from tsbench.training.module import NeuralForecaster
from tsbench.training.settings import TrainingSettings, fill
from tsbench.training.source import TaskSource

TASK = "etth1-96"
PAIRS = {"variables": ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL"), "targets": "all", "horizon": 4}
"""The task for models of channel responses: an even number of channels, a few steps ahead."""
SMALL = {"time_moe": {"size": "tiny"}}
"""Sizes that are trained on a CPU, where the card's is not."""
ROUND_SECONDS, LEAST_STEPS, MOST_STEPS, WARM_UP = 2.0, 8, 200, 2
SHARE, SLACK = 0.15, 0.5e-3


@dataclass(frozen=True)
class Excerpt(TaskSource):
    """A task with so many training cases, and validation cut to a batch.

    Attributes:
        cases: how many training cases.
    """

    cases: int = 0

    @cached_property
    def train(self) -> Presented:
        """The first training cases."""
        return first(super().train, self.cases)

    @cached_property
    def validation(self) -> Presented:
        """A batch of validation cases."""
        return first(super().validation, self.settings.batch_size)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", help="by default every neural model of the zoo")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/step_time.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    measured: dict[str, Any] = {"task": TASK, "threads": arguments.threads, "models": {}}
    print(f"{'model':27} {'bare (ms)':>10} {'fit (ms)':>10} {'ratio':>7} {'more (ms)':>10}  bound")
    for name in arguments.models or neural_models():
        found = compare(name, arguments.rounds)
        measured["models"][name] = found
        kept = "kept" if found["within the bound"] else "EXCEEDED"
        print(
            f"{name:27} {found['bare (ms)']:10.3f} {found['fit (ms)']:10.3f} {found['ratio']:7.3f} "
            f"{found['more (ms)']:10.3f}  {kept}",
            flush=True,
        )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=1))
    sys.exit(0 if all(one["within the bound"] for one in measured["models"].values()) else 1)


def neural_models() -> list[str]:
    """Names of the models that are trained by `fit_by_gradient`."""
    cards = registry.models()
    named = [name for name, card in cards.items() if card.kind in ("neural", "foundation")]
    return [name for name in named if issubclass(find_model(name).load(), NeuralForecaster)]


def compare(name: str, rounds: int) -> dict[str, Any]:
    """Medians over rounds, in which both ways take turns, of the lower quartile of a round's steps."""
    model, source, clip = prepared(name)
    step = statistics.median(bare_steps(model, replace(source, cases=LEAST_STEPS * batch_of(source)), clip))
    steps = max(LEAST_STEPS, min(MOST_STEPS, int(ROUND_SECONDS / step)))
    source = replace(source, cases=steps * batch_of(source))
    bare, fit = [], []
    for _ in range(rounds):
        bare.append(lower_quartile(bare_steps(model, source, clip)))
        fit.append(lower_quartile(fit_steps(model, source)))
    one, ours = statistics.median(bare), statistics.median(fit)
    return {
        "bare (ms)": one * 1e3,
        "fit (ms)": ours * 1e3,
        "ratio": ours / one,
        "more (ms)": (ours - one) * 1e3,
        "steps a round": steps,
        "within the bound": ours - one <= max(SHARE * one, SLACK),
    }


def prepared(name: str) -> tuple[NeuralForecaster, Excerpt, float]:
    """A model as its card sets it up for the task, its source, and the norm to which its gradient is cut."""
    found = find_model(name)
    kind: Any = found.load()
    task = registry.task(TASK)
    if name.startswith("csi_"):
        task = task.model_copy(update=PAIRS)
    chosen = found.card.settings_for(registry.task(TASK)) or found.card.settings[0]
    data = TaskData.open(task)
    given = chosen.hyperparameters | SMALL.get(name, {})
    hyperparameters = fill(getattr(kind, "Hyperparameters", NoHyperparameters), given, name)
    settings = fill(TrainingSettings, chosen.training | {"epochs": 1, "patience": 0}, name)
    context = min(chosen.context, task.max_context)
    model = build(kind, data.shape(context), hyperparameters, 0)
    source = Excerpt(data, context, 0, settings=settings, uses=model.uses)
    # A model that cuts its gradient by itself names the norm beside its class.
    return model, source, settings.gradient_clip or getattr(inspect.getmodule(kind), "CLIP", 0.0)


def bare_steps(model: NeuralForecaster, source: Excerpt, clip: float) -> list[float]:
    """Seconds of each step of a bare loop, from forward pass to forward pass."""
    model = copy.deepcopy(model).train()
    model.settings = source.settings
    optimiser = model.configure_optimizers()
    assert isinstance(optimiser, torch.optim.Optimizer)
    began = []
    for batch in Batches(source.train, source.settings.batch_size, seed=0):
        began.append(time.perf_counter())
        loss = model.loss(batch)
        optimiser.zero_grad()
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimiser.step()
    return differences(began)


def fit_steps(model: NeuralForecaster, source: Excerpt) -> list[float]:
    """Seconds of each step inside a fit, from forward pass to forward pass."""
    model, began = copy.deepcopy(model), []
    step = model.training_step

    def noting(*arguments: Any) -> torch.Tensor:
        began.append(time.perf_counter())
        return step(*arguments)

    model.training_step = noting  # type: ignore[method-assign]
    fit_by_gradient(model, source)
    return differences(began)


def differences(began: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(began)][WARM_UP:]


def lower_quartile(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=4, method="inclusive")[0]


def batch_of(source: Excerpt) -> int:
    return source.settings.batch_size


def first(presented: Presented, cases: int) -> Presented:
    windows = presented.cases
    assert isinstance(windows, Windows)
    return replace(presented, cases=replace(windows, origins=windows.origins[:cases]))


if __name__ == "__main__":
    main()
