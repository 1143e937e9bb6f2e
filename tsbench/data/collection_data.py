"""A task opened on a store of series of different length. Owns origins, masks and scales."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from tsbench.contracts import (
    InputError,
    RollingSplit,
    Scenario,
    SeriesSplit,
    Task,
    TaskShape,
    TestedOn,
    TrainedOn,
)

from .calendar import calendar_names
from .cases import Cases
from .collection import SeriesCollection, fill_rows_forward, read_collection
from .collection_cases import HeldSeries, RollingWindows, counts_by
from .collection_parts import Origins, common_scale, of_all, series_of, series_origins
from .normalisation import SeriesScale, fit_series_scale
from .task_data import Example, SplitName, TaskData
from .tested import tested_on_collection

EXAMPLE_CASES, EXAMPLE_CHANNELS = 3, 3


@dataclass(frozen=True)
class CollectionData(TaskData):
    """The data of a task, ready to be cut into windows.

    Attributes:
        task: the declaration.
        collection: the series as stored, with the context's channels only.
        targets: names of the scored channels.
        scale: normalisation of each series, fitted on its training part, or on all training series.
        held: what windows gather from.
    """

    task: Task
    collection: SeriesCollection
    targets: tuple[str, ...]
    scale: SeriesScale
    held: HeldSeries

    @classmethod
    def open(cls, task: Task, dataset: str | None = None) -> "CollectionData":
        """Open the task on its own data set, or on another one (unseen series) by the same rules.

        Raises:
            InputError: where data are missing, a series is too short and the task refuses that, or there are
                NaN although it refuses them.
        """
        return cls.of(task, read_collection(dataset or task.dataset))

    @classmethod
    def of(cls, task: Task, collection: SeriesCollection) -> "CollectionData":
        """Open the task on series that are read already."""
        collection = collection.select(task.variables)
        targets = collection.channels if task.targets == "all" else task.targets
        columns = collection.columns(targets)
        if isinstance(task.split, RollingSplit):
            _refuse_short(collection, task, task.split.borders(collection.sizes, task.horizon)[0])
        _refuse_missing(collection, task)
        scale = _fit_scale(collection, task)
        observed = ~np.isnan(collection.values)
        filled = collection.values
        if not observed.all():
            filled = fill_rows_forward(filled, collection.sizes, scale.mean.numpy())
        model = filled
        if task.normalisation != "none":
            shift, factor = (
                np.repeat(one.numpy(), collection.sizes, axis=0) for one in (scale.shift, scale.factor)
            )
            model = (filled - shift) / factor
        normalised = task.space == "normalised"
        truth = (model if normalised else filled)[:, columns]
        held = HeldSeries(
            values=torch.from_numpy(model.astype(np.float32)),
            truth=torch.from_numpy(np.where(observed[:, columns], truth, 0.0)),
            observed=None if observed.all() else torch.from_numpy(observed),
            first=torch.from_numpy(collection.first),
            end=torch.from_numpy(collection.first + collection.sizes),
            scale=scale,
            known=torch.from_numpy(collection.known.values),
            past=torch.from_numpy(collection.past.values),
            static=torch.from_numpy(collection.static.values),
            categorical=torch.from_numpy(collection.categorical.values),
            starts=collection.starts,
            step=collection.step,
            calendar=calendar_names(collection.step, dated=collection.dated),
            target_index=tuple(columns),
            normalised=normalised,
            period=task.period,
        )
        return cls(task=task, collection=collection, targets=targets, scale=scale, held=held)

    @property
    def unit_windows(self) -> int:
        """Test windows of a series; the most, where they differ."""
        if isinstance(self.task.split, SeriesSplit):
            return int(self._origins["test"][1].max())
        return self._split.window_count(self.collection.sizes, self.task.horizon)

    def unit_of_cases(self) -> torch.Tensor | None:
        """Units are series: the number of each case's, where some series have fewer windows than others."""
        if self.task.split.kind == "rolling" and self._split.short_series != "leave_windows_out":
            return None
        counts = torch.from_numpy(self._origins["test"][1])
        counts = counts[counts > 0]
        return torch.arange(len(counts)).repeat_interleave(counts)

    def shape(self, context: int) -> TaskShape:
        """What a model of that look-back is built for."""
        known = (*self.held.calendar, *self.collection.known.names)
        return TaskShape(
            context=context,
            horizon=self.task.horizon,
            period=self.task.period,
            channels=self.collection.channels,
            targets=self.targets,
            past_covariates=(*known, *self.collection.past.names),
            future_covariates=known,
            step=self.collection.step,
            quantiles=self.task.quantiles,
            static=self.collection.static.names,
            categories=counts_by(self.collection.categorical.names, self.held.categorical),
        )

    def windows(self, split: SplitName, context: int) -> RollingWindows:
        """Every window of a split, series after series; look-backs reach into the part before.

        Raises:
            InputError: where the look-back is longer than the task allows or the split has no window.
        """
        if not 1 <= context <= self.task.max_context:
            longest = self.task.max_context
            raise InputError(f"{self.task.id} allows a context of 1 to {longest}, not {context}")
        first, count, step = self._origins[split]
        series = np.repeat(np.arange(len(count)), count)
        if not len(series):
            raise InputError(
                f"'{self.name}' is too short for {self.task.id}: no series has a window in the {split} part"
            )
        number = np.arange(len(series)) - np.repeat(np.cumsum(count) - count, count)
        origins = np.repeat(self.collection.first + first, count) + number * step
        by_series = isinstance(self.task.split, SeriesSplit)
        ends = self.collection.sizes
        if split == "train" and not by_series:
            ends = np.clip(self._training_end, 0, None)
        return RollingWindows(
            held=self.held,
            series=torch.from_numpy(series),
            origins=torch.from_numpy(origins),
            ends=self.held.first + torch.from_numpy(ends),
            context=context,
            horizon=self.task.horizon,
            cut_within=None if by_series or split != "train" else self._split.cut_within,
            shortest=self._shortest,
        )

    def to_metric_space(self, forecast: torch.Tensor) -> torch.Tensor:
        """Not here: each series has a scale of its own, so cases are asked.

        Raises:
            ValueError: always.
        """
        raise ValueError("the scale depends on the series: ask the cases")

    def from_units(self, forecast: torch.Tensor) -> torch.Tensor:
        """Not here: each series has a scale of its own, so cases are asked.

        Raises:
            ValueError: always.
        """
        raise ValueError("the scale depends on the series: ask the cases")

    @property
    def name(self) -> str:
        """The data set."""
        return self.collection.name

    @property
    def recipe(self) -> str:
        """Hash of how the store was made."""
        return self.collection.recipe

    @property
    def content(self) -> str:
        """Hash of the store's decoded values."""
        return self.collection.content

    def trained_on(self) -> TrainedOn:
        """First and last position of the training parts, the last one from the end of each series.

        Positions also where there are stamps: series that end at different times have no common last stamp.
        Where the split is by series, the names of those that train.
        """
        variables = self.collection.channels
        if isinstance(self.task.split, SeriesSplit):
            names = series_of(self.collection, self.task.split, self.task.split.train)
            return TrainedOn(dataset=self.name, series=names, variables=variables, start="0", end="-1")
        end = str(int(self._training_end[0] - self.collection.sizes[0] - 1))
        return TrainedOn(dataset=self.name, variables=variables, start="0", end=end)

    def tested_on(self, scenarios: Sequence[Scenario], context: int) -> tuple[TestedOn, ...]:
        """The test windows, and what their look-backs read after the training parts."""
        return tested_on_collection(self.task, self.collection)

    def choose_examples(self, cases: int) -> torch.Tensor:
        """Cases spread evenly over the series."""
        shares = [(2 * number + 1) / (2 * EXAMPLE_CASES) for number in range(EXAMPLE_CASES)]
        return torch.tensor(sorted({int(share * cases) for share in shares}))

    def illustrate(self, cases: Cases, case: int, forecast: torch.Tensor) -> list[Example]:
        """The first targets of a window; `forecast`: shape (lead_time, target)."""
        assert isinstance(cases, RollingWindows)
        series, origin = int(cases.series[case]), int(cases.origins[case])
        first = int(self.held.first[series])
        tail = min(cases.context, 2 * cases.horizon, origin - first)
        rows = range(origin - tail, origin + cases.horizon)
        stamps = [self.collection.stamp(series, row - first) for row in rows]
        names = [f"{self.collection.series[series]} {name}" for name in self.targets]
        if len(self.collection.channels) == 1:
            names = [self.collection.series[series]]
        return [
            Example(
                variable=name,
                stamps=stamps,
                lead_times=[row - origin + 1 for row in rows],
                observed=self.held.truth[rows.start : rows.stop, column].tolist(),
                forecast=forecast[:, column].float().tolist(),
            )
            for column, name in list(enumerate(names))[:EXAMPLE_CHANNELS]
        ]

    @property
    def _split(self) -> RollingSplit:
        assert isinstance(self.task.split, RollingSplit)
        return self.task.split

    @property
    def _shortest(self) -> int:
        assert isinstance(self.task.split, RollingSplit | SeriesSplit)
        return self.task.split.shortest_context

    @cached_property
    def _borders(self) -> tuple[np.ndarray, np.ndarray]:
        return self._split.borders(self.collection.sizes, self.task.horizon)

    @property
    def _training_end(self) -> np.ndarray:
        return self._borders[1]

    @cached_property
    def _origins(self) -> Mapping[SplitName, Origins]:
        """Split → position of each series' first origin, number of origins, and steps between them."""
        if isinstance(self.task.split, SeriesSplit):
            return series_origins(self.task.split, self.collection, self.task.horizon)
        split, horizon = self._split, self.task.horizon
        test, training_end = self._borders
        step, shortest, windows = split.step or horizon, split.shortest_context, self.unit_windows
        left_out = np.where(test >= shortest, 0, windows)
        if split.short_series == "leave_windows_out":
            left_out = np.clip(-((test - shortest) // step), 0, windows)
        # A validation origin without enough values before it is left out; those after it are kept.
        missing = np.clip(-((training_end - shortest) // step), 0, split.validation)
        last = training_end - horizon
        return {
            "train": (np.full_like(test, shortest), np.clip(last - shortest + 1, 0, None), 1),
            "validation": (training_end + missing * step, split.validation - missing, step),
            "test": (test + left_out * step, windows - left_out, step),
        }


def _fit_scale(collection: SeriesCollection, task: Task) -> SeriesScale:
    """Of each series on its training part; where the split is by series, one for all.

    Other data without training series are scaled as the task's own.
    """
    if isinstance(task.split, RollingSplit):
        training_end = task.split.borders(collection.sizes, task.horizon)[1]
        return fit_series_scale(
            collection.values, collection.sizes, np.maximum(training_end, 0), task.normalisation
        )
    assert isinstance(task.split, SeriesSplit)
    scale = common_scale(task.split, collection, task.normalisation)
    if scale is not None:
        return scale
    if collection.name == task.dataset:
        label = f"{task.split.coordinate} = {task.split.train}"
        raise InputError(f"'{collection.name}' has no series with {label}")
    return of_all(CollectionData.open(task).scale, collection)


def _refuse_short(collection: SeriesCollection, task: Task, test: np.ndarray) -> None:
    assert isinstance(task.split, RollingSplit)
    short = np.flatnonzero(test < task.split.shortest_context)
    if not len(short) or task.split.short_series != "refuse":
        return
    one = int(short[0])
    needed = collection.sizes[one] - test[one] + task.split.shortest_context
    raise InputError(
        f"'{collection.name}' is too short for {task.id}: series '{collection.series[one]}' has "
        f"{collection.sizes[one]} values, its test windows need {needed}"
    )


def _refuse_missing(collection: SeriesCollection, task: Task) -> None:
    if task.missing == "mask":
        return
    rows, columns = np.nonzero(np.isnan(collection.values))
    if not len(rows):
        return
    series = int(np.searchsorted(collection.first, rows[0], side="right")) - 1
    place = collection.stamp(series, int(rows[0] - collection.first[series]))
    raise InputError(
        f"'{collection.name}' has {len(rows)} missing values, the first in "
        f"'{collection.channels[columns[0]]}' of series '{collection.series[series]}' at {place}; "
        f"{task.id} refuses missing values "
        "(a task with `missing: mask` masks them)"
    )
