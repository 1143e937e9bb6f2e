"""Between a transmitter and the receivers of a map: how far, what stands between them, what formulas say.

Distances are float64: formulas are compared with those of `tsbench.radio.path_loss` to rounding.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from tsbench.contracts import TaskShape
from tsbench.radio.path_loss import LIGHT, Environment, path_loss, uma_prior_loss

from .maps import cell_centres, in_units, told

NEAREST = 1.0
"""Metres: what is nearer to the transmitter counts as that far."""
TERMINAL_HEIGHT = 2.0
"""Metres at which Geo2SigMap's prior puts the receivers, whatever their height."""
CARRIER = "carrier_frequency"
"""Column of the environment, MHz."""
STEPS_A_CELL = 2
"""Points of a ray at which it is compared with the buildings, for each cell that it crosses at most."""


@dataclass(frozen=True)
class Links:
    """Between the transmitter and each receiver of each map.

    Attributes:
        offset: from receiver to transmitter, metres, float64, shape (sample, y, x, 3).
        transmitter: height above the ground, metres, shape (sample, 1, 1).
        receiver: heights above the ground, metres, shape (y, x).
    """

    offset: torch.Tensor
    transmitter: torch.Tensor
    receiver: torch.Tensor

    @classmethod
    def of(cls, batch: Mapping[str, torch.Tensor], shape: TaskShape) -> "Links":
        """Those of a batch with `position`."""
        centres = cell_centres(shape, batch["context"])
        place = batch["position"].double()
        place = place.reshape(len(place), *[1] * (centres.ndim - 1), 3)
        return cls(place - centres, place[..., 2], centres[..., 2])

    @property
    def ground(self) -> torch.Tensor:
        """Horizontal distance, metres."""
        return torch.hypot(self.offset[..., 0], self.offset[..., 1])

    @property
    def slant(self) -> torch.Tensor:
        """Distance, metres, at least `NEAREST`."""
        return self.offset.norm(dim=-1).clamp_min(NEAREST)

    @property
    def direct_delay(self) -> torch.Tensor:
        """Delay of the straight path, ns."""
        return self.slant / LIGHT * 1e9

    @property
    def direction(self) -> torch.Tensor:
        """From each receiver towards the transmitter, length 1, (east, north, up) last."""
        return self.offset / self.slant[..., None]


def by_formula(formula: Callable[..., np.ndarray], *given: torch.Tensor) -> torch.Tensor:
    """What a formula on arrays says of tensors."""
    found = formula(*(one.double().cpu().numpy() for one in given))
    return torch.from_numpy(np.asarray(found)).to(given[0].device)


def carrier(
    batch: Mapping[str, torch.Tensor], shape: TaskShape, who: str, like: torch.Tensor
) -> torch.Tensor:
    """Carrier frequency in Hz, float64, shaped to combine with maps (sample, ...).

    Raises:
        InputError: where the task does not tell it.
    """
    return told(batch, shape, CARRIER, who).double().reshape(-1, *[1] * (like.ndim - 1)) * 1e6


def uma_prior_gain(batch: Mapping[str, torch.Tensor], shape: TaskShape, who: str) -> torch.Tensor:
    """Geo2SigMap's prior of the path gain, dB, float64, shape (sample, y, x).

    Distances are truncated to whole metres and receivers stand at 2 m, as in the published code.

    Raises:
        InputError: where the task does not tell the carrier.
    """
    links = Links.of(batch, shape)
    ground = links.ground.floor()
    frequency = carrier(batch, shape, who, ground)

    def gain(distance: np.ndarray, base: np.ndarray, hertz: np.ndarray) -> np.ndarray:
        return -uma_prior_loss(distance, base, TERMINAL_HEIGHT, hertz)[0]

    return by_formula(gain, ground, links.transmitter, frequency)


def tr38901_gain(
    links: Links, frequency: torch.Tensor, sight: torch.Tensor | None, environment: Environment
) -> torch.Tensor:
    """Mean path gain of TR 38.901, table 7.4.1-1.

    Args:
        links: of a batch.
        frequency: Hz, shaped to combine with maps.
        sight: whether a receiver is in sight, bool, shape (sample, y, x); None: none is.
        environment: `uma` or `umi`.

    Returns:
        dB, float64, shape (sample, y, x).
    """

    def losses(ground: np.ndarray, base: np.ndarray, terminal: np.ndarray, hertz: np.ndarray) -> np.ndarray:
        return np.stack(path_loss(ground, base, terminal, hertz, environment))

    clear, hidden = by_formula(losses, links.ground, links.transmitter, links.receiver, frequency)
    return -hidden if sight is None else -torch.where(sight, clear, hidden)


def in_sight(batch: Mapping[str, torch.Tensor], shape: TaskShape, links: Links) -> torch.Tensor:
    """Whether no building of the raster reaches the straight line to the transmitter.

    Args:
        batch: with the channel `building_height`.
        shape: of the task.
        links: of the batch.

    Returns:
        bool, shape (sample, y, x).
    """
    assert shape.spacing is not None
    heights = in_units(batch, shape, "building_height")
    if "z" in shape.sizes:
        heights = heights[:, 0]
    samples, rows, columns = heights.shape
    steps = STEPS_A_CELL * max(rows, columns)
    flat = heights.reshape(samples, -1)
    centres = cell_centres(shape, batch["context"])
    clear = torch.ones(links.offset.shape[:-1], dtype=torch.bool, device=heights.device)
    for step in range(steps):
        share = (step + 0.5) / steps
        point = centres + share * links.offset
        column = (point[..., 0] / shape.spacing + columns / 2).floor().clamp(0, columns - 1).long()
        row = (rows / 2 - point[..., 1] / shape.spacing).floor().clamp(0, rows - 1).long()
        below = flat.gather(1, (row * columns + column).flatten(1)).reshape(clear.shape)
        clear &= (below <= 0) | (below < point[..., 2])
    return clear
