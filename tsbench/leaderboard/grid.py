"""The scenario grid of a condition with its values: means over a disturbance's levels and over cells.

Axes come from the cells of the scenarios, so that any task with cells is shown by the same code. A mean is
there only where all of its scenarios have a value: half a grid is never shown beside a whole one.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import pandas as pd

from tsbench.contracts import Scenario
from tsbench.contracts.conditions import Coordinate

from .aggregate import first_share

Means = dict[Hashable, pd.Series]
"""Group of scenarios → mean by entry."""


@dataclass(frozen=True)
class Axis:
    """A coordinate of the cells and its values: ascending where they are numbers."""

    name: str
    values: tuple[Coordinate, ...]

    @property
    def numeric(self) -> bool:
        """Whether all values are numbers."""
        return not any(isinstance(value, str) for value in self.values)


@dataclass(frozen=True)
class Disturbed:
    """A disturbance of a condition, what its level means, and the means over cells at each level."""

    name: str
    parameter: str
    levels: dict[float, pd.Series]


@dataclass(frozen=True)
class Grid:
    """The scenarios that count for a condition's own average.

    Attributes:
        condition: name of the condition.
        scenarios: its scenarios.
        values: entry × scenario key, mean over seeds; NaN where there is none.
    """

    condition: str
    scenarios: tuple[Scenario, ...]
    values: pd.DataFrame

    @cached_property
    def axes(self) -> list[Axis]:
        """Coordinates that all cells have, in the order of the task."""
        names = [name for name in self.scenarios[0].cell if all(name in one.cell for one in self.scenarios)]
        return [_axis(name, [one.cell[name] for one in self.scenarios]) for name in names]

    @cached_property
    def whole(self) -> bool:
        """Whether every combination of the axes' values is a cell."""
        cells = {tuple(one.cell[axis.name] for axis in self.axes) for one in self.scenarios}
        return len(cells) == prod(len(axis.values) for axis in self.axes)

    def disturbances(self) -> list[Disturbed]:
        """Disturbances in the order of the task, each with its levels, ascending."""
        found: dict[tuple[str, str], Means] = {}
        for key, mean in self._means(lambda one: (one.disturbance, _parameter(one), one.level)).items():
            assert isinstance(key, tuple)
            name, parameter, level = key
            if name is not None:
                found.setdefault((name, parameter), {})[level] = mean
        return [
            Disturbed(
                name, parameter, {float(str(level)): levels[level] for level in sorted(levels, key=_number)}
            )
            for (name, parameter), levels in found.items()
        ]

    def first_share(self) -> pd.Series:
        """Share of scenarios in which each entry is first, by entry; an error is what is lower."""
        return pd.Series(first_share(self.values.to_numpy().T), index=self.values.index)

    def along(self, axis: Axis) -> Means:
        """Means for each value of an axis, over the same other coordinates and levels for each value.

        Where cells are missing (they were trained on), only the combinations of the others that have every
        value are compared; without any, all are.
        """
        rest = {one.key: _rest(one, axis.name) for one in self.scenarios}
        values: dict[Hashable, set[Coordinate]] = {}
        for one in self.scenarios:
            values.setdefault(rest[one.key], set()).add(one.cell[axis.name])
        whole = {key for key, found in values.items() if len(found) == len(axis.values)}
        kept = [one for one in self.scenarios if rest[one.key] in whole]
        means = self._means(lambda one: one.cell[axis.name], kept or self.scenarios)
        return {value: means[value] for value in axis.values}

    def over(self, *axes: Axis) -> Means:
        """Means for each combination of the values of some axes; one without scenarios is left out."""
        return self._means(lambda one: tuple(one.cell[axis.name] for axis in axes))

    def _means(
        self, group: Callable[[Scenario], Hashable], scenarios: Sequence[Scenario] | None = None
    ) -> Means:
        keys: dict[Hashable, list[str]] = {}
        for one in self.scenarios if scenarios is None else scenarios:
            keys.setdefault(group(one), []).append(one.key)
        return {name: self.values[mine].mean(axis=1, skipna=False) for name, mine in keys.items()}


def grids(
    scenarios: Sequence[Scenario], averages: dict[str, tuple[str, ...]], values: pd.DataFrame
) -> list[Grid]:
    """The grids of all conditions whose scenarios are cells.

    Args:
        scenarios: of the task.
        averages: name of an average → keys of its scenarios.
        values: entry × scenario key; keys that are missing have no value.
    """
    known = {one.key: one for one in scenarios}
    conditions = dict.fromkeys(one.condition for one in scenarios)
    found = []
    for condition in conditions:
        own = tuple(known[key] for key in averages.get(condition, ()))
        if own and all(one.cell for one in own):
            keys = [one.key for one in own]
            found.append(Grid(condition, own, values.reindex(columns=keys).astype(float)))
    return found


def _axis(name: str, values: Sequence[Coordinate]) -> Axis:
    distinct = list(dict.fromkeys(values))
    if any(isinstance(value, str) for value in distinct):
        return Axis(name, tuple(distinct))
    return Axis(name, tuple(sorted(distinct, key=_number)))


def _number(value: object) -> float:
    return float(str(value))


def _parameter(scenario: Scenario) -> str:
    """What the level of a disturbed scenario means; the key says it."""
    return scenario.key.rsplit("/", 1)[-1].partition("=")[0]


def _rest(scenario: Scenario, axis: str) -> Hashable:
    others = tuple((name, value) for name, value in scenario.cell.items() if name != axis)
    return others, scenario.dataset, scenario.disturbance, scenario.level
