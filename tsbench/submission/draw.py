"""Draws the part of large forecasts that is looked at: units, in an order that nobody could choose.

The order is a hash of the manifest, which the maker has fixed, and of the challenge, which the checker gives
afterwards. Units are taken in this order, with the rows of chunks that hold their cases, until the next would
make the part too large; rows may hold further units whole, and these are looked at too.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tsbench.contracts import InputError
from tsbench.contracts.commitment import Commitment, CommittedArray


@dataclass(frozen=True)
class Drawn:
    """A part of forecasts.

    Attributes:
        rows: array → the rows of chunks that belong to the part, ascending.
        units: array → the units whose cases all lie in these rows, ascending.
        size: bytes of the rows.
    """

    rows: Mapping[str, tuple[int, ...]]
    units: Mapping[str, tuple[int, ...]]
    size: int

    def cases(self, array: CommittedArray) -> np.ndarray:
        """Indices of the cases that the drawn rows hold, int64, ascending."""
        runs = [
            np.arange(row * array.rows, min((row + 1) * array.rows, array.cases))
            for row in self.rows[array.name]
        ]
        return np.concatenate([np.empty(0, np.int64), *runs])


def draw(
    commitment: Commitment, units: Mapping[str, np.ndarray], manifest: str, challenge: str, limit: int
) -> Drawn:
    """Draw a part.

    Args:
        commitment: sizes of the rows of chunks.
        units: array → unit of each case, shape (case,).
        manifest: hash of the manifest.
        challenge: what the checker gave after that.
        limit: bytes of the part.

    Raises:
        InputError: where the first unit alone is larger than the limit.
    """
    arrays = {array.name: array for array in commitment.arrays}
    needed = {name: _rows_of_units(units[name], arrays[name].rows) for name in arrays}
    order = sorted(
        ((name, unit) for name, mine in needed.items() for unit in mine),
        key=lambda one: _lot(manifest, challenge, *one),
    )
    taken: dict[str, set[int]] = {name: set() for name in arrays}
    size = 0
    for name, unit in order:
        more = needed[name][unit] - taken[name]
        cost = sum(arrays[name].sizes[row] for row in more)
        if size + cost > limit:
            break
        taken[name] |= more
        size += cost
    if not any(taken.values()):
        raise InputError(f"A unit of the forecasts is larger than the {limit} bytes that are looked at")
    return Drawn(
        {name: tuple(sorted(rows)) for name, rows in taken.items()},
        {
            name: tuple(unit for unit, rows in sorted(needed[name].items()) if rows <= taken[name])
            for name in arrays
        },
        size,
    )


def _rows_of_units(units: np.ndarray, rows: int) -> dict[int, set[int]]:
    """Unit → rows of chunks that hold its cases."""
    pairs = np.unique(np.stack([units, np.arange(len(units)) // rows]), axis=1)
    found: dict[int, set[int]] = {}
    for unit, row in pairs.T.tolist():
        found.setdefault(unit, set()).add(row)
    return found


def _lot(manifest: str, challenge: str, array: str, unit: int) -> bytes:
    text = "\0".join((manifest, challenge, array, str(unit)))
    return hashlib.sha256(text.encode()).digest()
