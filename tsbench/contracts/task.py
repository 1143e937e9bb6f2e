"""A Task fixes everything that makes two numbers comparable: data, origins, horizon, split, scale.

The look-back is not part of a task: it is a choice of the entry, recorded in its track. A published task is
immutable; a change makes a new version.
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from .conditions import (
    CONDITIONS,
    Condition,
    Conditions,
    NotApplicable,
    Scenario,
    ScenarioGrid,
    Space,
    expand,
)
from .field import FieldLayout
from .forecast import DECILES
from .kinds import FURTHER, Kind
from .panel import PanelLayout
from .rollout import RolloutLayout
from .split import LabelledSplit, PeriodSplit, RollingSplit, SeriesSplit, Split
from .strict import Strict, canonical_hash


class Unit(Strict):
    """The independent unit of the task's test part.

    `window_block`: consecutive windows, `windows` forecast origins each (default: twice the horizon), so
    that the targets of two blocks that are not neighbours never overlap. `sample`: each sample of a store of
    independent samples. `series`: all windows of a series of a collection.
    """

    kind: Literal["window_block", "sample", "series"] = "window_block"
    windows: int | None = Field(default=None, ge=1)


class SampleLayout(Strict):
    """Where a store of independent samples holds what a task forecasts."""

    view: str
    """The task's own shape, a name of `tsbench.data.views`: metrics and disturbances work in it."""
    context: str
    """Name of the array of contexts."""
    target: str
    """Name of the array of targets, with `lead_time` in place of `time`."""


class TrainingNoise(Strict):
    """A disturbance of the training and validation contexts, its level drawn uniformly for each case.

    Drawn from (run seed, case, epoch) for training, from (task, case) for validation.
    """

    disturbance: str
    low: float
    high: float
    draw: Literal["once", "each_epoch"]
    """`once`: the same noise in every epoch."""
    options: dict[str, float | int | str | bool] = {}
    space: Space = "units"


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
    kind: Kind = "forecast"
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
    split: Annotated[
        Split | LabelledSplit | PeriodSplit | RollingSplit | SeriesSplit, Field(discriminator="kind")
    ]
    """By rows or shares: the store holds one time series. Rolling, or by series: it holds series of different
    length."""
    samples: SampleLayout | None = None
    """For a store of independent samples; without it the store holds time series, cut into windows."""
    field: FieldLayout | None = None
    """For `kind: field`: the arrays that are read."""
    panel: PanelLayout | None = None
    """For `kind: panel`: the arrays that are read."""
    rollout: RolloutLayout | None = None
    """For `kind: rollout`: the arrays that are read."""
    normalisation: Literal["none", "zscore", "zscore_parts"]
    """Mean and population standard deviation of the training part; `zscore`: of each variable, of many series
    each by itself (of all training series together where the split is by series); `zscore_parts`: of all real
    parts and of all imaginary parts of the contexts."""
    space: Space
    """Where metrics are computed: `normalised` values or physical `units`."""
    missing: Literal["refuse", "mask"] = "refuse"
    """NaN in context or target: refuse the data, or mask them (never scored) and count them."""
    conditions: Conditions
    metrics: tuple[str, ...]
    primary: str
    quantiles: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = DECILES
    """Levels at which quantile forecasts are made and scored, ascending, with the median."""
    training_noise: TrainingNoise | None = None
    unit: Unit = Unit()
    cluster: str = "dataset"
    """What shares its randomness beyond units: the data set, or a coordinate of the samples."""

    @field_validator("metrics")
    @classmethod
    def _unique(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(metrics)) != len(metrics):
            raise ValueError("a metric is named twice")
        return metrics

    @field_validator("quantiles")
    @classmethod
    def _ascending(cls, quantiles: tuple[float, ...]) -> tuple[float, ...]:
        if 0.5 not in quantiles or list(quantiles) != sorted(set(quantiles)):
            raise ValueError("quantiles must ascend and hold the median, 0.5")
        return quantiles

    @model_validator(mode="after")
    def _primary_is_a_metric(self) -> "Task":
        if self.primary not in self.metrics:
            raise ValueError(f"primary metric '{self.primary}' is not among metrics {list(self.metrics)}")
        return self

    @model_validator(mode="after")
    def _layout_is_that_of_the_kind(self) -> "Task":
        for kind in FURTHER:
            if (getattr(self, kind) is not None) != (self.kind == kind):
                raise ValueError(
                    f"`{kind}` says what a task of the kind `{kind}` reads, and only of that kind"
                )
        return self

    @model_validator(mode="after")
    def _samples_have_labels(self) -> "Task":
        of_samples = self.samples is not None or self.kind in FURTHER
        if of_samples != isinstance(self.split, LabelledSplit | PeriodSplit):
            raise ValueError("a split by labels or periods belongs to a store of samples, and only to it")
        if isinstance(self.split, PeriodSplit) and self.kind not in FURTHER:
            raise ValueError("a split by periods belongs to the kinds " + ", ".join(FURTHER))
        return self

    @model_validator(mode="after")
    def _unit_is_that_of_the_split(self) -> "Task":
        kinds = {"labels": "sample", "period": "sample", "rolling": "series", "series": "series"}
        wanted = kinds.get(self.split.kind, "window_block")
        if self.unit.kind != wanted:
            raise ValueError(
                f"the unit of a split by {self.split.kind} is `{wanted}`, not `{self.unit.kind}`"
            )
        if wanted != "window_block" and self.unit.windows is not None:
            raise ValueError("`windows` of a unit are those of a `window_block`")
        return self

    @model_validator(mode="after")
    def _series_are_normalised_one_by_one(self) -> "Task":
        if self.rolling and self.normalisation == "zscore_parts":
            raise ValueError("a split of series goes with the normalisation `none` or `zscore`")
        return self

    @property
    def rolling(self) -> bool:
        """Whether the task forecasts a collection of series, from rolling origins."""
        return isinstance(self.split, RollingSplit | SeriesSplit)

    @property
    def view(self) -> str:
        """The task's own shape."""
        layout = self.samples or self.field or self.panel or self.rollout
        return layout.view if layout else "sequence"

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
        """Cases in one independent unit; `TaskData.unit_windows` knows it where it depends on the data.

        Raises:
            ValueError: where the number of test windows follows from the length of the series.
        """
        if self.unit.kind == "sample":
            return 1
        if isinstance(self.split, RollingSplit) and isinstance(self.split.windows, int):
            return self.split.windows
        if self.rolling:
            raise ValueError(f"the number of test windows of {self.id} depends on its data")
        return self.unit.windows or 2 * self.horizon

    def scenarios(self) -> list[Scenario]:
        """Every cell of the condition grid, in a fixed order."""
        return [
            scenario
            for condition in CONDITIONS
            for grid in self.grids(condition)
            for scenario in expand(condition, grid, self.dataset)
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
