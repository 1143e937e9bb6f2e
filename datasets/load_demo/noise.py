"""Autoregressive noise, drawn forwards in time."""

import numpy as np


def autoregressive(shocks: np.ndarray, memory_hours: float) -> np.ndarray:
    """First-order autoregression x[t] = φ x[t−1] + sqrt(1 − φ²) shocks[t], with φ = exp(−1 / memory_hours).

    Standard normal shocks give a stationary process of variance 1; the first value is the first shock.

    Args:
        shocks: shape (hour,).
        memory_hours: time after which the correlation is 1/e.

    Returns:
        The process, shape (hour,).
    """
    from scipy.signal import lfilter

    decay = np.exp(-1 / memory_hours)
    scaled = np.sqrt(1 - decay**2) * shocks
    scaled[0] = shocks[0]
    return np.asarray(lfilter([1.0], [1.0, -decay], scaled))
