"""Makes a Result from a forecast that was made elsewhere; the same code checks submissions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from tsbench import registry
from tsbench.contracts import (
    CONDITIONS,
    Forecast,
    InputError,
    ModelRecord,
    Result,
    ResultProvenance,
    Scenario,
    Task,
    TaskRecord,
    Track,
    averages,
)
from tsbench.contracts.result import EXAMPLES_FILE, RESULT_FILE, SCORES_FILE, UNITS_FILE
from tsbench.data.task_data import TaskData
from tsbench.evaluation.evaluate import Evaluation, tally_for
from tsbench.evaluation.forecast_store import SavedForecast, check_forecast
from tsbench.evaluation.record import write_result
from tsbench.folders import runs_folder

from .code import code_hash, roots
from .execute import created_now, host_class
from .job import scenarios_at_hand, versions
from .limited import LimitedReader


@dataclass(frozen=True)
class Scored:
    """A saved forecast with its scores.

    Attributes:
        saved: the forecast.
        evaluation: its scores.
        data: data set → the task opened on it.
        skipped: scenario key → why it has no score.
    """

    saved: SavedForecast
    evaluation: Evaluation
    data: dict[str, TaskData]
    skipped: dict[str, str]


def score(forecast: Path, task_name: str, out: Path | None = None) -> tuple[Path, Result]:
    """Score a saved forecast and write the Result folder.

    Args:
        forecast: a Zarr v3 group, see `tsbench.evaluation.forecast_store`.
        task_name: the task that it answers.
        out: the Result folder; by default below the runs folder. An older Result there is replaced.

    Raises:
        InputError: for an unknown task, a forecast that does not fit it, or an `out` that holds anything else
            than a Result.
    """
    task = registry.task(task_name)
    if out is not None:
        _refuse_other(out)
    scored = score_saved(forecast, task)
    saved, data, evaluation = scored.saved, scored.data, scored.evaluation
    result = Result(
        model=ModelRecord(name=saved.model, version=1, hyperparameters={}, parameters=None),
        task=TaskRecord(
            name=task.name,
            version=task.version,
            hash=task.hash,
            dataset=task.dataset,
            recipe={name: opened.recipe for name, opened in data.items()},
            content={name: opened.content for name, opened in data.items()},
        ),
        seed=0,
        track=Track(context=None, tuning="unknown", learning="unknown"),
        trained_on=(),
        forecast_kind=saved.kind,
        primary=task.primary,
        scores=evaluation.scores(),
        scenarios={name: len(keys) for name, keys in averages(saved.scenarios).items()},
        cases=evaluation.cases,
        skipped=scored.skipped,
        cost={},
        provenance=ResultProvenance(
            created=created_now(),
            command=f"tsbench score {forecast.name} {task.name}",
            code=code_hash(roots(task.kind)),
            versions=versions(),
            host=host_class("cpu"),
            threads=1,
        ),
    )
    folder = out or runs_folder() / "scored" / task.name / saved.model
    write_result(folder, result, evaluation.score_columns(), evaluation.unit_columns(), None)
    return folder, result


def score_saved(forecast: Path, task: Task) -> Scored:
    """Score a saved forecast on every scenario that it has; its values are read in a limited child process.

    Raises:
        InputError: for a forecast that does not fit the task.
    """
    scenarios, skipped = scenarios_at_hand(task, CONDITIONS)
    data = {name: TaskData.open(task, name) for name in {scenario.dataset for scenario in scenarios}}
    saved = open_forecast(forecast, task, scenarios, data)
    missing = {one.key: "the forecast has no array for it" for one in scenarios if one not in saved.scenarios}
    return Scored(saved, _tally(saved, data), data, skipped | missing)


def open_forecast(
    forecast: Path, task: Task, scenarios: Sequence[Scenario], data: Mapping[str, TaskData]
) -> SavedForecast:
    """Check a saved forecast against the shapes that its scenarios must have.

    Raises:
        InputError: where the forecast does not fit the task.
    """
    shapes = {}
    for scenario in scenarios:
        # Test cases do not depend on the look-back; a look-back of one period exists in every task.
        cases = len(data[scenario.dataset].test_cases(scenario, task.period))
        shapes[scenario.key] = data[scenario.dataset].forecast_shape(cases, task.period)
    return check_forecast(forecast, task, shapes)


def forecasts_in_metric_space(
    saved: SavedForecast, scenario: Scenario, opened: TaskData, reader: LimitedReader
) -> Iterator[tuple[torch.Tensor, Forecast]]:
    """Case indices and forecasts of a scenario, in double precision, in the space of the task's scores."""
    cases = opened.test_cases(scenario, opened.task.period)
    for index, forecast in saved.batches(scenario, reader.read):
        if saved.space != opened.task.space:
            brought = cases.from_units if saved.space == "units" else cases.to_metric_space
            forecast = replace(forecast, values=brought(forecast.values, index))
        yield index, forecast


def _refuse_other(out: Path) -> None:
    """Writing a Result replaces its folder, so nothing else may lie in it."""
    if not out.exists() and not out.is_symlink():
        return
    ours = {RESULT_FILE, SCORES_FILE, UNITS_FILE, EXAMPLES_FILE}
    if out.is_symlink() or not out.is_dir() or {path.name for path in out.iterdir()} - ours:
        raise InputError(f"{out} exists and is no Result; choose another folder with --out")


def _tally(saved: SavedForecast, data: dict[str, TaskData]) -> Evaluation:
    evaluation = Evaluation(kind=saved.kind)
    with LimitedReader(list(saved.arrays.values())) as reader:
        for scenario in saved.scenarios:
            opened = data[scenario.dataset]
            cases = opened.test_cases(scenario, opened.task.period)
            tally = tally_for(opened.task, scenario, opened, len(cases))
            for index, forecast in forecasts_in_metric_space(saved, scenario, opened, reader):
                observed, valid = cases.gather_truth(index)
                tally.update(forecast, observed, valid, partial(cases.seasonal_error, index), index)
            evaluation.tallies.append(tally)
            if scenario.condition == "regular" and not evaluation.cases:
                evaluation.cases = len(cases)
    return evaluation
