"""A `rollout` task opened on a store of fields: parts by member or by year, origins, scale, climatology."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import xarray as xr

from tsbench.contracts import (
    InputError,
    LabelledSplit,
    PeriodSplit,
    Provenance,
    RolloutLayout,
    Scenario,
    Task,
    TaskShape,
    TestedOn,
    TrainedOn,
)
from tsbench.contracts.result import Column
from tsbench.data import prepare, store
from tsbench.data.cases import Cases
from tsbench.data.task_data import Example, SplitName, TaskData

from .climatology import Climatology, by_day_of_year, by_location
from .fields import Channel, read_channels, read_statics
from .geometry import region_weights
from .reference import GridReference
from .scale import GridScale, transformed
from .windows import GridWindows

EAST, NORTH = "u_component_of_wind", "v_component_of_wind"
SHOWN_LATITUDE = 50.0
"""Pictures show the point of the grid that is nearest to this latitude, on the first meridian."""


def open_task(task: Task, dataset: str | None = None) -> TaskData:
    """Open the task on its own data set, or on another one, scaled as the task's own.

    Raises:
        InputError: where arrays, levels, coordinates or parts are missing, or latitudes descend.
    """
    own = None if dataset in (None, task.dataset) else open_task(task)
    name = dataset or task.dataset
    path = prepare.ensure(name)
    data = RolloutData.of(task, name, store.open_lazily(path), store.read_provenance(path))
    if own is None:
        return data
    assert isinstance(own, RolloutData)
    if own.latitude.tolist() != data.latitude.tolist():
        raise InputError(f"{task.id}: '{name}' has other latitudes than '{own.name}'")
    return RolloutData(task, name, data.provenance, data.opened, data.fields, data.channels, own)


@dataclass(frozen=True)
class RolloutData(TaskData):
    """The data of a task, ready to be gathered window by window.

    Attributes:
        task: the declaration.
        dataset: the store's name.
        provenance: how it was made.
        opened: the store.
        fields: in physical units, float32, shape (member, time, channel, latitude, longitude): the channels
            of the context, then those of the target that are no context.
        channels: of `fields`.
        own: the task's own data, which scale and climatology are fitted on; None where it is this.
    """

    task: Task
    dataset: str
    provenance: Provenance
    opened: xr.Dataset
    fields: torch.Tensor
    channels: tuple[Channel, ...]
    own: "RolloutData | None" = None

    @classmethod
    def of(cls, task: Task, name: str, opened: xr.Dataset, provenance: Provenance) -> "RolloutData":
        """Open the task on a store that is open already."""
        fields, channels = read_channels(opened, name, task)
        return cls(task, name, provenance, opened, fields, channels)

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

    @cached_property
    def latitude(self) -> np.ndarray:
        """Degrees, ascending."""
        return np.asarray(self.opened["latitude"].values, np.float64)

    @cached_property
    def read(self) -> list[int]:
        """Positions of the channels of the context."""
        names = self.task.variables
        return [place for place, one in enumerate(self.channels) if names == "all" or one.name in names]

    @cached_property
    def wanted(self) -> list[int]:
        """Positions of the target's channels."""
        if self.task.targets == "all":
            return self.read
        names = [one.name for one in self.channels]
        return [names.index(one) for one in self.task.targets]

    @cached_property
    def targets(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the scored channels."""
        return tuple(self.channels[place].name for place in self.wanted)

    @cached_property
    def columns(self) -> tuple[Column, ...]:  # type: ignore[override]
        """Each target as a whole, then in each region."""
        chosen = [self.channels[place] for place in self.wanted]
        return tuple(
            Column(one.variable, one.level, region)
            for region in (None, *self._layout.regions)
            for one in chosen
        )

    @cached_property
    def scale(self) -> GridScale:  # type: ignore[override]
        """Normalisation of the channels of the context."""
        return self._scale.channels(self.read)

    @cached_property
    def target_scale(self) -> GridScale:
        """Normalisation of the channels of the target."""
        return self._scale.channels(self.wanted)

    @property
    def unit_windows(self) -> int:
        """Windows of a member; of a store that is split by years as many as two horizons hold."""
        if isinstance(self.task.split, LabelledSplit):
            return len(self._origins(self.task.split.test, self._layout.origin_step)[0])
        return max(1, -(-2 * self.task.horizon // self._layout.origin_step))

    def shape(self, context: int) -> TaskShape:
        """What a model of that look-back is built for."""
        return TaskShape(
            context=context,
            horizon=self.task.horizon,
            period=self.task.period,
            channels=tuple(self.channels[place].name for place in self.read),
            targets=self.targets,
            step=self.opened["time"].attrs.get("step"),
            sizes={"latitude": self.fields.shape[3], "longitude": self.fields.shape[4]},
            static=(*self._layout.statics, "sin_latitude"),
        )

    def windows(self, split: SplitName, context: int) -> GridWindows:
        """Every window of a split.

        Raises:
            InputError: where the look-back is longer than the task allows or the part has no window.
        """
        label = getattr(self.task.split, split) if isinstance(self.task.split, LabelledSplit) else split
        step = 1 if split == "train" else self._layout.origin_step
        return self._windows(label, context, step)

    def test_cases(self, scenario: Scenario, context: int) -> GridWindows:
        """Every window of a scenario's part; a cell of the split's coordinate names another part."""
        return self._windows(self._label(scenario), context, self._layout.origin_step)

    def cluster(self, scenario: Scenario) -> str | Sequence[str]:
        """The members of the scenario's part, each a cluster and a unit."""
        if not isinstance(self.task.split, LabelledSplit) or self.task.cluster == "dataset":
            return scenario.dataset
        members, _ = self._parts[self._label(scenario)]
        return [str(one) for one in self._coordinate(self.task.cluster, "member")[members]]

    def to_metric_space(self, forecast: torch.Tensor) -> torch.Tensor:
        """A forecast in model space, in the space where the task is scored, float64."""
        wide = forecast.double()
        return wide if self.task.space == "normalised" else self.target_scale.to_units(wide)

    def from_units(self, forecast: torch.Tensor) -> torch.Tensor:
        """A forecast in physical units, in the space where the task is scored, float64."""
        wide = forecast.double()
        return wide if self.task.space == "units" else self.target_scale.to_model(wide)

    def trained_on(self) -> TrainedOn:
        """The label or the years of the training part."""
        first, last = self._range("train")
        return TrainedOn(dataset=self.name, variables=self._variables(), start=first, end=last)

    def tested_on(self, scenarios: Sequence[Scenario], context: int) -> tuple[TestedOn, ...]:
        """The labels or the years of the scenarios' windows."""
        ranges = dict.fromkeys(self._range("test", self._label(one)) for one in scenarios)
        return tuple(
            TestedOn(dataset=self.name, role="targets", start=first, end=last) for first, last in ranges
        )

    def choose_examples(self, cases: int) -> torch.Tensor:
        """The middle case."""
        return torch.tensor([cases // 2])

    def illustrate(self, cases: Cases, case: int, forecast: torch.Tensor) -> list[Example]:
        """Context, target and forecast of each variable at one point."""
        assert isinstance(cases, GridWindows)
        row = int(np.abs(self.latitude - SHOWN_LATITUDE).argmin())
        index = torch.tensor([case])
        member, origin = int(cases.members[case]), int(cases.origins[case])
        steps = range(origin - cases.context + 1, origin + cases.horizon + 1)
        stamps = [str(one) for one in self.opened["time"].values[list(steps)].astype("datetime64[s]")]
        truth = cases.gather_truth(index)[0][0]  # (lead_time, channel, latitude, longitude)
        past = self.fields[member, origin - cases.context + 1 : origin + 1, self.wanted]
        past = past if cases.units else self.target_scale.to_model(past)
        return [
            Example(
                variable=name,
                stamps=stamps,
                lead_times=list(range(1 - cases.context, cases.horizon + 1)),
                observed=torch.cat([past[:, place, row, 0], truth[:, place, row, 0]]).float().tolist(),
                forecast=forecast[:, place, row, 0].float().tolist(),
            )
            for place, name in enumerate(self.targets)
        ]

    def _label(self, scenario: Scenario) -> str:
        split = self.task.split
        if not isinstance(split, LabelledSplit):
            return "test"
        return str(scenario.cell.get(split.coordinate, scenario.part or split.test))

    @property
    def _layout(self) -> RolloutLayout:
        assert self.task.rollout is not None
        return self.task.rollout

    @property
    def _fitted(self) -> "RolloutData":
        return self.own or self

    @cached_property
    def _reference(self) -> GridReference:
        base, names = self._fitted, list(self.targets)
        pairs = [(one, one.replace(EAST, NORTH, 1)) for one in names if one.split("@")[0] == EAST]
        return GridReference(
            weights=torch.from_numpy(region_weights(self.latitude, self._layout.regions)),
            climatology=base._target_climatology.table[0, 0],
            spread=base._spread,
            winds=tuple((names.index(one), names.index(other)) for one, other in pairs if other in names),
        )

    @cached_property
    def _scale(self) -> GridScale:
        """Normalisation of every channel, fitted on the training part, rows weighing by their area."""
        if self.own is not None:
            return self.own._scale
        chosen, count = self._training, len(self.channels)
        weights = torch.from_numpy(region_weights(self.latitude, ())[0])[:, None] / self.fields.shape[4]
        epsilon = torch.tensor(
            [self._layout.logarithm.get(one.variable, 0.0) for one in self.channels], dtype=torch.float64
        )
        shift, factor = torch.zeros(count, dtype=torch.float64), torch.ones(count, dtype=torch.float64)
        means = []
        for place in range(count):
            values = self.fields[:, :, place][chosen].double()  # (step, latitude, longitude)
            means.append(values.mean(dim=0))
            if self.task.normalisation == "none":
                continue
            values = transformed(values[:, None], epsilon[place : place + 1])[:, 0]
            shift[place] = (values.mean(dim=0) * weights).sum()
            spread = ((values - shift[place]).square().mean(dim=0) * weights).sum().sqrt()
            factor[place] = spread if spread > 0 else 1.0
        return GridScale(shift, factor, epsilon, torch.stack(means))

    @cached_property
    def _target_climatology(self) -> Climatology:
        """Of the targets, in metric space."""
        if self._layout.climatology == "location":
            table = by_location(self.target_scale.climatology, self.fields.shape[1])
        else:
            time = np.asarray(self.opened["time"].values)
            fields = self.fields[:, :, self.wanted]
            table = by_day_of_year(fields, self._training, time, self._layout.climatology_days)
        if self.task.space == "units":
            return table
        return Climatology(self.target_scale.to_model(table.table), table.day, table.hour)

    @cached_property
    def _spread(self) -> torch.Tensor:
        """Root mean square distance of the targets from their climatology in the training part."""
        weights = torch.from_numpy(region_weights(self.latitude, ())[0])[:, None] / self.fields.shape[4]
        members, steps = self._training.nonzero(as_tuple=True)
        total = torch.zeros(len(self.wanted), dtype=torch.float64)
        for part in torch.arange(len(steps)).split(256):
            values = self.fields[members[part], steps[part]][:, self.wanted].double()
            if self.task.space == "normalised":
                values = self.target_scale.to_model(values)
            total += ((values - self._target_climatology.at(steps[part])).square() * weights).sum(
                dim=(0, 2, 3)
            )
        return (total / len(steps)).sqrt()

    @cached_property
    def _training(self) -> torch.Tensor:
        """Which steps of which member are training, shape (member, time)."""
        split = self.task.split
        label = split.train if isinstance(split, LabelledSplit) else "train"
        if label not in self._parts:
            raise InputError(f"'{self.name}' has no training part '{label}'")
        members, steps = self._parts[label]
        chosen = torch.zeros(self.fields.shape[:2], dtype=torch.bool)
        chosen[torch.from_numpy(members)[:, None], torch.from_numpy(steps)] = True
        return chosen

    @cached_property
    def _parts(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Label → its members and its steps."""
        members, steps = np.arange(self.fields.shape[0]), np.arange(self.fields.shape[1])
        split = self.task.split
        if isinstance(split, LabelledSplit):
            labels = np.array(list(map(str, self._coordinate(split.coordinate, "member"))), object)
            return {str(one): (np.flatnonzero(labels == one), steps) for one in dict.fromkeys(labels)}
        assert isinstance(split, PeriodSplit)
        labels = split.labels(self._coordinate(split.coordinate, "time"))
        return {str(one): (members, np.flatnonzero(labels == one)) for one in dict.fromkeys(labels) if one}

    def _coordinate(self, name: str, dimension: str) -> np.ndarray:
        if name in self.opened.coords and self.opened[name].dims == (dimension,):
            return np.asarray(self.opened[name].values)
        if (name, dimension) == ("year", "time"):
            return self.opened["time"].values.astype("datetime64[Y]").astype(np.int64) + 1970
        known = sorted(str(key) for key, one in self.opened.coords.items() if one.dims == (dimension,))
        raise InputError(
            f"'{self.name}' has no coordinate '{name}' along {dimension}; it has {', '.join(known) or 'none'}"
        )

    def _origins(self, label: str, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Forecast origins of each member of a part, and the members."""
        members, steps = self._parts.get(label, (np.empty(0, np.int64),) * 2)
        inside = np.zeros(self.fields.shape[1] + 1, np.int64)
        inside[steps + 1] = 1
        counts = np.cumsum(inside)
        # Origins begin where the longest look-back fits, so that every look-back has the same cases.
        origins = np.arange(self.task.max_context - 1, self.fields.shape[1] - self.task.horizon)
        whole = counts[origins + self.task.horizon + 1] - counts[origins + 1] == self.task.horizon
        return origins[whole][::step], members

    def _windows(self, label: str, context: int, step: int) -> GridWindows:
        if not 1 <= context <= self.task.max_context:
            raise InputError(
                f"{self.task.id} allows a context of 1 to {self.task.max_context}, not {context}"
            )
        origins, members = self._origins(label, step)
        if not len(origins) or not len(members):
            raise InputError(
                f"'{self.name}' has no window of {self.task.max_context} + {self.task.horizon} steps in the "
                f"part '{label}'; it has the parts {', '.join(self._parts) or 'none'}"
            )
        return GridWindows(
            fields=self.fields,
            statics=self._statics,
            members=torch.from_numpy(np.repeat(members, len(origins))),
            origins=torch.from_numpy(np.tile(origins, len(members))),
            read=self.read,
            wanted=self.wanted,
            scale=self.scale,
            target_scale=self.target_scale,
            reference=self._reference,
            climatology=self._fitted._target_climatology,
            context=context,
            horizon=self.task.horizon,
            scored=self,
            units=self.task.space == "units",
        )

    @cached_property
    def _statics(self) -> torch.Tensor:
        own = read_statics(self.opened, self.name, self._layout.statics)  # (member, static, lat, lon)
        base = own if self.own is None else read_statics(self.own.opened, self.own.name, self._layout.statics)
        mean, spread = base.mean(dim=(0, 2, 3)), base.std(dim=(0, 2, 3), correction=0)
        own = (own - mean[:, None, None]) / torch.where(spread > 0, spread, 1.0)[:, None, None]
        sine = torch.from_numpy(np.sin(np.deg2rad(self.latitude)))[:, None].expand(own.shape[2:])
        sine = sine.expand(self.fields.shape[0], 1, -1, -1).to(own)
        return torch.cat([own.expand(self.fields.shape[0], -1, -1, -1), sine], dim=1)

    def _range(self, split: SplitName, part: str | None = None) -> tuple[str, str]:
        declared = self.task.split
        if isinstance(declared, LabelledSplit):
            label = f"{declared.coordinate}={part or getattr(declared, split)}"
            return label, label
        assert isinstance(declared, PeriodSplit)
        first, last = getattr(declared, split)
        return f"{first:g}", f"{last:g}"

    def _variables(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.channels)
