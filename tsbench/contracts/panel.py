"""How a store of samples with sequences and static features fills the batches of a `panel` task.

A sample is a place in a period (a county and a year, a station and an hour) with one value to tell. Stores
hold each period once; what a sample sees of the periods before is put together when it is gathered.
"""

from typing import Literal

from pydantic import Field, model_validator

from .conditions import Coordinate
from .strict import Strict


class PanelLayout(Strict):
    """Which arrays of a store a task reads. All have the leading dimension `sample`.

    Columns have the names that the coordinate of their dimension gives them.
    """

    view: Literal["panel"] = "panel"
    """Context (sample, time, channel), target (sample, lead_time, channel) with one lead time."""
    context: str
    """Array of the steps of a sample's own period, (sample, step, channel); NaN where not observed."""
    target: str
    """Array of the values, (sample,); samples without a finite one belong to no part."""
    static: str | None = None
    """Array of numbers that belong to the sample, (sample, feature)."""
    categorical: str | None = None
    """Array of codes from 0 on, (sample, feature)."""
    entities: str | None = None
    """Array of a few parts of a sample, (sample, entity, feature); NaN throughout where there is none."""
    entity_categorical: tuple[str, ...] = ()
    """Features of the entities that are codes from 0 on."""
    place: str | None = None
    """Coordinate that names the place of a sample. With it, the context also holds the periods before, as far
    as `max_context` reaches: these must follow each other without a gap, or the sample belongs to no part."""
    period: str = "year"
    """Coordinate that numbers the periods of a place, whole numbers."""
    past_targets: bool = False
    """Whether `past_covariates` hold the targets of the periods before, one for each period of the context;
    the last is that of the period before, once more: never the sample's own."""
    begin: str | None = None
    """Coordinate with the time stamp of the first step of a sample's own period; the store's attribute `step`
    says how far the next one is. With it, batches have `time`."""
    position: tuple[str, ...] = ()
    """Coordinates that become `position`, as they are: latitude and longitude in degrees."""
    static_normalisation: Literal["none", "zscore"] = "zscore"
    """Of `static` and the numbers of the entities; context and target have the task's `normalisation`."""
    held_out: dict[str, tuple[Coordinate, ...]] = {}
    """Coordinate → values: samples with one of these belong to no part but `held_out`, which a grid of
    scenarios names to test on places that nobody has seen."""
    official: bool = False
    """As some authors do: the context is normalised over all rows of the store, test periods too, and the
    validation samples are trained on as well."""

    @model_validator(mode="after")
    def _history_has_places(self) -> "PanelLayout":
        if self.past_targets and self.place is None:
            raise ValueError("`past_targets` needs `place`: it says which samples follow each other")
        if self.entity_categorical and self.entities is None:
            raise ValueError("`entity_categorical` names features of `entities`")
        return self


class PanelCorpus(Strict):
    """Which array of a store a model is pretrained on: inputs of places and periods, without any target."""

    array: str
    """(place, period, step, channel)."""
    place: str
    """Name of its first dimension, whose coordinate names the places."""
    period: str
    """Name of its second dimension, whose coordinate numbers the periods."""
    position: tuple[str, ...] = ()
    """Coordinates of the places that become `position`, as they are."""
    begin: int = Field(default=1, ge=1)
    """Day of the year on which a period begins."""
