"""Maps by formula, for machines on which no ray can be traced: path loss, line of sight and knife edges.

A receiver is in sight where no building reaches the straight line to the transmitter. Sight costs TR 38.901's
loss with line of sight and what P.526 gives for the edge that comes nearest. Out of sight two contributions
add as powers: the wave diffracted over the equivalent edge, and the mean of what streets and walls scatter,
which is TR 38.901's loss without line of sight. Nothing is random; indoors there is no signal.
"""

from collections.abc import Sequence

import numpy as np

from tsbench.radio.path_loss import LIGHT, path_loss

from ..scenes.scene import Scene, cell_heights, fine_heights, height_at
from .antenna import Transmitter, antenna_gain
from .diffraction import Edge, bullington_edge, bullington_loss
from .maps import Arrivals, Grid, Propagation, in_decibels, require_outdoors

NAME = "analytic (TR 38.901, ITU-R P.526)"
POINT_STEP = 1.5
"""Metres from point to point of a profile at the longest distance."""
NEAREST = 0.5
"""Horizontal distance in metres that is assumed at least."""


def path_gains(
    scene: Scene,
    transmitters: Sequence[Transmitter],
    grid: Grid,
    propagation: Propagation,
    fine: np.ndarray | None = None,
) -> np.ndarray:
    """Gain from each transmitter, its antenna included, to the receivers of a grid.

    Args:
        scene: with its buildings.
        transmitters: in the scene.
        grid: of receivers.
        propagation: its frequency counts.
        fine: height raster with pixels of 1 m, where there is nothing else of the scene.

    Returns:
        dB, shape (transmitter, z, y, x), float32; NO_SIGNAL indoors.

    Raises:
        InputError: where a transmitter is inside a building or outside the area.
    """
    fine = fine_heights(scene) if fine is None else fine
    outdoor = grid.outdoor(cell_heights(fine, grid.cell))
    points, found = grid.points(), []
    for transmitter in transmitters:
        require_outdoors(scene, fine, transmitter)
        edge, distance = _edges(fine, transmitter, points, propagation.frequency)
        sight, hidden = path_loss(distance, transmitter.z, points[..., 2].ravel(), propagation.frequency)
        loss = sight + bullington_loss(edge, distance)
        gain = 10 ** (-loss / 10) + edge.hidden * 10 ** (-np.maximum(hidden, sight) / 10)
        gain = gain.reshape(outdoor.shape) * 10 ** (antenna_gain(transmitter, points) / 10)
        found.append(in_decibels(np.where(outdoor, gain, 0.0)))
    return np.stack(found)


def pairs_of_gains(
    scene: Scene, transmitters: Sequence[Transmitter], grid: Grid, propagation: Propagation
) -> np.ndarray:
    """Gains with isotropic antennas, and with the transmitters' own, (2, transmitter, z, y, x).

    Raises:
        InputError: as for `path_gains`.
    """
    isotropic = [one.isotropic() for one in transmitters]
    return np.stack([path_gains(scene, one, grid, propagation) for one in (isotropic, transmitters)])


def arrivals(scene: Scene, transmitter: Transmitter, grid: Grid, propagation: Propagation) -> Arrivals:
    """Delay and direction of the direct wave, or of the wave over the equivalent edge; NaN indoors.

    Raises:
        InputError: where the transmitter is inside a building or outside the area.
    """
    fine = fine_heights(scene)
    require_outdoors(scene, fine, transmitter)
    points = grid.points()
    edge, distance = _edges(fine, transmitter, points, propagation.frequency)
    last = points[..., 2].ravel()
    rest = distance - edge.along
    over = np.hypot(edge.along, edge.height - transmitter.z) + np.hypot(rest, edge.height - last)
    length = np.where(edge.hidden, over, np.hypot(distance, transmitter.z - last))
    rise = np.where(edge.hidden, (edge.height - last) / rest, (transmitter.z - last) / distance)
    azimuth = np.arctan2(transmitter.y - points[..., 1], transmitter.x - points[..., 0])
    outdoor = grid.outdoor(cell_heights(fine, grid.cell))

    def only_outdoors(values: np.ndarray) -> np.ndarray:
        return np.where(outdoor, values.reshape(outdoor.shape), np.nan).astype(np.float32)

    return Arrivals(
        only_outdoors(length / LIGHT * 1e9),
        only_outdoors(np.rad2deg(azimuth)),
        only_outdoors(90 - np.rad2deg(np.arctan(rise))),
    )


def _edges(
    fine: np.ndarray, transmitter: Transmitter, points: np.ndarray, frequency: float
) -> tuple[Edge, np.ndarray]:
    """Equivalent edge and horizontal distance (at least NEAREST) of each of the points (z, y, x)."""
    offsets = points[0, :, :, :2].reshape(-1, 2) - transmitter.position[:2]  # (cell, 2)
    distance = np.maximum(np.hypot(*offsets.T), NEAREST)
    count = max(2, int(np.ceil(distance.max() / POINT_STEP)))
    along = (np.arange(count) + 0.5) / count
    places = transmitter.position[:2] + offsets[:, None, :] * along[:, None]  # (cell, point, 2)
    heights = height_at(fine, places[..., 0], places[..., 1]).astype(np.float64)
    heights[heights <= 0] = -np.inf
    levels = points[:, 0, 0, 2]
    edges = [
        bullington_edge(heights, along, transmitter.z, np.full(len(distance), level), distance, frequency)
        for level in levels
    ]
    fields = ("hidden", "along", "height", "parameter")
    joined = Edge(*(np.concatenate([getattr(edge, field) for edge in edges]) for field in fields))
    return joined, np.tile(distance, len(levels))
