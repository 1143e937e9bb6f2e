"""The lowest percentage errors that a generated network leaves to any model, with the station known or not.

Without the station a model may know all else (cells, loads and what every cell takes), but for the energy
that is the station's own it has one number for all stations of a configuration, the best one.
"""

import numpy as np


def percentage_error(forecast: np.ndarray, observed: np.ndarray) -> float:
    """100 · mean |y − f| / y.

    Example:
        >>> percentage_error(np.array([110.0, 180.0]), np.array([100.0, 200.0]))
        10.0
    """
    return float(100 * np.mean(np.abs(observed - forecast) / observed))


def without_station(
    energy: np.ndarray, without_noise: np.ndarray, fingerprint: np.ndarray, configuration: np.ndarray
) -> np.ndarray:
    """The best forecast of whoever knows all but the noise and the fingerprints, shape (sample,).

    For each configuration it is what the cells take and the median of its stations' own energies with their
    noise, weighted by 1 / energy: of all constants the one with the lowest percentage error.

    Args:
        energy: shape (sample,).
        without_noise: same shape.
        fingerprint: of the station of each sample, same shape.
        configuration: of that station, same shape.
    """
    cells = without_noise - fingerprint
    own = energy - cells
    best = np.empty_like(own)
    for one in np.unique(configuration):
        rows = np.flatnonzero(configuration == one)
        rows = rows[np.argsort(own[rows])]
        weight = np.cumsum(1 / energy[rows])
        best[rows] = own[rows[np.searchsorted(weight, weight[-1] / 2)]]
    return cells + best
