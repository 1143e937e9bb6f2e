"""Maps of some samples in units, and the channels and masks that follow from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from tsbench.contracts.field import COMPUTED, DIRECTION, NO_SIGNAL

from .frame import Frame, log_distance, transmitter_plane

MASKS = ("outdoor", "reached", "held_out")
"""Arrays that say what there is in a cell; a store may lack any of them."""
IN_DECIBELS = ("path_gain", "rss")
"""Arrays that hold `NO_SIGNAL` where no path arrives; the others hold NaN there, or what they were given."""
ANGLES = ("arrival_azimuth", "arrival_zenith")
NEEDS_POSITION = ("transmitter", "log_distance")


def stored(names: Sequence[str]) -> tuple[str, ...]:
    """Arrays of the store that make channels of those names, each once; masks are not among them."""
    found: dict[str, None] = {}
    for name in names:
        if name in DIRECTION:
            found.update(dict.fromkeys(ANGLES))
        elif name == "occupied":
            found["building_height"] = None
        elif name not in COMPUTED:
            found[name] = None
    return tuple(found)


@dataclass(frozen=True)
class Maps:
    """Samples of a store.

    Attributes:
        arrays: name → values in units, shape (sample, y, x) or (sample, z, y, x); masks are bool.
        position: of the transmitters, x, y, z in metres, shape (sample, 3); NaN where it is unknown.
        environment: shape (sample, feature).
        frame: where the cells lie.
    """

    arrays: Mapping[str, torch.Tensor]
    position: torch.Tensor
    environment: torch.Tensor
    frame: Frame

    def channel(self, name: str) -> torch.Tensor:
        """Values of a channel in units, float32, shaped as the maps with the sample first."""
        if name == "transmitter":
            return self.frame.whole(transmitter_plane(self.position, self.frame))
        if name == "log_distance":
            return log_distance(self.position, self.frame)
        if name == "occupied":
            return (~self.outdoor()).float()
        if name in DIRECTION:
            azimuth, zenith = (torch.deg2rad(self.arrays[one]) for one in ANGLES)
            if name == "arrival_up":
                return zenith.cos()
            return zenith.sin() * (azimuth.cos() if name == "arrival_east" else azimuth.sin())
        return self._whole(self.arrays[name].float())

    def outdoor(self) -> torch.Tensor:
        """Whether the receiver of a cell is above all buildings; everywhere where no building is known."""
        if "outdoor" in self.arrays:
            return self._whole(self.arrays["outdoor"])
        if "building_height" in self.arrays:
            return self.frame.z() > self._whole(self.arrays["building_height"])
        return torch.ones(len(self.position), *self.frame.shape, dtype=torch.bool)

    def reached(self, name: str) -> torch.Tensor:
        """Where an array or channel has a value to learn: outdoors, and a path arrives or was measured."""
        mask = self.outdoor()
        if "reached" in self.arrays:
            mask = mask & self._whole(self.arrays["reached"])
        values = self.channel(name)
        return mask & (values > NO_SIGNAL if name in IN_DECIBELS else values.isfinite())

    def truth(self, name: str) -> torch.Tensor:
        """What a forecast is compared with, float32: NaN where nothing is known or the cell is indoors.

        Outdoors, where no path arrives, maps in dB hold `NO_SIGNAL`; measurements say nothing of such cells.
        """
        reached, values = self.reached(name), self.channel(name)
        if name in IN_DECIBELS and "held_out" not in self.arrays:
            unreached = torch.where(self.outdoor(), NO_SIGNAL, torch.nan)
            return torch.where(reached, values, unreached)
        return torch.where(reached, values, torch.nan)

    def _whole(self, values: torch.Tensor) -> torch.Tensor:
        return self.frame.whole(values) if values.ndim == 3 else values
