"""Antennas of a transmitter: isotropic, a vertical dipole, the element of 3GPP TR 38.901, table 7.3-1."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Pattern = Literal["iso", "dipole", "tr38901"]
PATTERNS: tuple[Pattern, ...] = ("iso", "dipole", "tr38901")
"""As Sionna RT names them."""
BEAM_WIDTH = 65.0
"""Half-power beam width of the element in both planes, degrees."""
ATTENUATION = 30.0
"""Largest attenuation of the element in dB."""
ELEMENT_GAIN = 8.0
"""Largest gain of the element in dBi."""


@dataclass(frozen=True)
class Transmitter:
    """A transmitter with its antenna.

    Attributes:
        x, y, z: position in metres.
        azimuth: direction in which the antenna points, degrees counter-clockwise from east.
        downtilt: degrees below the horizon.
        pattern: of the antenna.
        power: transmitted, in dBm.
    """

    x: float
    y: float
    z: float
    azimuth: float = 0.0
    downtilt: float = 0.0
    pattern: Pattern = "iso"
    power: float = 30.0

    @property
    def position(self) -> np.ndarray:
        """Shape (3,), float64, metres."""
        return np.array([self.x, self.y, self.z])

    def isotropic(self) -> "Transmitter":
        """The same place with an isotropic antenna."""
        return Transmitter(self.x, self.y, self.z, power=self.power)


def antenna_gain(transmitter: Transmitter, points: np.ndarray) -> np.ndarray:
    """Gain towards points.

    Args:
        transmitter: with its orientation.
        points: shape (..., 3), metres.

    Returns:
        Shape (...), dBi, float64.
    """
    if transmitter.pattern == "iso":
        return np.zeros(points.shape[:-1])
    along = points - transmitter.position
    turn, tilt = np.deg2rad(transmitter.azimuth), np.deg2rad(transmitter.downtilt)
    ahead = np.cos(turn) * along[..., 0] + np.sin(turn) * along[..., 1]
    left = -np.sin(turn) * along[..., 0] + np.cos(turn) * along[..., 1]
    # TR 38.901, section 7.1: the panel is turned about its own y axis, so that it looks below the horizon.
    forward = np.cos(tilt) * ahead - np.sin(tilt) * along[..., 2]
    up = np.sin(tilt) * ahead + np.cos(tilt) * along[..., 2]
    distance = np.maximum(np.linalg.norm(along, axis=-1), 1e-9)
    if transmitter.pattern == "dipole":
        return 10 * np.log10(1.5 * np.maximum(1 - np.square(up / distance), 1e-9))
    zenith = np.rad2deg(np.arccos(np.clip(up / distance, -1, 1)))
    azimuth = np.rad2deg(np.arctan2(left, forward))
    vertical = np.minimum(12 * np.square((zenith - 90) / BEAM_WIDTH), ATTENUATION)
    horizontal = np.minimum(12 * np.square(azimuth / BEAM_WIDTH), ATTENUATION)
    return ELEMENT_GAIN - np.minimum(vertical + horizontal, ATTENUATION)
