"""Knife edges in the way of a wave: ITU-R P.526."""

from dataclasses import dataclass

import numpy as np

from tsbench.radio.path_loss import LIGHT


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
