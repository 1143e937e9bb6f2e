"""Prediction intervals from errors on windows that were not trained on (split conformal prediction).

Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, "Distribution-Free Predictive Inference for Regression", JASA
2018, section 2.2, with the signed errors of each lead time and variable, so that intervals may be lopsided.
Errors of windows that follow each other are not exchangeable: coverage is approximate, and is measured.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def interval(errors: Floats, level: float) -> tuple[Floats, Floats]:
    """What to add to a forecast for the lower and the upper bound.

    Args:
        errors: observed − forecast, shape (window, lead_time, variable), no NaN.
        level: share that the interval shall cover, in (0, 1).

    Returns:
        Lower and upper, shape (lead_time, variable). With too few windows for the level, the extremes.

    Raises:
        ValueError: for a level outside (0, 1), or without a window.

    Example:
        >>> lower, upper = interval(np.arange(-9.0, 10.0)[:, None, None], 0.8)
        >>> (float(lower[0, 0]), float(upper[0, 0]))
        (-8.0, 8.0)
    """
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    windows = len(errors)
    if not windows:
        raise ValueError("there is no window to calibrate with")
    tail = (1 - level) / 2
    # The rank of the finite-sample guarantee: the ceil((n + 1)(1 − tail))-th smallest, counted from 1.
    rank = min(int(np.ceil((windows + 1) * (1 - tail))), windows)
    ordered = np.sort(errors, axis=0)
    return ordered[windows - rank], ordered[rank - 1]


def coverage(errors: Floats, lower: Floats, upper: Floats) -> float:
    """Share of errors inside the bounds, over windows, lead times and variables."""
    return float(((errors >= lower) & (errors <= upper)).mean())
