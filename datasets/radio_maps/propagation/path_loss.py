"""Path loss by formula: free space, 3GPP TR 38.901 (table 7.4.1-1), knife edges (ITU-R P.526)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

LIGHT = 299_792_458.0
"""Metres per second."""
Environment = Literal["uma", "umi"]


def free_space_loss(distance: np.ndarray, frequency: float) -> np.ndarray:
    """Friis' free-space loss between isotropic antennas.

    Args:
        distance: metres, any shape, positive.
        frequency: Hz.

    Returns:
        dB, same shape.
    """
    return 20 * np.log10(4 * np.pi * distance * frequency / LIGHT)


def path_loss(
    distance: np.ndarray,
    base_height: np.ndarray | float,
    terminal_height: np.ndarray | float,
    frequency: float,
    environment: Environment = "uma",
) -> tuple[np.ndarray, np.ndarray]:
    """Mean path loss of TR 38.901 in an urban macro or micro cell.

    Heights are used without subtracting the environment height of 1 m, and below 10 m the formula beyond the
    break point is not used, so that a map has no jump around its transmitter.

    Args:
        distance: horizontal, metres, any shape.
        base_height: of the base station, metres.
        terminal_height: metres.
        frequency: Hz.
        environment: `uma` or `umi`.

    Returns:
        Loss with and without line of sight, dB, shape of `distance`.
    """
    slant = np.sqrt(np.square(distance) + np.square(base_height - terminal_height))
    gigahertz, slant = 20 * np.log10(frequency / 1e9), np.maximum(slant, 1.0)
    turn = 4 * base_height * terminal_height * frequency / LIGHT
    lift = np.square(turn) + np.square(base_height - terminal_height)
    near, steep, beyond = (28.0, 22.0, 9.0) if environment == "uma" else (32.4, 21.0, 9.5)
    with np.errstate(divide="ignore"):
        far = near + 40 * np.log10(slant) + gigahertz - beyond * np.log10(lift)
    sight = np.where(distance <= turn, near + steep * np.log10(slant) + gigahertz, far)
    if environment == "uma":
        hidden = 13.54 + 39.08 * np.log10(slant) + gigahertz - 0.6 * (terminal_height - 1.5)
    else:
        hidden = 22.4 + 35.3 * np.log10(slant) + 1.065 * gigahertz - 0.3 * (terminal_height - 1.5)
    return sight, np.maximum(sight, hidden)


def uma_prior_loss(
    distance: np.ndarray, base_height: float, terminal_height: float, frequency: float
) -> tuple[np.ndarray, np.ndarray]:
    """Path loss of Geo2SigMap's prior (Li et al., arXiv 2312.14303): UMa, with the quirk of its code.

    Below 10 m the formula beyond the break point is used, as there.

    Args:
        distance: horizontal, metres, any shape, float64.
        base_height: of the base station, metres.
        terminal_height: metres.
        frequency: Hz.

    Returns:
        Loss without and with line of sight, dB; the prior is minus the first.
    """
    lift = base_height - terminal_height
    slant = np.sqrt(np.square(distance) + lift**2)
    gigahertz = 20 * np.log10(frequency / 1e9)
    turn = 4 * base_height * terminal_height * frequency / LIGHT
    near = 28 + 22 * np.log10(slant) + gigahertz
    far = 28 + 40 * np.log10(slant) + gigahertz - 9 * np.log10(turn**2 + lift**2)
    sight = np.where((distance >= 10) & (distance <= turn), near, far)
    hidden = 13.54 + 39.08 * np.log10(slant) + gigahertz - 0.6 * (terminal_height - 1.5)
    return np.maximum(sight, hidden), sight


def uma_prior(
    cells: int, cell: float, base_height: float, frequency: float, terminal_height: float = 2.0
) -> np.ndarray:
    """Geo2SigMap's path-gain prior for a transmitter in the pixel (cells / 2, cells / 2).

    Distances are truncated to whole metres before the formula, as its look-up table does.

    Args:
        cells: rows and columns of the map.
        cell: edge of a cell, metres.
        base_height: of the transmitter, metres.
        frequency: Hz.
        terminal_height: metres.

    Returns:
        Path gain in dB, shape (cells, cells), float64.
    """
    offsets = (np.arange(cells) - cells // 2) * cell
    distance = np.floor(np.hypot(offsets[:, None], offsets[None, :]))
    return -uma_prior_loss(distance, base_height, terminal_height, frequency)[0]


def knife_edge_loss(parameter: np.ndarray) -> np.ndarray:
    """Diffraction loss of a knife edge, ITU-R P.526-15, equation 31; 0 at -0.78 and below.

    Args:
        parameter: diffraction parameter ν, any shape.

    Returns:
        dB, same shape.
    """
    shifted = np.maximum(parameter, -0.78) - 0.1
    loss = 6.9 + 20 * np.log10(np.sqrt(np.square(shifted) + 1) + shifted)
    return np.where(parameter > -0.78, np.maximum(loss, 0.0), 0.0)


@dataclass(frozen=True)
class Edge:
    """Bullington's equivalent edge of each of many profiles.

    Attributes:
        hidden: whether an obstacle reaches the line of sight, shape (profile,).
        along: distance of the edge from the transmitter, metres; meaningless where not hidden.
        height: of its top, metres.
        parameter: diffraction parameter ν of the edge; where not hidden, of the obstacle that comes nearest.
    """

    hidden: np.ndarray
    along: np.ndarray
    height: np.ndarray
    parameter: np.ndarray


def bullington_edge(
    heights: np.ndarray,
    along: np.ndarray,
    first: float,
    last: np.ndarray,
    distance: np.ndarray,
    frequency: float,
) -> Edge:
    """The edge that stands for all obstacles of a profile: ITU-R P.526-15, section 4.5.1.

    The ground is flat: over the length of a city map the earth's bulge is millimetres.

    Args:
        heights: of the obstacles, shape (profile, point), metres; points that are no obstacle hold -inf.
        along: of the points as a share of the distance, in (0, 1), shape (point,).
        first: height of the transmitter, metres.
        last: height of the receivers, shape (profile,), metres.
        distance: horizontal, shape (profile,), metres, positive.
        frequency: Hz.

    Returns:
        One edge a profile.
    """
    reach = distance[:, None] * along  # (profile, point)
    from_first = ((heights - first) / reach).max(axis=1)
    from_last = ((heights - last[:, None]) / (distance[:, None] - reach)).max(axis=1)
    straight, wavelength = (last - first) / distance, LIGHT / frequency
    hidden = from_first >= straight
    above = heights - (first * (1 - along) + last[:, None] * along)
    nearest = (above * np.sqrt(2 / (wavelength * reach * (1 - along)))).max(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        # The steepest lines from both ends meet at the edge.
        meet = (last - first + from_last * distance) / (from_first + from_last)
        meet = np.where(hidden, np.clip(meet, 1e-3 * distance, (1 - 1e-3) * distance), distance / 2)
        top = np.where(hidden, first + from_first * meet, first + straight * meet)
    over = top - (first + straight * meet)
    parameter = over * np.sqrt(2 * distance / (wavelength * meet * (distance - meet)))
    return Edge(hidden, meet, top, np.where(hidden, parameter, nearest))


def bullington_loss(edge: Edge, distance: np.ndarray) -> np.ndarray:
    """Diffraction loss of profiles, ITU-R P.526-15, section 4.5.1.

    Args:
        edge: of each profile.
        distance: horizontal, shape (profile,), metres.

    Returns:
        dB, shape (profile,); 0 where every obstacle is far below the line of sight.
    """
    single = knife_edge_loss(edge.parameter)
    return single + (1 - np.exp(-single / 6)) * (10 + 0.02 * distance / 1000)
