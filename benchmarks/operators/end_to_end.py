"""Training steps and evaluations of models with the operators on (`auto`) against off (`reference`).

On ETTh1 (`tsbench data get etth1`), as the cards set the models up: a step gathers a batch, and does forward
and backward pass and the optimiser's step; an evaluation goes through batches of test windows to statistics.
"Off" is the plain form of each operator, which for TPGN's gate is the official order of layers.
"""

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from tsbench import registry
from tsbench.contracts import Forecast
from tsbench.cuda_ops import ops, recorded
from tsbench.data.cases import Batches
from tsbench.data.presented import Presented
from tsbench.data.task_data import TaskData
from tsbench.data.windows import Windows
from tsbench.evaluation.metrics import metric
from tsbench.evaluation.tally import Tally
from tsbench.jobs.source import find_model
from tsbench.training.build import NoHyperparameters, build
from tsbench.training.module import NeuralForecaster
from tsbench.training.settings import TrainingSettings, fill
from tsbench.training.source import TaskSource

from .measure import Row, compare, unmeasured

TASK, EVALUATED, BATCH = "etth1-96", 512, 256
POINT, DISTRIBUTION = ("mse", "mae"), ("crps", "crps_fair", "mql", "coverage_80")
PAIRS = {"variables": ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL"), "targets": "all", "horizon": 4}
"""The task for models of channel responses: an even number of channels, a few steps ahead."""


@dataclass(frozen=True)
class Case:
    """A model on the task.

    Attributes:
        model: name in the zoo.
        hyperparameters: beside those of its card.
        training: settings beside those of its card.
        evaluated: test windows in an evaluation.
        members: of the ensemble that is drawn from a probabilistic forecast and scored; 0 for a point.
    """

    model: str
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    evaluated: int = EVALUATED
    members: int = 0

    def __str__(self) -> str:
        chosen = (self.hyperparameters | self.training).items()
        words = [self.model, *(f"{name} {value}" for name, value in chosen)]
        return ", ".join([*words, *([f"{self.members} members"] if self.members else [])])


CASES = [
    Case("dlinear"),
    Case("tpgn"),
    Case("tpgn", {"d_model": 64}),
    Case("time_moe", {"size": "tiny"}, {"batch_size": 8}, evaluated=8),
    Case("csi_4cast_small", evaluated=32),
    Case("dlinear", training={"loss": "student_t"}, evaluated=128, members=100),
]
PARTS = ("training step", "evaluation")


def rows(device: str, repeats: int) -> Iterator[Row]:
    """Two rows a model."""
    if device == "cuda" and not torch.cuda.is_available():
        yield from unmeasured("end_to_end", [f"{case}, {part}" for case in CASES for part in PARTS], device)
        return
    for case in CASES:
        model, source = _prepared(case, device)
        for part, ways in zip(PARTS, (_steps(model, source), _evaluations(model, source, case)), strict=True):
            called = _operators(ways["auto"])
            row = compare("end_to_end", f"{case}, {part}", device, ways, repeats)
            yield replace(row, configuration=f"{row.configuration} ({', '.join(called) or 'none'})")


def _prepared(case: Case, device: str) -> tuple[NeuralForecaster, TaskSource]:
    found = find_model(case.model)
    kind: Any = found.load()
    task = registry.task(TASK)
    if case.model.startswith("csi_"):
        task = task.model_copy(update=PAIRS)
    chosen = found.card.settings_for(registry.task(TASK)) or found.card.settings[0]
    given = chosen.hyperparameters | case.hyperparameters
    hyperparameters = fill(getattr(kind, "Hyperparameters", NoHyperparameters), given, case.model)
    settings = fill(TrainingSettings, chosen.training | case.training, case.model)
    data, context = TaskData.open(task), min(chosen.context, task.max_context)
    model = build(kind, data.shape(context), hyperparameters, 0, settings.loss).to(device)
    model.settings = settings
    return model, TaskSource(data, context, 0, settings=settings, uses=model.uses, device=device)


def _steps(model: NeuralForecaster, source: TaskSource) -> dict[str, Callable[[], object]]:
    """A training step of each choice, on a model of its own, on the same batches."""
    return {
        choice: _stepping(copy.deepcopy(model).train(), source, choice) for choice in ("auto", "reference")
    }


def _stepping(model: NeuralForecaster, source: TaskSource, choice: Any) -> Callable[[], object]:
    epochs = (Batches(source.train, source.settings.batch_size, seed=seed) for seed in itertools.count())
    batches = itertools.chain.from_iterable(epochs)
    optimiser = model.configure_optimizers()

    def step() -> None:
        with ops(choice):
            loss = model.loss(next(batches).to(source.device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return step


def _evaluations(model: NeuralForecaster, source: TaskSource, case: Case) -> dict[str, Callable[[], object]]:
    """An evaluation of the first test windows, as `evaluate` does it: batches, forecasts, statistics."""
    model = copy.deepcopy(model).eval()
    cases = source.data.windows("test", source.context).using("target", *model.uses)
    assert isinstance(cases, Windows)
    cases = replace(cases, origins=cases.origins[: case.evaluated])
    names = DISTRIBUTION if case.members else POINT
    scenario = source.data.task.scenarios()[0]

    @torch.inference_mode()
    def run(choice: Any) -> None:
        tally = Tally(
            scenario, [metric(name) for name in names], names[0], source.data.targets, cases.horizon,
            len(cases), 1,
        )  # fmt: skip
        with ops(choice):
            for batch in Presented(cases, source.view).batches(BATCH):
                forecast = _forecast(model, batch.to(source.device), case.members)
                truth, valid = cases.gather_truth(batch["index"])
                forecast = Forecast(forecast.values.cpu(), forecast.kind, forecast.quantiles)
                tally.update(forecast, truth, valid, source.data.seasonal_difference, batch["index"])

    return {choice: lambda choice=choice: run(choice) for choice in ("auto", "reference")}


def _forecast(model: NeuralForecaster, batch: Any, members: int) -> Forecast:
    if not members:
        return model.predict(batch)
    return model.predict(batch, realizations=members, generator=torch.Generator().manual_seed(0))


def _operators(way: Callable[[], object]) -> list[str]:
    with recorded() as paths:
        way()
    return sorted(paths)
