"""How a store of maps fills the batches of a `field` task."""

from typing import Literal

from .strict import Strict


class FieldLayout(Strict):
    """Which arrays of a store of maps a task reads; each is a channel.

    The store's arrays have the dimensions (sample, y, x), or (sample, z, y, x) for volumes.
    """

    view: Literal["field", "volume"] = "field"
    """The task's own shape: (sample, channel, y, x), or (sample, channel, z, y, x)."""
    context: tuple[str, ...]
    """Arrays of the context; a plane of a volume task is repeated over its heights."""
    target: tuple[str, ...]
