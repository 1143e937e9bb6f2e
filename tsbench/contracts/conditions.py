"""Conditions of a task: grids of scenarios, and the scenarios that they expand to, each with a stable key."""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, Literal

from pydantic import model_validator

from .strict import Strict

Condition = Literal["regular", "robustness", "generalisation"]
CONDITIONS: tuple[Condition, ...] = ("regular", "robustness", "generalisation")
Space = Literal["units", "normalised"]
Counts = Literal["both", "condition", "published"]
PUBLISHED = "-published"
"""Ending of the name of a condition's average as its authors publish it, where that differs from ours."""
Coordinate = str | int | float


class DisturbanceGrid(Strict):
    """A named disturbance of the context at one or several levels."""

    name: str
    parameter: str
    """What the level means, for the scenario key: `snr_db`, `fraction`."""
    levels: tuple[float, ...]
    options: dict[str, float | int | str | bool] = {}
    space: Space = "units"


class ScenarioGrid(Strict):
    """One entry of a condition: which test data, disturbed or not."""

    dataset: str | None = None
    """Another data set than the task's."""
    part: str | None = None
    """Label of the test samples, for a labelled split; its `test` by default."""
    cells: dict[str, tuple[Coordinate, ...]] = {}
    """Coordinate of the samples → values; every combination is a cell with scenarios of its own."""
    trained: dict[str, tuple[Coordinate, ...]] = {}
    """Cells whose coordinates all lie in here were trained on: they count for the published average only."""
    disturbance: DisturbanceGrid | None = None
    counts: Counts = "both"
    """For which average the scenarios count: the condition's, the published one, or both."""

    @model_validator(mode="after")
    def _trained_are_cells(self) -> "ScenarioGrid":
        if unknown := self.trained.keys() - self.cells.keys():
            raise ValueError(f"`trained` names {sorted(unknown)}, which `cells` does not")
        return self


class NotApplicable(Strict):
    """A condition that the task declares not applicable, with the reason."""

    not_applicable: str


class Conditions(Strict):
    """The condition grid of a task."""

    regular: tuple[ScenarioGrid, ...] = (ScenarioGrid(),)
    robustness: tuple[ScenarioGrid, ...] | NotApplicable
    generalisation: tuple[ScenarioGrid, ...] | NotApplicable


class Scenario(Strict):
    """One cell of the condition grid. `key` is stable: disturbances are drawn from it."""

    key: str
    condition: Condition
    dataset: str
    part: str | None = None
    cell: dict[str, Coordinate] = {}
    disturbance: str | None = None
    level: float | None = None
    options: dict[str, float | int | str | bool] = {}
    space: Space = "units"
    counts: Counts = "both"


def averages(scenarios: Iterable[Scenario]) -> dict[str, tuple[str, ...]]:
    """Name of each average of a Result → keys of the scenarios that it is the mean of.

    A condition has its own average; where its authors average over other scenarios (cells that were trained
    on, a quirk of their code), a second one under the condition's name with `-published`.
    """
    by_condition: dict[str, list[Scenario]] = {}
    for scenario in scenarios:
        by_condition.setdefault(scenario.condition, []).append(scenario)
    found = {}
    for condition, cells in by_condition.items():
        found[condition] = tuple(one.key for one in cells if one.counts != "published")
        if any(one.counts != "both" for one in cells):
            found[condition + PUBLISHED] = tuple(one.key for one in cells if one.counts != "condition")
    return {name: keys for name, keys in found.items() if keys}


def expand(condition: Condition, grid: ScenarioGrid, dataset: str) -> Iterator[Scenario]:
    """The scenarios of a grid: cell after cell, and for each its levels, so that data are read once."""
    disturbance = grid.disturbance
    for values in product(*grid.cells.values()):
        cell = dict(zip(grid.cells, values, strict=True))
        base: dict[str, Any] = {
            "condition": condition,
            "dataset": grid.dataset or dataset,
            "part": grid.part,
            "cell": cell,
            "counts": "published" if _lies_in(cell, grid.trained) else grid.counts,
        }
        place = [f"dataset={grid.dataset}" if grid.dataset else "", *map(_assignment, cell.items())]
        where = "/".join(filter(None, (condition, *place)))
        if disturbance is None:
            yield Scenario(key=where, **base)
            continue
        for level in disturbance.levels:
            name = f"{where}/{disturbance.name}/{disturbance.parameter}={level:g}"
            # What counts for the published average alone differs from its twin in options only.
            yield Scenario(
                key=f"{name}{PUBLISHED}" if grid.counts == "published" else name,
                disturbance=disturbance.name,
                level=level,
                options=disturbance.options,
                space=disturbance.space,
                **base,
            )


def _lies_in(cell: dict[str, Coordinate], trained: dict[str, tuple[Coordinate, ...]]) -> bool:
    return bool(trained) and all(cell[name] in values for name, values in trained.items())


def _assignment(item: tuple[str, Coordinate]) -> str:
    name, value = item
    return f"{name}={value}" if isinstance(value, str) else f"{name}={value:g}"
