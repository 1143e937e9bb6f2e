"""A `field` task opened on its store: parts by label, cells of scenarios, normalisation, examples."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
import xarray as xr

from tsbench.contracts import (
    InputError,
    LabelledSplit,
    Provenance,
    Scenario,
    Task,
    TaskShape,
    TestedOn,
    TrainedOn,
)
from tsbench.contracts.field import FieldLayout
from tsbench.data import prepare, store
from tsbench.data.cases import Cases
from tsbench.data.samples import Rows, RowsInMemory, RowsOnDisk
from tsbench.data.task_data import Example, SplitName, TaskData

from .cases import FieldCases
from .checks import check_store
from .frame import Frame
from .maps import MASKS, stored
from .pictures import EXAMPLES, picture
from .scale import FieldScale, fit_scales

MEMORY_LIMIT = 4 * 2**30
"""Bytes of an array's part that are held in memory; larger parts are read as they are used. Not a share of
this machine's memory, since the order of training cases depends on it."""
BLOCK = 64


def open_task(task: Task, dataset: str | None = None) -> "FieldData":
    """Open the task on its own data set, or on another one by the same rules.

    Raises:
        InputError: where arrays, coordinates or parts are missing, or a transmitter's position is unknown.
    """
    name = dataset or task.dataset
    path = prepare.ensure(name)
    return FieldData.of(task, name, store.open_lazily(path), store.read_provenance(path))


