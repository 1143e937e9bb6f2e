"""A Task fixes everything that makes two numbers comparable: data, origins, horizon, split, scale.

The look-back is not part of a task: it is a choice of the entry, recorded in its track. A published task is
immutable; a change makes a new version.
"""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from .strict import Strict, canonical_hash

Condition = Literal["regular", "robustness", "generalisation"]
CONDITIONS: tuple[Condition, ...] = ("regular", "robustness", "generalisation")
Space = Literal["units", "normalised"]


class Split(Strict):
    """Chronological borders, in rows (`rows`) or shares of all rows (`ratio`).

    For `ratio`, train = int(train · n) and test = int(test · n) rows; validation takes what is left, and
    rows are used to the end. For `rows`, what follows the test rows is not used.
    """

    kind: Literal["rows", "ratio"]
    train: float = Field(gt=0)
    validation: float = Field(ge=0)
    test: float = Field(gt=0)

    @model_validator(mode="after")
    def _check(self) -> "Split":
        total = self.train + self.validation + self.test
        if self.kind == "ratio" and abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of a ratio split must sum to 1, not {total:g}")
        if self.kind == "rows" and any(
            value != int(value) for value in (self.train, self.validation, self.test)
        ):
            raise ValueError("a split in rows needs whole numbers")
        return self

    def borders(self, rows: int) -> tuple[int, int, int]:
        """First row after the training, the validation and the test part.

        Raises:
            ValueError: where the data set has fewer rows than the split asks for.
        """
        if self.kind == "rows":
            train, validation, test = int(self.train), int(self.validation), int(self.test)
            if train + validation + test > rows:
                raise ValueError(f"the split needs {train + validation + test} rows, the data have {rows}")
            return train, train + validation, train + validation + test
        train, test = int(self.train * rows), int(self.test * rows)
        return train, rows - test, rows


class DisturbanceGrid(Strict):
    """A named disturbance of the context at one or several levels."""

    name: str
    parameter: str
    """What the level means, for the scenario key: `snr_db`, `fraction`."""
    levels: tuple[float, ...]
    options: dict[str, float | int | str | bool] = {}
    space: Space = "units"


class ScenarioGrid(Strict):
    """One entry of a condition: test data of `dataset` (default: the task's), disturbed or not."""

    dataset: str | None = None
    disturbance: DisturbanceGrid | None = None


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
    disturbance: str | None = None
    level: float | None = None
    options: dict[str, float | int | str | bool] = {}
    space: Space = "units"


class Unit(Strict):
    """The independent unit of the task's test part.

    `window_block`: consecutive windows, `windows` forecast origins each (default: twice the horizon), so
    that the targets of two blocks that are not neighbours never overlap.
    """

    kind: Literal["window_block"] = "window_block"
    windows: int | None = Field(default=None, ge=1)


class Task(Strict):
    """A forecasting task, declared in a tasks.yaml.

    Typical workflow::

        task = registry.task("etth1-96")
        data = TaskData.open(task)
        for batch in data.windows("test", context=96).batches(32):
            forecast = model.predict(batch)
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    version: int = Field(ge=1)
    kind: Literal["forecast"] = "forecast"
    title: str = ""
    dataset: str
    variables: tuple[str, ...] | Literal["all"] = "all"
    """Variables in the context."""
    targets: tuple[str, ...] | Literal["all"] = "all"
    """Scored variables, a part of `variables`; `all` means all of these."""
    horizon: int = Field(gt=0)
    period: int = Field(gt=0)
    """Main season in steps; models take it from here, never a hidden 24."""
    max_context: int = Field(gt=0)
    split: Split
    normalisation: Literal["none", "zscore"]
    """`zscore`: per variable, mean and population standard deviation of the training rows."""
    space: Space
    """Where metrics are computed: `normalised` values or physical `units`."""
    missing: Literal["refuse", "mask"] = "refuse"
    """NaN in context or target: refuse the data, or mask them (never scored) and count them."""
    conditions: Conditions
    metrics: tuple[str, ...]
    primary: str
    unit: Unit = Unit()
    cluster: Literal["dataset"] = "dataset"

    @field_validator("metrics")
    @classmethod
    def _unique(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(metrics)) != len(metrics):
            raise ValueError("a metric is named twice")
        return metrics

    @model_validator(mode="after")
    def _primary_is_a_metric(self) -> "Task":
        if self.primary not in self.metrics:
            raise ValueError(f"primary metric '{self.primary}' is not among metrics {list(self.metrics)}")
        return self

    @property
    def id(self) -> str:
        """Name and version, as disturbances and Results use it."""
        return f"{self.name}@{self.version}"

    @property
    def hash(self) -> str:
        """Hash of what is declared; fields at their default are left out, so that new ones change no hash."""
        return canonical_hash(self.model_dump(mode="json", exclude_defaults=True))

    @property
    def unit_windows(self) -> int:
        """Forecast origins in one independent unit."""
        return self.unit.windows or 2 * self.horizon

    def scenarios(self) -> list[Scenario]:
        """Every cell of the condition grid, in a fixed order."""
        return [
            scenario
            for condition in CONDITIONS
            for grid in self.grids(condition)
            for scenario in _expand(condition, grid, self.dataset)
        ]

    def grids(self, condition: Condition) -> tuple[ScenarioGrid, ...]:
        """Grid of one condition; empty where it does not apply."""
        grids = getattr(self.conditions, condition)
        return () if isinstance(grids, NotApplicable) else grids

    def scenario(self, key: str) -> Scenario:
        """The scenario of that key.

        Raises:
            KeyError: where the grid has no such cell.
        """
        return {scenario.key: scenario for scenario in self.scenarios()}[key]


def _expand(condition: Condition, grid: ScenarioGrid, dataset: str) -> Iterator[Scenario]:
    data = f"dataset={grid.dataset}" if grid.dataset else ""
    base: dict[str, Any] = {"condition": condition, "dataset": grid.dataset or dataset}
    if grid.disturbance is None:
        yield Scenario(key="/".join(filter(None, (condition, data))), **base)
        return
    disturbance = grid.disturbance
    for level in disturbance.levels:
        cell = f"{disturbance.name}/{disturbance.parameter}={level:g}"
        yield Scenario(
            key="/".join(filter(None, (condition, data, cell))),
            disturbance=disturbance.name,
            level=level,
            options=disturbance.options,
            space=disturbance.space,
            **base,
        )
