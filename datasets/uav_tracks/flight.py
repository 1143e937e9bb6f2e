"""A flight: positions at 10 Hz."""

from dataclasses import dataclass

import numpy as np

INTERVAL = 0.1
"""Seconds from position to position."""


@dataclass(frozen=True)
class Flight:
    """A track.

    Attributes:
        name: unique among the flights of a store.
        kind: of track, such as `circle`.
        number: in its kind; decides its part.
        positions: metres, float64, shape (time, 3), 0.1 s apart.
    """

    name: str
    kind: str
    number: int
    positions: np.ndarray
