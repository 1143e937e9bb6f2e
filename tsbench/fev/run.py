"""Runs a model on the tasks of a task file of fev; fev scores the forecasts.

A Result of ours pools the windows of a task, fev takes the mean of their values; so the value that stands
beside fev's published tables is computed by fev itself, from the same forecasts.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsbench import registry
from tsbench.contracts import InputError, JobFailed, Result, Task
from tsbench.data.prepare import prepare
from tsbench.jobs.job import Options, resolve
from tsbench.jobs.run import Conduct, Outcome, run

from .collection import stamps_in
from .definitions import Definition, first_line, read_definitions
from .windows import windows_of

if TYPE_CHECKING:
    import pandas as pd

FAMILY = "fev"
SAME = 1e-5
"""Relative difference below which a value of ours and one of fev are the same."""


@dataclass(frozen=True)
class Scored:
    """What became of a task.

    Attributes:
        definition: the task.
        outcome: of the job; None where it failed.
        summary: of fev; empty where the job failed.
        error: why it failed, or empty.
    """

    definition: Definition
    outcome: Outcome | None
    summary: dict[str, Any]
    error: str = ""

    @property
    def pooled(self) -> dict[str, float | None]:
        """Metric of fev → our value over all windows together."""
        result = self.outcome.result if self.outcome else None
        return (
            {}
            if result is None
            else {one: result.scores[f"fev.{one}"]["regular"] for one in self.definition.metrics}
        )

    @property
    def different(self) -> list[str]:
        """Metrics of which our value is another than fev's."""
        return [one for one, value in self.pooled.items() if not _same(value, self.summary[one])]


def run_tasks(
    model: str | type,
    path: Path,
    *,
    seed: int = 0,
    options: Options | None = None,
    conduct: Conduct | None = None,
) -> list[Scored]:
    """Prepare every task of a task file, run the model on each, and let fev score its forecasts.

    Args:
        model: name, `FILE.py`, `FILE.py:CLASS`, or a class.
        path: the task file.
        seed: of the fits.
        options: of the jobs.
        conduct: how they are carried out; forecasts are always saved.

    Returns:
        One record a task, in the file's order; a job that fails stops no other.

    Raises:
        InputError: for wrong input, before any job runs.
    """
    options, conduct = options or Options(), replace(conduct or Conduct(), save_forecasts=True)
    definitions = read_definitions(path)
    tasks = [_prepared(one, path) for one in definitions]
    # All are resolved first: wrong input shows before hours of work.
    for task in tasks:
        resolve(model, task, seed, options)
    found = []
    for number, (definition, task) in enumerate(zip(definitions, tasks, strict=True), start=1):
        conduct.say(f"[{number}/{len(tasks)}] {task.name}")
        try:
            (outcome,) = run(model, task, seeds=(seed,), options=options, conduct=conduct)
            found.append(Scored(definition, outcome, _summary(definition, task, outcome)))
        except (InputError, JobFailed) as error:
            found.append(Scored(definition, None, {}, str(error)))
            conduct.say(f"failed {task.name}: {error}")
    return found


def table_of(scored: list[Scored]) -> "pd.DataFrame":
    """The summaries of fev, a row a task, in the columns that fev writes."""
    import pandas as pd

    return pd.DataFrame([one.summary for one in scored if one.summary])


def _prepared(definition: Definition, path: Path) -> Task:
    name = f"{FAMILY}/{definition.name}"
    prepare(name, path)
    return registry.task(name)


def _summary(definition: Definition, task: Task, outcome: Outcome) -> dict[str, Any]:
    from tsbench.jobs.execute import FORECAST

    from .predictions import predictions_of

    result = outcome.result
    assert result is not None
    fev_task, dataset = definition.load()
    windows = windows_of(fev_task, stamps_in(fev_task, dataset), definition.where)
    predictions = predictions_of(outcome.job.folder / FORECAST, task, fev_task, windows)
    fit, predict = result.cost.get("fit"), result.cost.get("predict")
    try:
        summary = fev_task.evaluation_summary(
            predictions,
            model_name=result.model.name,
            training_time_s=fit.seconds if fit else 0.0,
            inference_time_s=predict.seconds if predict else None,
            trained_on_this_dataset=_trained_on_it(result),
        )
    except (ValueError, AssertionError) as error:
        raise JobFailed(f"fev does not score {task.name}: {first_line(error)}") from error
    # As the file has it: a folder of this machine is nobody's.
    return summary | {"dataset_path": definition.fields["dataset_path"]}


def _trained_on_it(result: Result) -> bool:
    """Whether the weights have seen values of the task's data set, or of another one of the same files."""
    files = {one.files for one in result.tested_on} - {None}
    return any(one.dataset == result.task.dataset or one.files in files for one in result.trained_on)


def _same(ours: float | None, theirs: float) -> bool:
    if ours is None or theirs != theirs:
        return ours is None and theirs != theirs
    return abs(ours - theirs) <= SAME * max(abs(ours), abs(theirs))
