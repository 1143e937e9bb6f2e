"""How a store of samples with sequences and static features fills the batches of a `panel` task."""

from typing import Literal

from .strict import Strict


class PanelLayout(Strict):
    """Which arrays of a store a task reads: a sample is a place in a period, with one value to tell."""

    view: Literal["panel"] = "panel"
    """Context (sample, time, channel), target (sample, lead_time, channel) with one lead time."""
    target: str
    """Array of the values, dimension `sample`."""
