"""How a store of maps fills the batches of a `field` task, and what a model is told of the maps.

A batch of a field task, in model space unless said otherwise; `y` has row 0 north, `x` column 0 west:

- `context` (sample, channel, y, x), float32, channels in the order of `context` below, never NaN; of volumes
  (sample, channel, z, y, x), where a plane is repeated over the heights;
- `target` (sample, channel, y, x) or (sample, channel, z, y, x), float32, channels in the order of `target`;
  0 where there is nothing to learn;
- `valid`, bool, shaped as `target`: what is trained on (training and validation cases only): outdoors, where
  a path arrives, and not among the samples that the context holds;
- `observed`, bool, shaped as `context`: false only in the channel of sparse samples, where nothing was
  sampled; there that channel holds the code `NO_SIGNAL`, in model space;
- `position` (sample, coordinate), float32, metres: x east and y north of the map's centre, z above the
  ground;
- `environment` (sample, feature), float32, in the store's units: the columns that `environment` below names.

The forecast is shaped as the target, in model space. What a model is built for (`TaskShape`) holds `channels`
and `targets` (the channel of sparse samples has the name of the target that it samples), `sizes` (y, x and,
of volumes, z), `spacing` (edge of a cell in metres; cell (0, 0) has its centre at x = (1 - columns) / 2 ·
spacing, y = (rows - 1) / 2 · spacing), `heights` (of the receivers above the ground, metres: one for each z,
one of a plane), `environment`, and `scales`, the `ChannelScale` of each channel and target: units = model ·
factor + shift. So a model that takes raw values converts, whatever the task's normalisation; and `mean` is
what to say where a context holds no sample.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from .strict import Strict

NO_SIGNAL = -160.0
"""dB or dBm of a cell that no path reaches; also the code of what was not sampled."""
COMPUTED = ("transmitter", "log_distance", "occupied", "arrival_east", "arrival_north", "arrival_up")
"""Channels that are no arrays of a store but follow from it: the transmitter's height in its cell, 0
elsewhere; log10 of the metres from the transmitter (at least 1) to the receiver of each cell; 1 where that
receiver would be inside a building; and the direction from which the strongest path comes, as a vector of
length 1."""
DIRECTION = ("arrival_east", "arrival_north", "arrival_up")


@dataclass(frozen=True)
class ChannelScale:
    """Between model space and units of one channel: units = model · factor + shift.

    Attributes:
        shift, factor: of the map; 0 and 1 where the task does not normalise.
        mean, std: of the training part in units, over the cells that are trained on.
    """

    shift: float
    factor: float
    mean: float
    std: float


class SparseSamples(Strict):
    """Samples of a map that a context holds: some cells, at random or as they were measured.

    They are drawn from the cells that could be scored, at most half of them, from (task, sample of the store)
    alone; training draws anew in every epoch, from the seed of the run too. Of a store with the array
    `held_out` (measurements) nothing is drawn: given is what was measured and is not held out, and the target
    is what is held out.
    """

    array: str
    """What is sampled: an array that is also a channel of the context, under the same name."""
    count: int = Field(ge=0)
    """Samples of a test case."""
    least: int = Field(default=1, ge=0)
    most: int = Field(default=200, ge=0)
    """Samples of a training or validation case: uniform between these, both included."""
    noise: float = Field(default=0.0, ge=0)
    """Standard deviation of their Gaussian noise, units of the array."""

    @model_validator(mode="after")
    def _in_order(self) -> "SparseSamples":
        if self.least > self.most:
            raise ValueError(f"`least` is {self.least}, more than `most`, {self.most}")
        return self


class FieldLayout(Strict):
    """Which arrays of a store of maps a task reads; each is a channel.

    The store's arrays have the dimensions (sample, y, x), or (sample, z, y, x) for volumes.
    """

    view: Literal["field", "volume"] = "field"
    """The task's own shape: (sample, channel, y, x), or (sample, channel, z, y, x)."""
    context: tuple[str, ...] = Field(min_length=1)
    """Arrays of the store or `COMPUTED` channels."""
    target: tuple[str, ...] = Field(min_length=1)
    sparse: SparseSamples | None = None
    position: bool = True
    """Whether a model may know where the transmitter is."""
    environment: tuple[str, ...] = ()
    """Coordinates of the samples that a model may know, as columns of the batch's `environment`."""
    turned: bool = False
    """Whether training sees each map turned by a multiple of 90 degrees and mirrored, drawn anew in every
    epoch; position, azimuth and directions turn with it."""

    @model_validator(mode="after")
    def _fits_together(self) -> "FieldLayout":
        if self.sparse is not None and self.sparse.array not in self.context:
            raise ValueError(f"`sparse` samples '{self.sparse.array}', which is no channel of `context`")
        leaked = {"transmitter", "log_distance"} & set(self.context)
        if leaked and not self.position:
            raise ValueError(f"{sorted(leaked)} in `context` say the position, which `position` hides")
        told = set(self.context) & set(self.target) - ({self.sparse.array} if self.sparse else set())
        if told:
            raise ValueError(f"`context` holds the target {sorted(told)}, and not as sparse samples")
        for name in ("context", "target"):
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise ValueError(f"`{name}` names an array twice")
        return self
