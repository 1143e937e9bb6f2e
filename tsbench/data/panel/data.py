"""A `panel` task opened on its store. Owns parts, histories without gaps, and normalisation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from tsbench.contracts import (
    InputError,
    LabelledSplit,
    PanelLayout,
    PeriodSplit,
    Provenance,
    Scenario,
    Task,
    TaskShape,
    TestedOn,
    TrainedOn,
)
from tsbench.data import prepare, store
from tsbench.data.cases import Cases
from tsbench.data.normalisation import Scale, fit_scale
from tsbench.data.task_data import Example, SplitName, TaskData
from tsbench.data.tested import files_of

from .arrays import PanelArrays
from .cases import PanelCases, PanelScale

HELD_OUT = "held_out"
"""Part of the samples that the layout holds out of all others."""


def open_task(task: Task, dataset: str | None = None) -> TaskData:
    """Open the task on its own data set, or on another one by the same rules.

    Raises:
        InputError: where arrays, coordinates or parts are missing.
    """
    name = dataset or task.dataset
    path = prepare.ensure(name)
    assert task.panel is not None
    arrays = PanelArrays(name, store.open_lazily(path), task.panel)
    return PanelData.of(task, arrays, store.read_provenance(path))


@dataclass(frozen=True)
class PanelData(TaskData):
    """The data of a panel task.

    Attributes:
        task: the declaration.
        arrays: of the store.
        provenance: how it was made.
        scale: normalisation, fitted on the training rows.
        targets: name of the target.
    """

    task: Task
    arrays: PanelArrays
    provenance: Provenance
    scale: PanelScale
    targets: tuple[str, ...] = ()

    @classmethod
    def of(cls, task: Task, arrays: PanelArrays, provenance: Provenance) -> "PanelData":
        """Open the task on a store that is open already.

        Raises:
            InputError: where arrays, coordinates or parts are missing.
        """
        nothing = Scale(*(torch.empty(0, dtype=torch.float64) for _ in range(4)))
        raw = cls(task, arrays, provenance, PanelScale(nothing, nothing), (arrays.layout.target,))
        if task.horizon != 1:
            raise InputError(f"{task.id}: a panel tells one value, so its horizon is 1, not {task.horizon}")
        if task.max_context % raw._steps:
            raise InputError(
                f"{task.id}: max_context {task.max_context} is no multiple of the {raw._steps} steps of a "
                "period"
            )
        return replace(raw, scale=raw._fit_scale())

    @property
    def name(self) -> str:
        """The data set."""
        return self.arrays.name

    @property
    def recipe(self) -> str:
        """Hash of how the store was made."""
        return self.provenance.recipe

    @property
    def content(self) -> str:
        """Hash of the store's decoded values."""
        return self.provenance.content

    def shape(self, context: int) -> TaskShape:
        """What a model of that look-back is built for; its period is the steps of a period of the store."""
        arrays, layout = self.arrays, self.arrays.layout
        codes = arrays.categorical
        counts = [] if codes is None else (codes.amax(dim=0) + 1).tolist()
        entities = arrays.entities
        return TaskShape(
            context=context,
            horizon=1,
            period=self.task.period,
            channels=arrays.columns("context"),
            targets=self.targets,
            past_covariates=self.targets if layout.past_targets else (),
            step=arrays.step,
            sizes={} if entities is None else {"entity": entities.shape[1]},
            quantiles=self.task.quantiles,
            static=arrays.columns("static"),
            categories=dict(zip(arrays.columns("categorical"), counts, strict=True)),
            entity_features=arrays.columns("entities"),
            entity_categories=self._entity_categories(),
        )

    def windows(self, split: SplitName, context: int) -> PanelCases:
        """Every sample of a part.

        Raises:
            InputError: where the look-back is longer than the task allows or the part has no sample.
        """
        wanted = self._labels == self._label(split)
        if split == "train" and self._layout.official:
            wanted |= self._labels == self._label("validation")
        return self._cases(wanted, f"no {split} sample", context)

    def test_cases(self, scenario: Scenario, context: int) -> PanelCases:
        """Every sample of a scenario's part and cell."""
        wanted = self._labels == (scenario.part or self._label("test"))
        for coordinate, value in scenario.cell.items():
            wanted &= self.arrays.coordinate(coordinate) == value
        return self._cases(wanted, f"no samples for the scenario '{scenario.key}'", context)

    def cluster(self, scenario: Scenario) -> str:
        """The value that the cluster's coordinate has on a scenario's samples."""
        if self.task.cluster == "dataset":
            return scenario.dataset
        first = int(self.test_cases(scenario, self._steps).rows[0])
        return str(self.arrays.coordinate(self.task.cluster)[first])

    def seasonal_difference(self, power: int) -> torch.Tensor:
        """Spread of the training targets to that power: what metrics of panels take for a scale."""
        std = self.scale.target.std
        return std**power if self.task.space == "units" else (std / self.scale.target.factor) ** power

    def to_metric_space(self, forecast: torch.Tensor) -> torch.Tensor:
        """A forecast in model space, in the space where the task is scored, float64."""
        wide = forecast.double()
        return wide if self.task.space == "normalised" else self.scale.target.to_units(wide)

    def from_units(self, forecast: torch.Tensor) -> torch.Tensor:
        """A forecast in physical units, in the space where the task is scored, float64."""
        wide = forecast.double()
        return wide if self.task.space == "units" else self.scale.target.to_model(wide)

    def trained_on(self) -> TrainedOn:
        """The training part: its label, or the range of its periods."""
        start, end = self._range("train")
        return TrainedOn(dataset=self.name, variables=self._variables, start=start, end=end)

    def tested_on(self, scenarios: Sequence[Scenario], context: int) -> tuple[TestedOn, ...]:
        """The parts of the scenarios, as targets; of split periods the inputs too."""
        labels = dict.fromkeys(one.part or self._label("test") for one in scenarios)
        common = {"dataset": self.name, "files": files_of(self.name)}
        if isinstance(self.task.split, LabelledSplit):
            parts = [f"{self.task.split.coordinate}={label}" for label in labels]
            return tuple(
                TestedOn(role="targets", variables=self.targets, start=part, end=part, **common)
                for part in parts
            )
        start, end = self._range("test")
        inputs = self.arrays.columns("context")
        return (
            TestedOn(role="targets", variables=self.targets, start=start, end=end, **common),
            TestedOn(role="inputs", variables=inputs, start=start, end=end, **common),
        )

    def choose_examples(self, cases: int) -> torch.Tensor:
        """The middle case."""
        return torch.tensor([cases // 2])

    def illustrate(self, cases: Cases, case: int, forecast: torch.Tensor) -> list[Example]:
        """The targets of a place by period, with its forecast, where samples have a history."""
        assert isinstance(cases, PanelCases)
        row = cases.rows[case]
        rows = self._history[0][row] if self._layout.place is not None else row[None]
        values = self.from_units(self.arrays.target[rows]).tolist()
        numbers = rows.numpy()
        if self._layout.place is not None:
            stamps = [str(one) for one in self.arrays.coordinate(self._layout.period)[numbers]]
        else:
            stamps = [str(one) for one in numbers]
        leads = list(range(2 - len(values), 2))
        return [Example(self.targets[0], stamps, leads, values, forecast.flatten().tolist())]

    @property
    def _layout(self) -> PanelLayout:
        return self.arrays.layout

    @property
    def _steps(self) -> int:
        """Steps of a period."""
        return self.arrays.context.shape[1]

    @property
    def _variables(self) -> tuple[str, ...]:
        return (*self.arrays.columns("context"), *self.targets)

    @cached_property
    def _history(self) -> tuple[torch.Tensor, np.ndarray]:
        """Rows of the periods that samples must have, and whether they have them, with known targets."""
        periods = self.task.max_context // self._steps
        if self._layout.place is None and periods > 1:
            raise InputError(
                f"{self.task.id}: max_context {self.task.max_context} reaches beyond the {self._steps} steps "
                "of a sample; `place` says which samples follow each other"
            )
        rows, complete = self.arrays.history(max(periods, 2) if self._layout.past_targets else periods)
        if self._layout.past_targets:
            known = torch.isfinite(self.arrays.target)[rows.clamp_min(0)].numpy()
            complete = complete & known.all(axis=1)
        return rows, complete

    @cached_property
    def _labels(self) -> np.ndarray:
        """Part of each row, as text; empty for what belongs to none."""
        split = self.task.split
        assert isinstance(split, LabelledSplit | PeriodSplit)
        labels = self.arrays.coordinate(split.coordinate)
        if isinstance(split, PeriodSplit):
            labels = split.labels(labels.astype(np.float64))
        labels = np.array([str(one) for one in labels], object)
        for name, values in self._layout.held_out.items():
            apart = np.isin(self.arrays.coordinate(name), np.array(values))
            if not apart.any():
                raise InputError(f"'{self.name}' has no sample with {name} = {values[0]}")
            # Only of the test part: places and periods are both new.
            test = apart & (labels == self._label("test"))
            labels[apart] = ""
            labels[test] = HELD_OUT
        usable = torch.isfinite(self.arrays.target).numpy() & self._history[1]
        labels[~usable] = ""
        return labels

    def _label(self, split: SplitName) -> str:
        return getattr(self.task.split, split) if isinstance(self.task.split, LabelledSplit) else split

    def _range(self, split: SplitName) -> tuple[str, str]:
        """First and last value of a part, as Results name them: years as stamps."""
        if isinstance(self.task.split, LabelledSplit):
            part = f"{self.task.split.coordinate}={self._label(split)}"
            return part, part
        assert isinstance(self.task.split, PeriodSplit)
        first, last = getattr(self.task.split, split)
        if split == "train" and self._layout.official:
            last = max(last, self.task.split.validation[1])
        if self.task.split.coordinate != "year":
            return f"{first:g}", f"{last:g}"
        return f"{first:04.0f}-01-01", f"{last:04.0f}-12-31"

    def _cases(self, wanted: np.ndarray, lacking: str, context: int) -> PanelCases:
        if not 1 <= context <= self.task.max_context:
            raise InputError(
                f"{self.task.id} allows a context of 1 to {self.task.max_context}, not {context}"
            )
        rows = np.flatnonzero(wanted)
        if not len(rows):
            gap = self._steps < self.task.max_context
            hint = f" with {self.task.max_context // self._steps} periods without a gap" if gap else ""
            raise InputError(f"'{self.name}' has {lacking} of {self.task.id}{hint}")
        return PanelCases(
            arrays=self.arrays,
            rows=torch.from_numpy(rows),
            history=self._history[0],
            scale=self.scale,
            context=context,
            scored=self,
        )

    def _entity_categories(self) -> dict[str, int]:
        entities = self.arrays.entities
        if entities is None:
            return {}
        return {
            label: int(entities[..., column].nan_to_num().amax()) + 1
            for label, column in zip(self._layout.entity_categorical, self.arrays.entity_codes, strict=True)
        }

    def _fit_scale(self) -> PanelScale:
        """Of the training rows' own periods; context of all rows where the layout says `official`."""
        arrays, layout = self.arrays, self._layout
        train = self.windows("train", self._steps).rows
        seen = slice(None) if layout.official else train
        kind, features = self.task.normalisation, layout.static_normalisation
        entity = None
        if arrays.entities is not None:
            entity = _fit(arrays.entities[train], features)
            for one in (entity.shift, entity.factor):
                one[arrays.entity_codes] = 0.0 if one is entity.shift else 1.0
        return PanelScale(
            context=_fit(arrays.context[seen], kind),
            target=_fit(arrays.target[train][:, None], kind),
            static=None if arrays.static is None else _fit(arrays.static[train], features),
            entity=entity,
        )


def _fit(values: torch.Tensor, kind: str) -> Scale:
    """The scale of columns; one without any value is left as it is."""
    rows = values.flatten(0, -2).double().numpy()
    empty = np.isnan(rows).all(axis=0)
    return fit_scale(np.where(empty, 0.0, rows), kind)
