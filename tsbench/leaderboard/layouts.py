"""Tables of many Results of one task, nearly all with the same rows: what the rows mean is kept once."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

Sums = tuple[int, np.ndarray, np.ndarray]
"""Number of a layout, numerators and denominators, both shape (row,), float64."""


class Layouts:
    """Different sets of rows that were met so far.

    Args:
        keys: columns that say what a row means.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = list(keys)
        self.known: list[pd.DataFrame] = []
        """Rows of each layout, the columns `keys`."""

    def add(self, table: pd.DataFrame) -> Sums:
        """Number of the table's layout, and its sums in the order of its rows."""
        rows = table[self.keys]
        number = next((at for at, known in enumerate(self.known) if known.equals(rows)), len(self.known))
        if number == len(self.known):
            self.known.append(rows)
        numerator, denominator = (table[name].to_numpy(np.float64) for name in ("numerator", "denominator"))
        return number, numerator, denominator
