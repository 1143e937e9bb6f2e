"""The lowest percentage errors that a generated network leaves to any model, with the station known or not.

Without the station a model may know all else (cells, loads and what every cell takes), but for the energy
that is the station's own it has one number, the best one.
"""

import numpy as np


def percentage_error(forecast: np.ndarray, observed: np.ndarray) -> float:
    """100 · mean |y − f| / y.

    Example:
        >>> percentage_error(np.array([110.0, 180.0]), np.array([100.0, 200.0]))
        10.0
    """
    return float(100 * np.mean(np.abs(observed - forecast) / observed))


def noise_floor(energy: np.ndarray, without_noise: np.ndarray) -> float:
    """Percentage error of whoever knows everything but the noise; both of shape (sample,)."""
    return percentage_error(without_noise, energy)


def floor_without_station(energy: np.ndarray, without_noise: np.ndarray, fingerprint: np.ndarray) -> float:
    """Percentage error of whoever knows all but the noise and the fingerprints.

    The best single number is the median of the fingerprints with the noise, weighted by 1 / energy.

    Args:
        energy: shape (sample,).
        without_noise: same shape.
        fingerprint: of the station of each sample, same shape.
    """
    cells = without_noise - fingerprint
    own = energy - cells
    order = np.argsort(own)
    weight = np.cumsum(1 / energy[order])
    best = own[order][np.searchsorted(weight, weight[-1] / 2)]
    return percentage_error(cells + best, energy)
