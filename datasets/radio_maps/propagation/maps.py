"""What is asked of a generator of maps, and what it gives: the same for ray tracing and for formulas."""

from dataclasses import dataclass

import numpy as np

from tsbench.contracts import InputError

from ..scenes.scene import Scene, cell_centres, height_at
from .antenna import Transmitter

NO_SIGNAL = -160.0
"""dB or dBm of a cell that no path reaches, as in Geo2SigMap."""
CLEARANCE = 0.5
"""Metres that a transmitter must stand above a roof."""


@dataclass(frozen=True)
class Grid:
    """Receivers of a map.

    Attributes:
        cells: rows and columns.
        cell: edge of a cell in metres, a whole number.
        heights: of the receivers above the ground, metres, ascending.
    """

    cells: int
    cell: int
    heights: tuple[float, ...] = (1.5,)

    @property
    def size(self) -> float:
        """Edge of the area in metres."""
        return float(self.cells * self.cell)

    def points(self) -> np.ndarray:
        """Centres of the cells, shape (z, y, x, 3), float64, metres."""
        x, y = cell_centres(self.cells, self.cell)
        z, y, x = np.meshgrid(self.heights, y, x, indexing="ij")
        return np.stack([x, y, z], axis=-1)

    def outdoor(self, heights: np.ndarray) -> np.ndarray:
        """Receivers above all buildings of their cell, shape (z, y, x), bool; heights (y, x), metres."""
        return np.asarray(self.heights)[:, None, None] > heights


@dataclass(frozen=True)
class Propagation:
    """How waves are followed.

    Attributes:
        frequency: carrier in Hz.
        depth: reflections at most.
        rays: for each transmitter and height (ray tracing).
        seed: of the rays' directions after diffraction.
    """

    frequency: float
    depth: int = 3
    rays: int = 1_000_000
    seed: int = 0


@dataclass(frozen=True)
class Arrivals:
    """When and from where waves arrive; NaN where no path does.

    Attributes:
        delay: of the first path, ns, shape (z, y, x).
        azimuth: from where the strongest path comes, degrees counter-clockwise from east, shape (z, y, x).
        zenith: of that direction, degrees from the vertical, shape (z, y, x).
    """

    delay: np.ndarray
    azimuth: np.ndarray
    zenith: np.ndarray


def in_decibels(gain: np.ndarray) -> np.ndarray:
    """Linear gain in dB, float32; NO_SIGNAL where it is lower than that."""
    return (10 * np.log10(np.maximum(gain, 10 ** (NO_SIGNAL / 10)))).astype(np.float32)


def require_outdoors(scene: Scene, fine: np.ndarray, transmitter: Transmitter) -> None:
    """Refuse a transmitter from which nothing can be followed.

    Args:
        scene: the transmitter stands in.
        fine: height raster of the scene, pixels of 1 m.
        transmitter: with its position.

    Raises:
        InputError: where it is inside a building or outside the area.
    """
    where = f"({transmitter.x:g}, {transmitter.y:g}, {transmitter.z:g}) m"
    if max(abs(transmitter.x), abs(transmitter.y)) > scene.size / 2 or transmitter.z <= 0:
        raise InputError(f"Scene '{scene.name}': the transmitter at {where} is outside of the area")
    roof = float(height_at(fine, np.array(transmitter.x), np.array(transmitter.y)))
    if transmitter.z < roof + CLEARANCE * (roof > 0):
        raise InputError(
            f"Scene '{scene.name}': the transmitter at {where} is inside a building of {roof:.1f} m; "
            f"it must stand at {roof + CLEARANCE:.1f} m or higher"
        )
