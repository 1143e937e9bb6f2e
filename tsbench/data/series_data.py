"""A task opened on a store of one time series. Owns splits, normalisation, masks and forecast origins."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from tsbench.contracts import InputError, Scenario, Split, Task, TaskShape, TestedOn, TrainedOn

from .calendar import calendar_features, calendar_names
from .cases import Cases
from .missing import fill_forward
from .normalisation import Scale, fit_scale
from .series import SeriesTable, read_series
from .task_data import Example, SplitName, TaskData
from .tested import tested_on_table
from .windows import Windows

EXAMPLE_CASES, EXAMPLE_VARIABLES = 3, 3


@dataclass(frozen=True)
class SeriesData(TaskData):
    """The data of a task, ready to be cut into windows.

    Attributes:
        task: the declaration.
        table: the time series as stored, with the context's variables only.
        targets: names of the scored variables.
        borders: first row after the training, validation and test part.
        scale: normalisation, fitted on the training rows.
        values: model space, filled with the past, float32, shape (row, channel).
        observed: mask of `values`, or None where nothing is missing.
    """

    task: Task
    table: SeriesTable
    targets: tuple[str, ...]
    borders: tuple[int, int, int]
    scale: Scale
    values: torch.Tensor
    observed: torch.Tensor | None

    @classmethod
    def open(cls, task: Task, dataset: str | None = None) -> "SeriesData":
        """Open the task on its own data set, or on another one (an unseen place) by the same rules.

        Raises:
            InputError: where data are missing, too short, or NaN although the task refuses NaN.
        """
        assert isinstance(task.split, Split)
        table = _select(read_series(dataset or task.dataset), task)
        try:
            borders = task.split.borders(len(table.values))
        except ValueError as error:
            raise InputError(f"'{table.name}' is too short for {task.id}: {error}") from error
        _refuse_missing(table, task, borders[2])
        _refuse_unseen(table, task, borders[0])
        scale = fit_scale(table.values[: borders[0]], task.normalisation)
        raw = torch.from_numpy(table.values)
        observed = ~raw.isnan()
        filled = fill_forward(raw.nan_to_num(), observed, scale.mean)
        return cls(
            task=task,
            table=table,
            targets=table.variables if task.targets == "all" else task.targets,
            borders=borders,
            scale=scale,
            values=scale.to_model(filled).float().contiguous(),
            observed=None if bool(observed.all()) else observed,
        )

    def shape(self, context: int) -> TaskShape:
        """What a model of that look-back is built for."""
        return TaskShape(
            context=context,
            horizon=self.task.horizon,
            period=self.task.period,
            channels=self.table.variables,
            targets=self.targets,
            past_covariates=self._calendar_names,
            future_covariates=self._calendar_names,
            step=self.table.step,
            quantiles=self.task.quantiles,
        )

    def windows(self, split: SplitName, context: int) -> Windows:
        """Every forecast window of a split; look-backs of validation and test reach into the part before.

        Raises:
            InputError: where the look-back is longer than the task allows or the split has no window.
        """
        if context > self.task.max_context:
            raise InputError(
                f"{self.task.id} allows a context of at most {self.task.max_context}, not {context}"
            )
        first, last = self._origins(split, context)
        # A look-back that reaches before the first row would leave target windows unscored, so it is refused.
        if first > last or context > first:
            raise InputError(
                f"'{self.table.name}' is too short for {self.task.id}: {self._lack(split, context)}"
            )
        return Windows(
            values=self.values,
            truth=self._truth,
            observed=self.observed,
            past=self._calendar,
            future=self._calendar,
            origins=torch.arange(first, last + 1),
            context=context,
            horizon=self.task.horizon,
            target_index=self.shape(context).target_index,
            scored=self,
            time=self._stamps,
        )

    def to_metric_space(self, forecast: torch.Tensor) -> torch.Tensor:
        """A forecast in model space, (..., lead_time, target), in the space where the task is scored."""
        if self.task.space == "normalised":
            return forecast
        return self._target_scale.to_units(forecast.double())

    def from_units(self, forecast: torch.Tensor) -> torch.Tensor:
        """A forecast in physical units, (..., lead_time, target), in the space where the task is scored."""
        if self.task.space == "units":
            return forecast
        return self._target_scale.to_model(forecast.double())

    def seasonal_difference(self, power: int) -> torch.Tensor:
        """Mean of |seasonal difference|^power of the training rows in metric space, float64, shape (target,).

        Power 1 is the scale of MASE (Hyndman and Koehler 2006, eq. 5) with the task's period as season, power
        2 that of RMSSE. NaN where the training part is shorter than a season.
        """
        if power not in self._seasonal_differences:
            self._seasonal_differences[power] = self._mean_seasonal_difference(power)
        return self._seasonal_differences[power]

    @property
    def name(self) -> str:
        """The data set."""
        return self.table.name

    @property
    def recipe(self) -> str:
        """Hash of how the store was made."""
        return self.table.recipe

    @property
    def content(self) -> str:
        """Hash of the store's decoded values."""
        return self.table.content

    def trained_on(self) -> TrainedOn:
        """First and last time stamp of the training part."""
        start, end = self.table.stamp(0), self.table.stamp(self.borders[0] - 1)
        return TrainedOn(dataset=self.name, variables=self.table.variables, start=start, end=end)

    def tested_on(self, scenarios: Sequence[Scenario], context: int) -> tuple[TestedOn, ...]:
        """The test part, and what its look-backs read after the training part."""
        return tested_on_table(self.task, self.table, context)

    def choose_examples(self, cases: int) -> torch.Tensor:
        """Cases spread evenly over the test part."""
        shares = [(2 * number + 1) / (2 * EXAMPLE_CASES) for number in range(EXAMPLE_CASES)]
        return torch.tensor(sorted({int(share * cases) for share in shares}))

    def illustrate(self, cases: Cases, case: int, forecast: torch.Tensor) -> list[Example]:
        """The last targets of a window; `forecast`: shape (lead_time, target)."""
        assert isinstance(cases, Windows)
        tail = min(cases.context, 2 * cases.horizon)
        origin = int(cases.origins[case])
        rows = range(origin - tail, origin + cases.horizon)
        return [
            Example(
                variable=name,
                stamps=[self.table.stamp(row) for row in rows],
                lead_times=[row - origin + 1 for row in rows],
                observed=cases.truth[rows.start : rows.stop, variable].tolist(),
                forecast=forecast[:, variable].float().tolist(),
            )
            for variable, name in list(enumerate(self.targets))[-EXAMPLE_VARIABLES:]
        ]

    def _origins(self, split: SplitName, context: int) -> tuple[int, int]:
        start, end = self._rows(split)
        return context if split == "train" else start, end - self.task.horizon

    def _lack(self, split: SplitName, context: int) -> str:
        """What a split lacks that has no window."""
        start, end = self._rows(split)
        if split == "train":
            return (
                f"the train part has {end} rows, fewer than context {context} + horizon {self.task.horizon}"
            )
        if end - start < self.task.horizon:
            return f"the {split} part has {end - start} rows, fewer than the horizon {self.task.horizon}"
        return f"{start} rows lie before the {split} part, fewer than the context {context}"

    def _rows(self, split: SplitName) -> tuple[int, int]:
        """First row of a split, and the row after its last."""
        train, validation, test = self.borders
        return {"train": (0, train), "validation": (train, validation), "test": (validation, test)}[split]

    def _mean_seasonal_difference(self, power: int) -> torch.Tensor:
        train = self._truth[: self.borders[0]].double()
        difference = (train[self.task.period :] - train[: -self.task.period]).abs() ** power
        if self.observed is not None:
            mask = self.observed[: self.borders[0]][:, self._target_columns]
            both = mask[self.task.period :] & mask[: -self.task.period]
            difference = torch.where(both, difference, torch.nan)
        return difference.nanmean(dim=0)

    @cached_property
    def _seasonal_differences(self) -> dict[int, torch.Tensor]:
        """Power → mean, of those that were asked for."""
        return {}

    @cached_property
    def _target_columns(self) -> list[int]:
        return [self.table.variables.index(name) for name in self.targets]

    @cached_property
    def _target_scale(self) -> Scale:
        return self.scale.channels(self._target_columns)

    @cached_property
    def _truth(self) -> torch.Tensor:
        if self.task.space == "normalised":
            return self.values[:, self._target_columns].contiguous()
        return torch.from_numpy(self.table.values[:, self._target_columns]).nan_to_num().float().contiguous()

    @cached_property
    def _calendar_names(self) -> tuple[str, ...]:
        return calendar_names(self.table.step, dated=self.table.time.dtype.kind == "M")

    @cached_property
    def _stamps(self) -> torch.Tensor | None:
        """Nanoseconds since 1970, shape (row, 1)."""
        if self.table.time.dtype.kind != "M":
            return None
        return torch.from_numpy(self.table.time.astype("datetime64[ns]").astype(np.int64)[:, None])

    @cached_property
    def _calendar(self) -> torch.Tensor:
        return torch.from_numpy(calendar_features(self.table.time, self._calendar_names))


