"""What a model declares about itself, and the shape of a task that it is built for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import Field

from .addressed import PRESENTED, Addressed, View
from .field import ChannelScale
from .forecast import DECILES, Forecast
from .search_space import SearchSpace
from .strict import Strict
from .task import Task

Fits = Literal["none", "task", "series"]


@dataclass(frozen=True)
class TaskShape:
    """Everything that a model may know of a task before it sees data.

    Attributes:
        context: look-back in steps.
        horizon: steps to forecast.
        period: main season in steps.
        channels: names of the context channels.
        targets: names of the forecast channels, a part of `channels`.
        past_covariates: names of the columns of the batch's `past_covariates`.
        future_covariates: names of the columns of the batch's `future_covariates`.
        step: nominal time step as an ISO 8601 duration, or None.
        sizes: dimension → size of the context's further dimensions, in views that have such.
        quantiles: levels that a probabilistic forecast is scored at, ascending.
        static: names of the columns of the batch's `static`.
        categories: name of each column of the batch's `categorical` → number of categories.
        entity_features: names of the columns of the batch's `entity`; `sizes` has their number of entities.
        entity_categories: those of them that are codes → number of categories.
        spacing: of maps, edge of a cell in metres.
        heights: of maps, receivers above the ground in metres: one for each z, one of a plane.
        environment: names of the columns of the batch's `environment`.
        scales: of maps, channel or target → between model space and units (`contracts.field`).
    """

    context: int
    horizon: int
    period: int
    channels: tuple[str, ...]
    targets: tuple[str, ...]
    past_covariates: tuple[str, ...] = ()
    future_covariates: tuple[str, ...] = ()
    step: str | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    quantiles: tuple[float, ...] = DECILES
    static: tuple[str, ...] = ()
    categories: Mapping[str, int] = field(default_factory=dict)
    entity_features: tuple[str, ...] = ()
    entity_categories: Mapping[str, int] = field(default_factory=dict)
    spacing: float | None = None
    heights: tuple[float, ...] = ()
    environment: tuple[str, ...] = ()
    scales: Mapping[str, ChannelScale] = field(default_factory=dict)

    @property
    def target_index(self) -> tuple[int, ...]:
        """Position of each target among the context channels."""
        return tuple(self.channels.index(name) for name in self.targets)


@runtime_checkable
class Model(Protocol):
    """A forecaster. Built as `Model(shape, hyperparameters)`; `fit(source, init=None)` where it learns.

    Attributes:
        fits: `none` (zero-shot), `task` (once on the training part) or `series` (anew for each series).
        uses: reserved batch names that `predict` reads; the loader gathers no others.

    Further attributes are optional. `views`: the shapes that it takes, in order of preference, by default
    `("sequence",)`: time × channel. `couples`: whether it mixes the samples of a batch that share a `group`;
    each of its calls to `predict` then holds exactly one group. `fallbacks`: a Counter of the series that got
    a simpler forecast than its own, by reason; it is reported and recorded.
    """

    fits: Fits
    uses: frozenset[str]

    def predict(
        self, batch: Mapping[str, Any], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Forecast one batch, in the space of the batch (normalised where the task normalises).

        Args:
            batch: reserved names → tensors.
            realizations: members of a sample forecast; None: as many as the model sees fit.
            generator: chooses the members. It comes in the same state with every batch of a scenario, so
                members must be drawn from it and from the case's `index`: then no batch size changes a score.
        """
        ...


class Paper(Strict):
    """Where a model was published."""

    title: str
    authors: str
    year: int
    venue: str = ""
    url: str = ""
    code: str = ""


class PublishedFigure(Strict):
    """A figure as published, to be put beside ours only where task, look-back and protocol agree."""

    task: str
    metric: str
    value: float
    context: int | None = None
    source: str


class PublishedWeights(Strict):
    """Weights that others have trained and published."""

    name: str
    """On the Hugging Face hub: OWNER/NAME, as `--weights` takes it."""
    licence: str
    trained_on: str
    """The corpora, in words: what of a task's data the weights may have seen."""


class ModelSettings(Addressed):
    """Settings for the tasks that it matches; the first match counts."""

    tuning: Literal["published", "default"] = "default"
    context: int = Field(gt=0)
    hyperparameters: dict[str, Any] = {}
    training: dict[str, Any] = {}
    fine_tune: bool = False
    """Whether weights of another fit (`--weights`) are fitted on the task; otherwise they only forecast."""
    note: str = ""


class DeclaredGap(Addressed):
    """Tasks that a model cannot do by construction: neither missing nor imputed on a leaderboard."""

    reason: str


class ModelCard(Strict):
    """card.yaml of a model: paper, published figures, settings per task."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    summary: str
    kind: Literal["baseline", "statistical", "neural", "foundation"]
    class_name: str
    packages: tuple[str, ...] = ()
    """Optional packages that compute its numbers; their versions are recorded and part of a run's key."""
    version: int = 1
    views: tuple[View, ...] | None = ("sequence",)
    """The views that its class takes; a task that cannot be presented in one is a gap. Null: nobody said."""
    licence: str = "Apache-2.0"
    paper: Paper | None = None
    published: tuple[PublishedFigure, ...] = ()
    weights: tuple[PublishedWeights, ...] = ()
    settings: tuple[ModelSettings, ...]
    not_applicable: tuple[DeclaredGap, ...] = ()
    search_space: tuple[SearchSpace, ...] = ()
    """What a sweep varies; the first that matches the task counts."""

    def settings_for(self, task: Task | str) -> ModelSettings | None:
        """The first settings that match the task (or the name, see `Addressed.matches`), if any."""
        return next((settings for settings in self.settings if settings.matches(task)), None)

    def space_for(self, task: Task | str) -> SearchSpace | None:
        """The first search space that matches the task, if any."""
        return next((space for space in self.search_space if space.matches(task)), None)

    def gap(self, task: Task | str) -> DeclaredGap | None:
        """Why the model cannot do the task, if its card declares so or its views do not include it."""
        declared = next((gap for gap in self.not_applicable if gap.matches(task)), None)
        if declared or isinstance(task, str) or self.views is None:
            return declared
        offered = PRESENTED.get(task.view, ())
        if set(offered) & set(self.views):
            return None
        reason = (
            f"It takes the view {' or '.join(self.views)}; the task is of the view {' or '.join(offered)}."
        )
        return DeclaredGap(tasks=(task.name,), reason=reason)
