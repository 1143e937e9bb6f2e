"""Pareto fronts: which entries nobody beats in everything at once."""

import numpy as np
import numpy.typing as npt

from .aggregate import Floats


def front(objectives: Floats) -> npt.NDArray[np.bool_]:
    """Which entries are on the Pareto front.

    An entry is dominated where another is at least as good in every objective and better in one. Equal
    entries are on the front together.

    Args:
        objectives: shape (entry, objective), smaller is better. An entry with a NaN takes no part.

    Returns:
        Shape (entry,).
    """
    known = np.asarray(~np.isnan(objectives).any(axis=1))
    values = np.where(known[:, None], objectives, np.inf)
    not_worse = np.all(values[None] <= values[:, None], axis=-1)  # (entry, other): other is nowhere worse
    better = np.any(values[None] < values[:, None], axis=-1)
    return known & ~np.any(not_worse & better, axis=1)
