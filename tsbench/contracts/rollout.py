"""How a store of fields in time fills the batches of a `rollout` task."""

from typing import Literal

from .strict import Strict


class RolloutLayout(Strict):
    """Which arrays of a store of fields a task reads."""

    view: Literal["grid"] = "grid"
    """Context (sample, time, channel, latitude, longitude), target with `lead_time` in place of `time`."""
