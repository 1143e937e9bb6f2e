"""Evaluates a model on scenarios of a task: batches → disturbance → forecast → tallies, in one pass."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from tsbench.contracts import Forecast, InputError, JobFailed, Model, Scenario, Task, averages
from tsbench.data.batch import Batch
from tsbench.data.cases import Batches, Cases, batch_size_for
from tsbench.data.disturbances import disturb
from tsbench.data.presented import shorten
from tsbench.data.task_data import TaskData
from tsbench.data.views import View, target_dimensions, view_for

from .array_check import FIRST_DIMENSION
from .examples import Examples
from .forecast_store import ForecastWriter
from .metrics import metric
from .tally import Tally


@dataclass
class Evaluation:
    """What evaluating a model gave.

    Attributes:
        tallies: one for each scenario, in the task's order.
        examples: columns of examples.parquet.
        cases: cases in the first regular scenario.
        kind: kind of the forecasts.
        predict_seconds: time inside the model.
        predicted: number of forecasts made.
        fallbacks: series that the model replaced by a simpler forecast, by reason; None where it never does.
    """

    tallies: list[Tally] = field(default_factory=list)
    examples: Examples = field(default_factory=Examples)
    cases: int = 0
    kind: str = "point"
    predict_seconds: float = 0.0
    predicted: int = 0
    fallbacks: Counter[str] | None = None

    def scores(self) -> dict[str, dict[str, float | None]]:
        """Metric → average → mean over its scenarios; None where a scenario has no value."""
        values = {tally.scenario.key: tally.values() for tally in self.tallies}
        metrics = [metric.name for metric in self.tallies[0].metrics] if self.tallies else []
        means = averages(tally.scenario for tally in self.tallies)
        return {
            name: {mean: _mean([values[key][name] for key in keys]) for mean, keys in means.items()}
            for name in metrics
        }

    def score_columns(self) -> dict[str, list[Any]]:
        """Columns of scores.parquet."""
        return _concatenate([tally.score_columns() for tally in self.tallies])

    def unit_columns(self) -> dict[str, list[Any]]:
        """Columns of units.parquet."""
        return _concatenate([tally.unit_columns() for tally in self.tallies])


def evaluate(
    model: Model,
    data: Mapping[str, TaskData],
    task: Task,
    scenarios: Sequence[Scenario],
    context: int,
    *,
    batch_size: int | None = None,
    drop_last: bool = False,
    writer: ForecastWriter | None = None,
    report: Callable[[str, int, int], None] = lambda scenario, done, cases: None,
) -> Evaluation:
    """Score a model on scenarios of a task. Every window of the test part is scored once.

    Args:
        model: the forecaster; its forecasts are in model space.
        data: data set → the task opened on it, for each data set that the scenarios name.
        task: the declaration.
        scenarios: which cells of the condition grid.
        context: look-back in steps.
        batch_size: cases a batch, by default as many as hold 256 sequences; scores do not depend on it.
        drop_last: leave out the last incomplete batch, as some published tables did (a parity setting).
        writer: where forecasts are saved, or None.
        report: called after each batch with scenario key, cases done and cases in all.

    Raises:
        InputError: where dropping the last batch leaves none, or a metric needs quantiles or members that the
            forecasts do not have.
        JobFailed: where a forecast is not finite, or has another shape than the target.
    """
    evaluation = Evaluation()
    presenter = Presenter(model, task)
    shown = _shown(scenarios)
    for scenario in scenarios:
        opened = data[scenario.dataset]
        cases = opened.test_cases(scenario, context).using(*model.uses)
        tally = tally_for(task, scenario, opened, len(cases))
        size = batch_size or batch_size_for(cases)
        batches = Batches(cases, size, drop_last=drop_last)
        if len(batches) == 0:
            raise InputError(f"{len(cases)} test windows make no whole batch of {size}; take a smaller one")
        done = 0
        for batch in batches:
            disturbed = disturb(batch, scenario, task.id, opened.scale)
            before = Counter(getattr(model, "fallbacks", None))
            forecast, seconds = presenter.predict(disturbed, context, _draws(task, scenario))
            evaluation.predict_seconds += seconds
            if (counted := getattr(model, "fallbacks", None)) is not None:
                evaluation.fallbacks = (evaluation.fallbacks or Counter()) + (counted - before)
            done += batch.size
            scored = in_metric_space(forecast, cases, batch["index"])
            observed, valid = cases.gather_truth(batch["index"])
            _refuse_wrong(scored, scenario, batch, observed, task)
            tally.update(
                scored, observed, valid, partial(cases.seasonal_error, batch["index"]), batch["index"]
            )
            if writer is not None:
                writer.write(scenario, batch["index"], scored)
            evaluation.kind = forecast.kind
            report(scenario.key, done, len(cases))
        evaluation.tallies.append(tally)
        evaluation.predicted += done
        if scenario.condition == "regular" and not evaluation.cases:
            evaluation.cases = done
        if scenario is shown:
            chosen = opened.choose_examples(len(cases))
            batch = disturb(cases.gather(chosen), scenario, task.id, opened.scale)
            forecast, _ = presenter.predict(batch, context, _draws(task, scenario))
            scored = in_metric_space(forecast, cases, chosen)
            evaluation.examples.add(scenario, opened, cases, chosen, scored)
    return evaluation


class Presenter:
    """Presents a task's batches to a model: on its device, in its look-back and view, groups kept apart.

    Args:
        model: the forecaster.
        task: whose batches they are.

    Raises:
        InputError: where the model takes no view that the task offers.
    """

    def __init__(self, model: Model, task: Task) -> None:
        self.model = model
        self.view = view_of(model, task)
        self.couples = getattr(model, "couples", False)
        neural = isinstance(model, torch.nn.Module)
        self.device = next(model.parameters(), torch.empty(0)).device if neural else torch.device("cpu")
        if neural:
            model.eval()

    def predict(self, batch: Batch, context: int, seed: int | None = None) -> tuple[Forecast, float]:
        """Forecast of a batch in the task's own shape, and the seconds inside the model.

        Args:
            batch: in the task's own shape.
            context: look-back in steps.
            seed: of the generator that the model is given, in the same state for every batch: members that it
                draws from that and from a case's index do not depend on the batch. None: it is given none.
        """
        generator = None if seed is None else torch.Generator(self.device).manual_seed(seed)
        viewed = self.view.batch(shorten(batch, context)).to(self.device)
        start = time.perf_counter()
        with torch.inference_mode():
            forecast = self._forecast(viewed, generator)
        if viewed["index"].is_cuda:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        return self.view.forecast(forecast, batch), seconds

    def _forecast(self, batch: Batch, generator: torch.Generator | None) -> Forecast:
        """One call a group for models that couple, so that forecasts do not depend on who shares a batch."""
        if not self.couples:
            return self.model.predict(batch, generator=generator)
        group = batch["group"] if "group" in batch else batch["index"]
        parts = [
            self.model.predict(batch.take(group == one), generator=generator)
            for one in group.unique_consecutive()
        ]
        axis = 0 if parts[0].kind == "point" else 1
        return replace(parts[0], values=torch.cat([part.values for part in parts], dim=axis))


def view_of(model: Any, task: Task) -> View:
    """The view of a task that a model, or its class, takes.

    Raises:
        InputError: where it takes none that the task offers.
    """
    named = getattr(model, "__name__", type(model).__name__)
    return view_for(task.view, getattr(model, "views", ("sequence",)), f"{named} on {task.name}")


def tally_for(task: Task, scenario: Scenario, data: TaskData, cases: int) -> Tally:
    """An empty tally for a scenario of that many cases.

    Raises:
        InputError: where a metric is for tasks of another shape, or reads quantiles that the task lacks.
    """
    metrics = [metric(name) for name in task.metrics]
    for one in metrics:
        if target_dimensions(task.view) not in map(target_dimensions, (one.view, *one.also)):
            raise InputError(f"{task.id}: the metric {one.name} is for the view {one.view}, not {task.view}")
        if lacking := [level for level in one.levels if level not in task.quantiles]:
            named = ", ".join(f"{level:g}" for level in lacking)
            raise InputError(f"{task.id}: the metric {one.name} needs {named} among the task's `quantiles`")
        if one.name == task.primary and one.better == "nominal":
            raise InputError(
                f"{task.id}: {one.name} ranks nothing, since it should be near {one.nominal:g}; take another "
                "primary metric"
            )
    unit_of = data.unit_of_cases()
    return Tally(
        scenario,
        metrics,
        task.primary,
        data.targets,
        task.horizon,
        units=-(-cases // data.unit_windows) if unit_of is None else int(unit_of.max()) + 1,
        unit_windows=data.unit_windows,
        unit_of=unit_of,
        cluster=data.cluster(scenario),
        quantiles=task.quantiles,
        columns=data.columns,
    )


def in_metric_space(forecast: Forecast, cases: Cases, index: torch.Tensor) -> Forecast:
    """A forecast of some cases in model space, in the space where they are scored, on the processor."""
    return replace(forecast, values=cases.to_metric_space(forecast.values.cpu(), index))


def _draws(task: Task, scenario: Scenario) -> int:
    """Seed of the members that are drawn in a scenario: never the run's seed."""
    digest = hashlib.blake2b(f"draws|{task.id}|{scenario.key}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "little")


def _shown(scenarios: Sequence[Scenario]) -> Scenario | None:
    """The scenario that examples are taken from: the middle one of the regular condition."""
    regular = [scenario for scenario in scenarios if scenario.condition == "regular"]
    return regular[len(regular) // 2] if regular else None


def _refuse_wrong(
    forecast: Forecast, scenario: Scenario, batch: Batch, observed: torch.Tensor, task: Task
) -> None:
    values = forecast.values
    first = () if forecast.kind == "point" else (len(values),)
    if values.shape != (*first, *observed.shape) or 0 in first:
        names = (*FIRST_DIMENSION[forecast.kind], *target_dimensions(task.view))
        wanted = ", ".join(map(str, (*(max(one, 1) for one in first), *observed.shape)))
        raise JobFailed(
            f"The forecast in scenario '{scenario.key}' has the shape {list(values.shape)}; "
            f"({', '.join(names)}) is [{wanted}]"
        )
    if not bool(values.isfinite().all()):
        values = values if forecast.kind == "point" else values.transpose(0, 1)
        wrong = int((~values.isfinite()).flatten(1).any(dim=1).nonzero()[0])
        case = int(batch["index"][wrong])
        raise JobFailed(f"The forecast of case {case} in scenario '{scenario.key}' is not finite")


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _concatenate(tables: list[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    return {name: [value for table in tables for value in table[name]] for name in tables[0]}