@dataclass(frozen=True)
class FieldData(TaskData):
    """The data of a task, ready to be gathered map by map.

    Attributes:
        task: the declaration.
        dataset: the store's name.
        opened: the store, its arrays read when they are used.
        provenance: how it was made.
        targets: names of the forecast arrays.
        scale: normalisation of each channel, fitted on the training part of the task's own data set.
    """

    task: Task
    dataset: str
    opened: xr.Dataset
    provenance: Provenance
    scale: FieldScale
    targets: tuple[str, ...] = ()
    _held: dict[tuple[str, int, int], Rows] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, task: Task, name: str, opened: xr.Dataset, provenance: Provenance) -> "FieldData":
        """Open the task on a store that is open already.

        Raises:
            InputError: where the store does not fit the task.
        """
        layout = _layout(task)
        check_store(opened, task, name)
        sparse = layout.sparse.array if layout.sparse else None
        unscaled = FieldScale({}, layout.context, layout.target, Frame.of(opened), sparse)
        raw = cls(task, name, opened, provenance, unscaled, layout.target)
        return replace(raw, scale=raw._fit_scale())

    @property
    def name(self) -> str:
        """The data set."""
        return self.dataset

    @property
    def recipe(self) -> str:
        """Hash of how the store was made."""
        return self.provenance.recipe

    @property
    def content(self) -> str:
        """Hash of the store's decoded values."""
        return self.provenance.content

    def shape(self, context: int) -> TaskShape:
        """What a model is built for; see `tsbench.contracts.field`."""
        frame = self.scale.frame
        return TaskShape(
            context=context,
            horizon=self.task.horizon,
            period=self.task.period,
            channels=self._layout.context,
            targets=self._layout.target,
            sizes=frame.sizes,
            spacing=frame.spacing,
            heights=frame.heights,
            environment=self._layout.environment,
            scales=self.scale.scales,
        )

    def windows(self, split: SplitName, context: int) -> FieldCases:
        """Every map of a part.

        Raises:
            InputError: where the look-back is not 1 or the part has no map.
        """
        label = getattr(self._split, split)
        return self._cases(np.flatnonzero(self._labels == label), label, context, split == "test")

    def test_cases(self, scenario: Scenario, context: int) -> FieldCases:
        """Every map of a scenario's cell.

        Raises:
            InputError: where there is none.
        """
        label = scenario.part or self._split.test
        wanted = self._labels == label
        for coordinate, value in scenario.cell.items():
            wanted &= self._coordinate(coordinate) == value
        rows = np.flatnonzero(wanted)
        if not len(rows):
            raise InputError(f"'{self.name}' has no samples for the scenario '{scenario.key}'")
        return self._cases(rows, label, context, test=True)

    def cluster(self, scenario: Scenario) -> str | Sequence[str]:
        """The cluster of each case of a scenario, by the task's coordinate."""
        if self.task.cluster == "dataset":
            return scenario.dataset
        rows = self.test_cases(scenario, 1).rows.numpy()
        return [str(one) for one in self._coordinate(self.task.cluster)[rows]]

    def to_metric_space(self, forecast: torch.Tensor) -> torch.Tensor:
        """A forecast in model space, in units, float64."""
        return self.scale.targets_to_units(forecast.double())

    def from_units(self, forecast: torch.Tensor) -> torch.Tensor:
        """A forecast in units, float64."""
        return forecast.double()

    def trained_on(self) -> TrainedOn:
        """The label of the training maps."""
        part = f"{self._split.coordinate}={self._split.train}"
        return TrainedOn(dataset=self.name, variables=self._layout.target, start=part, end=part)

    def tested_on(self, scenarios: Sequence[Scenario], context: int) -> tuple[TestedOn, ...]:
        """The labels of the scenarios' maps."""
        labels = dict.fromkeys(one.part or self._split.test for one in scenarios)
        parts = [f"{self._split.coordinate}={label}" for label in labels]
        return tuple(TestedOn(dataset=self.name, role="targets", start=part, end=part) for part in parts)

    def choose_examples(self, cases: int) -> torch.Tensor:
        """A few cases, evenly spread."""
        return torch.tensor(sorted({(2 * one + 1) * cases // (2 * EXAMPLES) for one in range(EXAMPLES)}))

    def illustrate(self, cases: Cases, case: int, forecast: torch.Tensor) -> list[Example]:
        """The maps of a case: buildings, samples, truth and forecast."""
        assert isinstance(cases, FieldCases)
        return picture(cases, case, forecast)

    @property
    def _split(self) -> LabelledSplit:
        assert isinstance(self.task.split, LabelledSplit)
        return self.task.split

    @property
    def _layout(self) -> FieldLayout:
        return _layout(self.task)

    @cached_property
    def _labels(self) -> np.ndarray:
        return self._coordinate(self._split.coordinate)

    def _coordinate(self, name: str) -> np.ndarray:
        if name not in self._coordinates:
            if name not in self.opened.coords or self.opened[name].dims != ("sample",):
                known = sorted(str(key) for key, one in self.opened.coords.items() if one.dims == ("sample",))
                raise InputError(
                    f"'{self.name}' has no coordinate '{name}' of its samples; it has {', '.join(known)}"
                )
            self._coordinates[name] = np.asarray(self.opened[name].values)
        return self._coordinates[name]

    @cached_property
    def _coordinates(self) -> dict[str, np.ndarray]:
        return {}

    @cached_property
    def _position(self) -> torch.Tensor:
        return torch.from_numpy(self.opened["transmitter_position"].values.astype(np.float32))

    @cached_property
    def _environment(self) -> torch.Tensor:
        columns = [self._coordinate(name).astype(np.float32) for name in self._layout.environment]
        filled = np.stack(columns, axis=1) if columns else np.empty((self.opened.sizes["sample"], 0))
        return torch.from_numpy(filled.astype(np.float32))

    def _cases(self, rows: np.ndarray, label: str, context: int, test: bool) -> FieldCases:
        if context != 1:
            raise InputError(f"{self.task.id} allows a context of 1, not {context}: maps have no past")
        if not len(rows):
            raise InputError(f"'{self.name}' has no sample with {self._split.coordinate} = {label}")
        sparse = self._layout.sparse
        counts = (0, 0)
        if sparse is not None:
            counts = (sparse.count, sparse.count) if test else (sparse.least, sparse.most)
        return FieldCases(
            arrays={name: self._rows(name, label) for name in self._arrays},
            position=self._position,
            environment=self._environment,
            rows=torch.from_numpy(rows),
            layout=self._layout,
            scale=self.scale,
            key=f"samples|{self.task.id}|{self.name}",
            counts=counts,
            horizon=self.task.horizon,
            scored=self,
        )

    @cached_property
    def _arrays(self) -> tuple[str, ...]:
        layout = self._layout
        wanted = stored([*layout.context, *layout.target])
        also = [name for name in ("building_height", *MASKS) if name in self.opened]
        return tuple(dict.fromkeys([*wanted, *also]))

    def _rows(self, array: str, label: str) -> Rows:
        """Rows of a part, in memory where the part is small."""
        rows = np.flatnonzero(self._labels == label)
        first, last = int(rows[0]), int(rows[-1])
        if (array, first, last) not in self._held:
            variable = self.opened[array]
            size = int(np.prod(variable.shape[1:])) * variable.dtype.itemsize
            if (last - first + 1) * size > MEMORY_LIMIT:
                self._held[array, first, last] = RowsOnDisk(variable)
            else:
                try:
                    values = torch.from_numpy(variable[first : last + 1].values)
                except ValueError as error:
                    raise InputError(f"The store of '{self.name}' is damaged: {error}") from error
                self._held[array, first, last] = RowsInMemory(values, first)
        return self._held[array, first, last]

    def _fit_scale(self) -> FieldScale:
        """The scale of the training part; another data set is scaled as the task's own."""
        frame, layout = self.scale.frame, self._layout
        if self.dataset != self.task.dataset:
            return open_task(self.task).scale.on(frame)
        training = self.windows("train", 1)
        blocks = (training.maps(cases) for cases in torch.arange(len(training)).split(BLOCK))
        try:
            fitted = fit_scales(blocks, layout.context, layout.target, self.task.normalisation)
        except ValueError as error:
            raise InputError(f"'{self.name}' cannot be normalised: {error}") from error
        return replace(self.scale, scales=fitted)


def _layout(task: Task) -> FieldLayout:
    assert task.field is not None
    return task.field
