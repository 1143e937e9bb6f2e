"""How a store of fields in time fills the batches of a `rollout` task."""

from typing import Annotated, Literal

from pydantic import Field

from .strict import Strict


class RolloutLayout(Strict):
    """Which arrays of a store of fields a task reads, and how they are cut, scaled and scored.

    A channel is a variable of the store, `geopotential`, or a variable at one level, `geopotential@500`.
    """

    view: Literal["grid"] = "grid"
    """Context (sample, time, channel, latitude, longitude), target with `lead_time` in place of `time`."""
    statics: tuple[str, ...] = ()
    """Arrays without time that models are given; the sine of the latitude always comes last."""
    logarithm: dict[str, Annotated[float, Field(gt=0)]] = {}
    """Variable → ε: model space holds log(1 + x / ε) of it. For depths of water, which are never negative."""
    origin_step: int = Field(default=1, ge=1)
    """Steps between two forecast origins in validation and test; in training each step is one."""
    climatology: Literal["location", "day_of_year"] = "location"
    """What anomalies are taken from: the mean of the training part at each location, or that of each day of
    the year and hour."""
    climatology_days: int = Field(default=61, ge=1)
    """Days of the year that are averaged for one, centred on it; an odd number."""
    regions: tuple[str, ...] = ("tropics", "northern-hemisphere", "southern-hemisphere")
    """Regions that scores are told apart by, beside the whole grid."""
