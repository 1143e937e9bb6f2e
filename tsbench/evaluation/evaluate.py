"""Evaluates a model on scenarios of a task: batches → disturbance → forecast → tallies, in one pass."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from tsbench.contracts import Forecast, InputError, JobFailed, Model, Scenario, Task
from tsbench.data.batch import Batch
from tsbench.data.disturbances import disturb
from tsbench.data.task_data import TaskData
from tsbench.data.windows import Batches, Windows

from .examples import Examples
from .forecast_store import ForecastWriter
from .metrics import metric
from .tally import Tally

BATCH_SIZE = 256


@dataclass
class Evaluation:
    """What evaluating a model gave.

    Attributes:
        tallies: one for each scenario, in the task's order.
        examples: columns of examples.parquet.
        cases: forecast windows in the first regular scenario.
        kind: kind of the forecasts.
        predict_seconds: time inside the model.
        predicted: number of forecasts made.
    """

    tallies: list[Tally] = field(default_factory=list)
    examples: Examples = field(default_factory=Examples)
    cases: int = 0
    kind: str = "point"
    predict_seconds: float = 0.0
    predicted: int = 0

    def scores(self) -> dict[str, dict[str, float | None]]:
        """Metric → condition → mean over the condition's scenarios; None where a scenario has no value."""
        found: dict[str, dict[str, list[float | None]]] = {}
        for tally in self.tallies:
            for name, value in tally.values().items():
                found.setdefault(name, {}).setdefault(tally.scenario.condition, []).append(value)
        return {name: {key: _mean(values) for key, values in by.items()} for name, by in found.items()}

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
    batch_size: int = BATCH_SIZE,
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
        batch_size: cases a batch; scores do not depend on it.
        drop_last: leave out the last incomplete batch, as some published tables did (a parity setting).
        writer: where forecasts are saved, or None.
        report: called after each batch with scenario key, cases done and cases in all.

    Raises:
        InputError: where dropping the last batch leaves none.
        JobFailed: where a forecast is not finite, or has another shape than the target.
    """
    evaluation = Evaluation()
    device = next(model.parameters(), torch.empty(0)).device if isinstance(model, torch.nn.Module) else "cpu"
    for scenario in scenarios:
        opened = data[scenario.dataset]
        windows = opened.windows("test", context).using(*model.uses)
        tally = tally_for(task, scenario, opened, len(windows))
        batches = Batches(windows, batch_size, drop_last=drop_last)
        if len(batches) == 0:
            raise InputError(
                f"{len(windows)} test windows make no whole batch of {batch_size}; take a smaller one"
            )
        done = 0
        for batch in batches:
            disturbed = disturb(batch, scenario, task.id, opened.scale)
            forecast, seconds = _predict(model, disturbed.to(device))
            evaluation.predict_seconds += seconds
            done += batch.size
            values = opened.to_metric_space(point(forecast).cpu())
            _refuse_wrong(values, scenario, batch, (batch.size, task.horizon, len(opened.targets)))
            observed, valid = windows.gather_truth(batch["index"])
            tally.update(values, observed, valid, opened.seasonal_error, batch["index"])
            if writer is not None:
                writer.write(scenario, batch["index"], values)
            evaluation.kind = forecast.kind
            report(scenario.key, done, len(windows))
        evaluation.tallies.append(tally)
        evaluation.predicted += done
        if scenario.condition == "regular" and not evaluation.cases:
            evaluation.cases = done
            _add_examples(evaluation.examples, model, opened, windows, scenario, task, device)
    return evaluation


def tally_for(task: Task, scenario: Scenario, data: TaskData, cases: int) -> Tally:
    """An empty tally for a scenario of `cases` windows."""
    return Tally(
        scenario,
        [metric(name) for name in task.metrics],
        task.primary,
        data.targets,
        task.horizon,
        units=-(-cases // task.unit_windows),
        unit_windows=task.unit_windows,
    )


def point(forecast: Forecast) -> torch.Tensor:
    """The point of a forecast, (sample, lead_time, channel): itself, the median, or the median member."""
    if forecast.kind == "point":
        return forecast.values
    if forecast.kind == "samples":
        return forecast.values.median(dim=0).values
    if 0.5 not in forecast.quantiles:
        raise InputError(f"Point metrics need the quantile 0.5; the forecast has {list(forecast.quantiles)}")
    return forecast.values[forecast.quantiles.index(0.5)]


def _predict(model: Model, batch: Batch) -> tuple[Forecast, float]:
    if isinstance(model, torch.nn.Module):
        model.eval()
    start = time.perf_counter()
    with torch.inference_mode():
        forecast = model.predict(batch)
    if batch["index"].is_cuda:
        torch.cuda.synchronize()
    return forecast, time.perf_counter() - start


def _refuse_wrong(
    values: torch.Tensor, scenario: Scenario, batch: Batch, shape: tuple[int, int, int]
) -> None:
    if tuple(values.shape) != shape:
        raise JobFailed(
            f"The forecast in scenario '{scenario.key}' has the shape {list(values.shape)}; "
            f"(sample, lead_time, channel) is {list(shape)}"
        )
    if not bool(values.isfinite().all()):
        wrong = int((~values.isfinite()).flatten(1).any(dim=1).nonzero()[0])
        case = int(batch["index"][wrong])
        raise JobFailed(f"The forecast of case {case} in scenario '{scenario.key}' is not finite")


def _add_examples(
    examples: Examples,
    model: Model,
    data: TaskData,
    windows: Windows,
    scenario: Scenario,
    task: Task,
    device: torch.device | str,
) -> None:
    cases = examples.choose(len(windows))
    batch = disturb(windows.gather(cases), scenario, task.id, data.scale)
    forecast, _ = _predict(model, batch.to(device))
    examples.add(scenario, data, windows, cases, data.to_metric_space(point(forecast).cpu()))


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _concatenate(tables: list[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    return {name: [value for table in tables for value in table[name]] for name in tables[0]}
