"""A model fitted for a forecast: its errors on later windows, and its forecast after the last row."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tsbench.contracts import InputError, Split, Task
from tsbench.data.batch import Batch
from tsbench.data.calendar import calendar_features
from tsbench.data.cases import SEQUENCES
from tsbench.data.series import read_series
from tsbench.data.series_data import SeriesData
from tsbench.data.steps import following
from tsbench.evaluation.evaluate import Presenter
from tsbench.evaluation.reading import point
from tsbench.jobs.execute import Execution
from tsbench.jobs.job import Options, resolve
from tsbench.jobs.run import Conduct, run

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """A model with the data that it was fitted on.

    Attributes:
        name: of the model.
        context: look-back in steps.
        data: the file, opened as the task that the model was fitted on; scored in units.
        model: ready to predict.
    """

    name: str
    context: int
    data: SeriesData
    model: Any

    @cached_property
    def _presenter(self) -> Presenter:
        return Presenter(self.model, self.data.task)

    def errors(self, split: str) -> Floats:
        """Observed − forecast of every window of a split, in units, shape (window, lead_time, variable)."""
        cases = self.data.windows(split, self.context).using(*self.model.uses)  # type: ignore[arg-type]
        found = []
        for batch in cases.batches(SEQUENCES):
            forecast, _ = self._presenter.predict(batch, self.context)
            observed, _ = cases.gather_truth(batch["index"])
            found.append((observed.double() - self.data.to_metric_space(point(forecast)).double()).numpy())
        return np.concatenate(found)

    def after_the_last_row(self) -> tuple[np.ndarray, Floats]:
        """Stamps and values of the steps after the file, in units: (lead_time,), (lead_time, variable)."""
        data, horizon = self.data, self.data.task.horizon
        shape = data.shape(self.context)
        later = following(data.table.time, data.table.step, horizon)
        time = np.concatenate([data.table.time[-self.context :], later])
        marks = torch.from_numpy(calendar_features(time, shape.past_covariates))[None]
        batch = Batch(
            context=data.values[-self.context :][None],
            past_covariates=marks[:, : self.context],
            future_covariates=marks[:, self.context :],
            index=torch.tensor([0]),
        )
        forecast, _ = self._presenter.predict(batch, self.context)
        return later, data.to_metric_space(point(forecast))[0].double().numpy()


def fit_for(model: str, task: Task, conduct: Conduct, context: int | None = None) -> Fitted:
    """Fit a model on a user's task, or take up what an earlier call fitted.

    Raises:
        InputError: where the file is too short for the model's look-back.
        JobFailed: where training fails.
    """
    options = Options(context=context or _longest(model, task))
    execution = Execution(resolve(model, task, 0, options))
    if execution.fits:
        run(model, task, options=options, conduct=replace(conduct, track=False), stage="fit")
        execution.fit()  # loads what was fitted
    data = execution.data[task.dataset]
    assert isinstance(data, SeriesData)
    return Fitted(model, execution.job.context, data, execution.model)


def on_everything(task: Task, rows: int) -> Task:
    """The task with nearly all rows to train on, for the model that makes the forecast.

    The validation part stays apart, for early stopping; so does a last window, since every task has a test.

    Args:
        task: a user's task.
        rows: of the file.
    """
    validation = max(task.horizon, rows // 10)
    train = rows - validation - task.horizon
    split = Split(kind="rows", train=train, validation=validation, test=task.horizon)
    return task.model_copy(update={"name": f"{task.name}-all", "split": split})


def _longest(model: str, task: Task) -> int | None:
    """The look-back of the model's card, cut to what leaves half of the training part for targets."""
    job = resolve(model, task, 0, Options())
    assert isinstance(task.split, Split)
    train, validation, _ = task.split.borders(len(read_series(task.dataset).values))
    room = min(train // 2, train - task.horizon)
    if validation - train < task.horizon or room < 1:
        raise InputError(
            f"The file is too short for {task.horizon} steps ahead: its training part has {train} rows, its "
            f"validation part {validation - train}"
        )
    return min(job.context, room)
