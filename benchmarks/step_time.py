"""Training step of every neural model of the zoo, side by side: our fit against a bare loop, in one run.

    python benchmarks/step_time.py [MODEL ...] [--rounds N] [--threads N] [--clock processor|wall]
        [--out FILE.json]

The bare loop gathers the same batches and does forward, loss, backward and a fused optimiser step, nothing
else. Both take turns step by step, and a round counts by the lower quartile of its steps. The clock is the
processor time of this process, by default with one thread: where others share the machine, wall time tells
how busy they are. `linear`, which solves for its map, is measured by its whole fit, divided by the batches.
Needs the ETTh1 store (`tsbench data get etth1`). Prints a table and writes JSON; exits with 1 where a step
takes more than 15 % or 0.5 ms longer, whichever is more.
"""

import argparse
import copy
import inspect
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
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
from tsbench.models.linear.model import FIT_BATCH
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
CLOCKS: dict[str, Callable[[], float]] = {"processor": time.process_time, "wall": time.perf_counter}
SOLVED = "linear"
SOLVED_WINDOWS, SOLVED_FITS = 8192, 5
Clock = Callable[[], float]
Taken = tuple[list[float], list[float]]
"""Seconds of each step, of the bare loop and of ours."""


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
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="processor")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/step_time.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    measured: dict[str, Any] = {
        "task": TASK,
        "threads": arguments.threads,
        "clock": arguments.clock,
        "models": {},
    }
    columns = f"{'bare (ms)':>10} {'fit (ms)':>10} {'ratio':>7} {'of rounds':>13} {'more (ms)':>10}"
    print(f"{'model':27} {columns}  bound")
    for name in arguments.models or [*neural_models(), SOLVED]:
        found = compare(name, arguments.rounds, CLOCKS[arguments.clock])
        measured["models"][name] = found
        kept = "kept" if found["within the bound"] else "EXCEEDED"
        low, high = found["ratios of rounds"]
        print(
            f"{name:27} {found['bare (ms)']:10.3f} {found['fit (ms)']:10.3f} {found['ratio']:7.3f} "
            f"{low:6.3f}–{high:6.3f} {found['more (ms)']:10.3f}  {kept}",
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


def compare(name: str, rounds: int, clock: Clock) -> dict[str, Any]:
    """Medians over rounds of the lower quartile of a round's steps, which both ways take in turns."""
    measure, steps = (solved if name == SOLVED else stepped)(name, clock)
    bare, fit = [], []
    for _ in range(rounds):
        theirs, own = measure()
        bare.append(lower_quartile(theirs))
        fit.append(lower_quartile(own))
    one, ours = statistics.median(bare), statistics.median(fit)
    ratios = sorted(mine / theirs for mine, theirs in zip(fit, bare, strict=True))
    return {
        "bare (ms)": one * 1e3,
        "fit (ms)": ours * 1e3,
        "ratio": ours / one,
        "ratios of rounds": [ratios[0], ratios[-1]],
        "more (ms)": (ours - one) * 1e3,
        "steps a round": steps,
        "within the bound": ours - one <= max(SHARE * one, SLACK),
    }


def stepped(name: str, clock: Clock) -> tuple[Callable[[], Taken], int]:
    """A round of a model that is fitted by gradient, and its number of steps."""
    model, source, clip = prepared(name)
    few = replace(source, cases=LEAST_STEPS * batch_of(source))
    step = statistics.median(timed(bare_steps(model, few, clip), clock)[WARM_UP:])
    steps = max(LEAST_STEPS, min(MOST_STEPS, int(ROUND_SECONDS / step / 2)))
    source = replace(source, cases=steps * batch_of(source))
    return lambda: in_turns(model, source, clip, clock), steps


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


def in_turns(model: NeuralForecaster, source: Excerpt, clip: float, clock: Clock) -> Taken:
    """Steps of the bare loop, and of a fit from forward to forward pass without the bare steps between."""
    bare, fitted = bare_steps(model, source, clip), copy.deepcopy(model)
    theirs: list[float] = []
    ours: list[float] = []
    step, began = fitted.training_step, 0.0

    def noting(*arguments: Any) -> torch.Tensor:
        nonlocal began
        ours.append(clock() - began)
        theirs.extend(timed(itertools.islice(bare, 1), clock))
        began = clock()
        return step(*arguments)

    fitted.training_step = noting  # type: ignore[method-assign]
    fit_by_gradient(fitted, source)
    return theirs[WARM_UP:], ours[1 + WARM_UP :]


def bare_steps(model: NeuralForecaster, source: Excerpt, clip: float) -> Iterator[None]:
    """A bare loop that stops after each step."""
    model = copy.deepcopy(model).train()
    model.settings = source.settings
    optimiser = model.configure_optimizers()
    assert isinstance(optimiser, torch.optim.Optimizer)
    for batch in Batches(source.train, source.settings.batch_size, seed=0):
        loss = model.loss(batch)
        optimiser.zero_grad()
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimiser.step()
        yield


def timed(steps: Iterator[None], clock: Clock) -> list[float]:
    """Seconds of each of some steps."""
    found, began = [], clock()
    for _ in steps:
        now = clock()
        found.append(now - began)
        began = now
    return found


def solved(name: str, clock: Clock) -> tuple[Callable[[], Taken], int]:
    """A round of the model that solves for its map: some fits each, and the number of batches of one."""
    found = find_model(name)
    task, kind = registry.task(TASK), found.load()
    record = getattr(kind, "Hyperparameters", NoHyperparameters)
    chosen = found.card.settings_for(task)
    assert chosen is not None
    data = TaskData.open(task)
    source = Excerpt(data, chosen.context, 0, cases=SOLVED_WINDOWS, uses=frozenset({"context"}))
    batches = -(-SOLVED_WINDOWS // FIT_BATCH)

    def measure() -> Taken:
        theirs, ours = [], []
        for _ in range(SOLVED_FITS):
            model = build(kind, data.shape(chosen.context), record(), 0)
            began = clock()
            solve(source, chosen.context, task.horizon)
            between = clock()
            model.fit(source)
            theirs.append((between - began) / batches)
            ours.append((clock() - between) / batches)
        return theirs, ours

    measure()
    return measure, batches


def solve(source: Excerpt, context: int, horizon: int) -> torch.Tensor:
    """The normal equations of a map from look-back to horizon, solved, and the error on the validation."""
    gram = torch.zeros(context + 1, context + 1, dtype=torch.float64)
    moment = torch.zeros(context + 1, horizon, dtype=torch.float64)
    for batch in source.train.batches(FIT_BATCH):
        inputs = batch["context"].transpose(1, 2).flatten(0, 1).double()
        inputs = torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)
        gram += inputs.T @ inputs
        moment += inputs.T @ batch["target"].transpose(1, 2).flatten(0, 1).double()
    ridge = 1e-6 * gram.diagonal().mean() * torch.eye(context + 1, dtype=torch.float64)
    solution = torch.linalg.solve(gram + ridge, moment)
    for batch in source.validation.batches(FIT_BATCH):
        forecast = batch["context"].transpose(1, 2) @ solution[:-1].float() + solution[-1].float()
        (forecast - batch["target"].transpose(1, 2)).square().mean()
    return solution


def lower_quartile(seconds: list[float]) -> float:
    return min(seconds) if len(seconds) < 2 else statistics.quantiles(seconds, n=4, method="inclusive")[0]


def batch_of(source: Excerpt) -> int:
    return source.settings.batch_size


def first(presented: Presented, cases: int) -> Presented:
    windows = presented.cases
    assert isinstance(windows, Windows)
    return replace(presented, cases=replace(windows, origins=windows.origins[:cases]))


if __name__ == "__main__":
    main()
