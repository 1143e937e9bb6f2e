"""TaskData: a task opened on its store; what evaluation, training and jobs may ask of it, for any store."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, Literal

import torch

from tsbench.contracts import InputError, Scenario, Task, TaskShape, TestedOn, TrainedOn
from tsbench.contracts.kinds import FURTHER, data_module
from tsbench.contracts.result import Column

from .cases import Cases
from .views import CASE_DIMENSIONS, VIEWS, target_dimensions

SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Example:
    """A case for pictures: one variable's context and target.

    Attributes:
        variable: name.
        stamps: time of each step, as text.
        lead_times: of each step; 0 is the last of the context.
        observed: value of each step, in metric space.
        forecast: value of each step after the context.
    """

    variable: str
    stamps: list[str]
    lead_times: list[int]
    observed: list[float]
    forecast: list[float]


class TaskData(ABC):
    """The data of a task, ready to be gathered into batches.

    Attributes:
        task: the declaration.
        targets: names of the scored variables; empty where scores are not told apart by variable.
        scale: normalisation, fitted on the training part.
    """

    task: Task
    targets: tuple[str, ...]
    scale: Any

    @classmethod
    def open(cls, task: Task, dataset: str | None = None) -> "TaskData":
        """Open the task on its own data set, or on another one (an unseen place) by the same rules.

        Raises:
            InputError: where data are missing, too short, damaged, or NaN although the task refuses NaN.
        """
        if (task.view, task.view) not in VIEWS:
            raise InputError(f"{task.id}: unknown view '{task.view}'; there are {', '.join(CASE_DIMENSIONS)}")
        if task.kind in FURTHER:
            return import_module(data_module(task.kind)).open_task(task, dataset)
        if task.rolling:
            from .collection_data import CollectionData

            return CollectionData.open(task, dataset)
        if task.samples is None:
            from .series_data import SeriesData

            return SeriesData.open(task, dataset)
        from .sample_data import SampleData

        return SampleData.open(task, dataset)

    @property
    @abstractmethod
    def name(self) -> str:
        """The data set."""

    @property
    @abstractmethod
    def recipe(self) -> str:
        """Hash of how the store was made."""

    @property
    @abstractmethod
    def content(self) -> str:
        """Hash of the store's decoded values."""

    @property
    def unit_windows(self) -> int:
        """Test cases in one independent unit; the most, where units differ."""
        return self.task.unit_windows

    @property
    def columns(self) -> tuple[Column, ...]:
        """What scores are told apart by, where that is more than the targets: also level and region."""
        return ()

    def unit_of_cases(self) -> torch.Tensor | None:
        """Independent unit of each test case, int64, shape (case,); None: `unit_windows` cases each."""
        return None

    @cached_property
    def seasonal_error(self) -> torch.Tensor:
        """Scale of MASE in metric space, float64, shape (target,); empty where there are no targets."""
        return self.seasonal_difference(1)

    def seasonal_difference(self, power: int) -> torch.Tensor:
        """Mean of |seasonal difference|^power of the training part; power 1 is `seasonal_error`."""
        return torch.empty(0, dtype=torch.float64)

    @abstractmethod
    def shape(self, context: int) -> TaskShape:
        """What a model of that look-back is built for, in the task's own shape."""

    @abstractmethod
    def windows(self, split: SplitName, context: int) -> Cases:
        """Every case of a split.

        Raises:
            InputError: where the look-back is longer than the task allows or the split has no case.
        """

    def test_cases(self, scenario: Scenario, context: int) -> Cases:
        """Every case of a scenario, not yet disturbed."""
        return self.windows("test", context)

    def cluster(self, scenario: Scenario) -> str | Sequence[str]:
        """The cluster of a scenario's units, or of each of them."""
        return scenario.dataset

    @abstractmethod
    def to_metric_space(self, forecast: torch.Tensor) -> torch.Tensor:
        """A forecast in model space, in the space where the task is scored."""

    @abstractmethod
    def from_units(self, forecast: torch.Tensor) -> torch.Tensor:
        """A forecast in physical units, in the space where the task is scored."""

    @abstractmethod
    def trained_on(self) -> TrainedOn:
        """The range of data that a model fitted on the training part has seen."""

    def tested_on(self, scenarios: Sequence[Scenario], context: int) -> tuple[TestedOn, ...]:
        """Ranges of this data set that some scenarios are tested on; empty where the data cannot say."""
        return ()

    @abstractmethod
    def choose_examples(self, cases: int) -> torch.Tensor:
        """Which cases of the test part are shown: the same for every model."""

    @abstractmethod
    def illustrate(self, cases: Cases, case: int, forecast: torch.Tensor) -> list[Example]:
        """A case for pictures, its forecast in metric space, without the sample dimension."""

    def forecast_shape(self, cases: int, context: int) -> tuple[int, ...]:
        """Shape of the forecasts of some cases, in the task's own shape."""
        shape = self.shape(context)
        sizes = {"sample": cases, "lead_time": shape.horizon, "channel": len(shape.targets), **shape.sizes}
        return tuple(sizes[name] for name in target_dimensions(self.task.view))