def _select(table: SeriesTable, task: Task) -> SeriesTable:
    columns = table.columns(task.variables)
    chosen = SeriesTable(
        name=table.name,
        values=np.ascontiguousarray(table.values[:, columns]),
        variables=tuple(table.variables[column] for column in columns),
        units=tuple(table.units[column] for column in columns),
        time=table.time,
        step=table.step,
        recipe=table.recipe,
        content=table.content,
    )
    chosen.columns(task.targets)
    return chosen


def _refuse_missing(table: SeriesTable, task: Task, end: int) -> None:
    rows, columns = np.nonzero(np.isnan(table.values[:end]))
    if len(rows) == 0 or task.missing == "mask":
        return
    raise InputError(
        f"'{table.name}' has {len(rows)} missing values, the first in '{table.variables[columns[0]]}' at "
        f"{table.stamp(int(rows[0]))}; {task.id} refuses missing values "
        "(a task with `missing: mask` masks them)"
    )


def _refuse_unseen(table: SeriesTable, task: Task, train: int) -> None:
    empty = np.isnan(table.values[:train]).all(axis=0)
    if empty.any():
        raise InputError(
            f"'{table.name}' is too short for {task.id}: '{table.variables[int(empty.argmax())]}' has no "
            f"value in the {train} training rows"
        )
