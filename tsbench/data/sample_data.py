"""A task opened on a store of independent samples. Owns parts by label, cells of scenarios, normalisation."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from tsbench import atomic
from tsbench.contracts import (
    InputError,
    LabelledSplit,
    Provenance,
    SampleLayout,
    Scenario,
    Task,
    TaskShape,
    TestedOn,
    TrainedOn,
)
from tsbench.contracts.strict import canonical_hash, parse_json

from . import prepare, store
from .cases import Cases
from .normalisation import PartScale, fit_part_scale
from .samples import Rows, RowsInMemory, RowsOnDisk, Samples
from .task_data import Example, SplitName, TaskData
from .views import CASE_DIMENSIONS, CONTEXT_DIMENSIONS, magnitudes, target_dimensions

MEMORY_LIMIT = 4 * 2**30
"""Bytes of a part that are held in memory; larger parts are read as they are used. Not a share of this
machine's memory, since the order of training cases depends on it."""
SCALE_VERSION = 1
"""Raised whenever `fit_part_scale` gives other numbers: kept scales are then fitted again."""
BLOCK = 256


@dataclass(frozen=True)
class SampleData(TaskData):
    """The data of a task, ready to be gathered sample by sample.

    Attributes:
        task: the declaration.
        dataset: the store's name.
        opened: the store, its arrays read when they are used.
        provenance: how it was made.
        targets: empty: scores are not told apart by variable.
        scale: normalisation of real and imaginary parts, fitted on the training samples.
    """

    task: Task
    dataset: str
    opened: xr.Dataset
    provenance: Provenance
    scale: PartScale
    targets: tuple[str, ...] = ()
    _parts: dict[tuple[str, int, int], Rows] = field(default_factory=dict, repr=False)
    _cell: dict[tuple[str, int, int], RowsInMemory] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, task: Task, dataset: str | None = None) -> "SampleData":
        """Open the task on its own data set, or on another one by the same rules.

        Raises:
            InputError: where arrays, coordinates or parts are missing, or arrays have another shape or dtype.
        """
        name = dataset or task.dataset
        path = prepare.ensure(name)
        opened, provenance = store.open_lazily(path), store.read_provenance(path)
        return cls.of(task, name, opened, provenance)

    @classmethod
    def of(cls, task: Task, name: str, opened: xr.Dataset, provenance: Provenance) -> "SampleData":
        """Open the task on a store that is open already."""
        _check_layout(opened, task, name)
        raw = cls(task, name, opened, provenance, fit_part_scale([], "none"))
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
        """What a model of that look-back is built for; channels have no names of their own."""
        array = self.opened[self._layout.context]
        extra = [name for name in CONTEXT_DIMENSIONS[self.task.view] if name not in ("sample", "time")]
        return TaskShape(
            context=context,
            horizon=self.task.horizon,
            period=self.task.period,
            channels=(),
            targets=(),
            sizes={name: array.sizes[name] for name in extra},
        )

    def windows(self, split: SplitName, context: int) -> Samples:
        """Every sample of a part.

        Raises:
            InputError: where the look-back is longer than the task allows or the part has no sample.
        """
        label = getattr(self._split, split)
        return self._samples(np.flatnonzero(self._labels == label), label, context)

    def test_cases(self, scenario: Scenario, context: int) -> Samples:
        """Every sample of a scenario's cell."""
        label = scenario.part or self._split.test
        wanted = self._labels == label
        for coordinate, value in scenario.cell.items():
            wanted &= self._coordinate(coordinate) == value
        rows = np.flatnonzero(wanted)
        if not len(rows):
            raise InputError(f"'{self.name}' has no samples for the scenario '{scenario.key}'")
        return self._samples(rows, label, context)

    def cluster(self, scenario: Scenario) -> str:
        """The value that the cluster's coordinate has on a scenario's samples."""
        if self.task.cluster == "dataset":
            return scenario.dataset
        rows = self.test_cases(scenario, self.task.period).rows.numpy()
        return str(self._coordinate(self.task.cluster)[rows[0]])

    def to_metric_space(self, forecast: torch.Tensor) -> torch.Tensor:
        """A forecast in model space, in the space where the task is scored, complex128."""
        wide = forecast.to(torch.complex128)
        return wide if self.task.space == "normalised" else self.scale.to_units(wide)

    def from_units(self, forecast: torch.Tensor) -> torch.Tensor:
        """A forecast in physical units, in the space where the task is scored, complex128."""
        wide = forecast.to(torch.complex128)
        return wide if self.task.space == "units" else self.scale.to_model(wide)

    def trained_on(self) -> TrainedOn:
        """The label of the training samples."""
        part = f"{self._split.coordinate}={self._split.train}"
        return TrainedOn(dataset=self.name, variables=(self._layout.context,), start=part, end=part)

    def tested_on(self, scenarios: Sequence[Scenario], context: int) -> tuple[TestedOn, ...]:
        """The labels of the scenarios' samples."""
        labels = dict.fromkeys(one.part or self._split.test for one in scenarios)
        parts = [f"{self._split.coordinate}={label}" for label in labels]
        return tuple(TestedOn(dataset=self.name, role="targets", start=part, end=part) for part in parts)

    def choose_examples(self, cases: int) -> torch.Tensor:
        """The middle case."""
        return torch.tensor([cases // 2])

    def illustrate(self, cases: Cases, case: int, forecast: torch.Tensor) -> list[Example]:
        """Magnitudes of context, target and forecast, a variable for each feature."""
        assert isinstance(cases, Samples)
        known = cases.contexts.take(cases.rows[case : case + 1])[0]
        truth = cases.targets.take(cases.rows[case : case + 1])[0]
        observed = torch.cat([magnitudes(known), magnitudes(truth)])  # (time, feature)
        predicted = magnitudes(forecast)
        steps = len(known[0])
        lead_times = list(range(1 - steps, len(observed) - steps + 1))
        return [
            Example(
                variable=str(feature),
                stamps=[str(lead) for lead in lead_times],
                lead_times=lead_times,
                observed=observed[:, feature].float().tolist(),
                forecast=predicted[:, feature].float().tolist(),
            )
            for feature in range(observed.shape[1])
        ]

    @property
    def _split(self) -> LabelledSplit:
        assert isinstance(self.task.split, LabelledSplit)
        return self.task.split

    @property
    def _layout(self) -> SampleLayout:
        assert self.task.samples is not None
        return self.task.samples

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

    def _samples(self, rows: np.ndarray, label: str, context: int) -> Samples:
        stored = self.opened[self._layout.context].sizes["time"]
        longest = min(self.task.max_context, stored)
        if not 1 <= context <= longest:
            raise InputError(f"{self.task.id} allows a context of 1 to {longest}, not {context}")
        if not len(rows):
            raise InputError(f"'{self.name}' has no sample with {self._split.coordinate} = {label}")
        chosen = torch.from_numpy(rows)
        shape = self.shape(context)
        return Samples(
            contexts=self._rows(self._layout.context, label, chosen),
            targets=self._rows(self._layout.target, label, chosen),
            rows=chosen,
            scale=self.scale,
            view=self.task.view,
            context=context,
            horizon=self.task.horizon,
            width=int(np.prod([shape.sizes[name] for name in CASE_DIMENSIONS[self.task.view]])),
            scored=self,
        )

    def _rows(self, array: str, label: str, rows: torch.Tensor) -> Rows:
        """Rows of a part: in memory where the part is small, or where they are one cell of a large one."""
        part = self._part(array, label)
        first, last = int(rows[0]), int(rows[-1])
        if not isinstance(part, RowsOnDisk) or last - first + 1 != len(rows):
            return part
        if len(rows) * self._row_bytes(array) > MEMORY_LIMIT // 8:
            return part
        if (array, first, last) not in self._cell:
            # Scenarios of a cell follow each other: one cell an array is kept.
            for key in [key for key in self._cell if key[0] == array]:
                del self._cell[key]
            self._cell[array, first, last] = part.keep(rows)
        return self._cell[array, first, last]

    def _part(self, array: str, label: str) -> Rows:
        rows = np.flatnonzero(self._labels == label)
        first, last = int(rows[0]), int(rows[-1])
        for (held, start, end), part in self._parts.items():
            # Training and validation samples lie mixed: one run of rows holds both.
            if held == array and start <= first and last <= end:
                return part
        variable = self.opened[array]
        if (last - first + 1) * self._row_bytes(array) > MEMORY_LIMIT:
            part: Rows = RowsOnDisk(variable)
        else:
            try:
                part = RowsInMemory(torch.from_numpy(variable[first : last + 1].values), first)
            except ValueError as error:
                raise InputError(f"The store of '{self.name}' is damaged: {error}") from error
        self._parts[array, first, last] = part
        return part

    def _row_bytes(self, array: str) -> int:
        variable = self.opened[array]
        return int(np.prod(variable.shape[1:])) * variable.dtype.itemsize

    def _fit_scale(self) -> PartScale:
        """The scale of the training part; kept beside the stores, since large parts take minutes to read.

        Another data set without a training part is scaled as the task's own.
        """
        if self.dataset != self.task.dataset and not (self._labels == self._split.train).any():
            return SampleData.open(self.task).scale
        what = [SCALE_VERSION, self.content, self.task.normalisation, self._layout.context]
        key = canonical_hash([*what, self._split.coordinate, self._split.train])
        kept = store.store_root() / ".scales" / f"{self.name}-{key}.json"
        if kept.is_file():
            numbers = _read_scale(kept)
            return PartScale(
                *(torch.tensor(numbers[name], dtype=torch.float64) for name in ("shift", "factor"))
            )
        training = self.windows("train", self.task.period)
        blocks = (training.contexts.take(rows).numpy() for rows in training.rows.split(BLOCK))
        try:
            scale = fit_part_scale(blocks, self.task.normalisation)
        except ValueError as error:
            raise InputError(f"'{self.name}' cannot be normalised: {error}") from error
        kept.parent.mkdir(parents=True, exist_ok=True)
        numbers = {"shift": scale.shift.tolist(), "factor": scale.factor.tolist()}
        atomic.write_text(kept, json.dumps(numbers))
        return scale


def _read_scale(path: Path) -> dict[str, list[float]]:
    numbers = parse_json(path.read_bytes(), path)
    if not isinstance(numbers, dict) or not all(
        isinstance(numbers.get(name), list) and [type(one) for one in numbers[name]] == [float, float]
        for name in ("shift", "factor")
    ):
        raise InputError(f"{path} is damaged; remove it, and it is made again")
    return numbers


def _check_layout(opened: xr.Dataset, task: Task, name: str) -> None:
    assert task.samples is not None
    wanted = {
        task.samples.context: CONTEXT_DIMENSIONS[task.view],
        task.samples.target: target_dimensions(task.view),
    }
    for array, names in wanted.items():
        if array not in opened:
            held = ", ".join(map(str, opened.data_vars))
            raise InputError(f"'{name}' has no array '{array}', which {task.id} needs; it has {held}")
        if opened[array].dims != names:
            raise InputError(f"'{array}' of '{name}' has the dimensions {opened[array].dims}, not {names}")
        if opened[array].dtype.kind != "c":
            raise InputError(f"'{array}' of '{name}' is {opened[array].dtype}, not complex")
    if opened[task.samples.target].sizes["lead_time"] != task.horizon:
        found = opened[task.samples.target].sizes["lead_time"]
        raise InputError(
            f"'{task.samples.target}' of '{name}' holds {found} steps, {task.id} forecasts {task.horizon}"
        )
