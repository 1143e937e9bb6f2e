"""Latitudes of a grid: which share of the sphere each row stands for, and regions made of rows."""

import numpy as np

from tsbench.contracts import InputError

REGIONS: dict[str, tuple[float, float]] = {
    "tropics": (-20.0, 20.0),
    "northern-hemisphere": (20.0, 90.0),
    "southern-hemisphere": (-90.0, -20.0),
}
"""Name → latitudes from and to, both included, as in WeatherBench 2: the hemispheres without the tropics."""


def latitude_weights(latitude: np.ndarray) -> np.ndarray:
    """Share of the sphere that each row stands for, divided by the mean share.

    sin φ⁺ − sin φ⁻ with the bounds of a row halfway to its neighbours and at ±90° at the ends, as
    WeatherBench 2 has it (weatherbench2/metrics.py, get_lat_weights); not cos φ: that differs at the poles.

    Args:
        latitude: degrees, ascending, shape (latitude,).

    Returns:
        float64, shape (latitude,), mean 1.

    Raises:
        InputError: where latitudes do not ascend from −90 to 90 at most.

    Example:
        >>> latitude_weights(np.array([-90.0, 0.0, 90.0])).round(3).tolist()
        [0.439, 2.121, 0.439]
    """
    check_ascending(latitude)
    inner = np.deg2rad((latitude[1:] + latitude[:-1]) / 2)
    bounds = np.concatenate([[-np.pi / 2], inner, [np.pi / 2]])
    shares = np.diff(np.sin(bounds))
    return shares / shares.mean()


def check_ascending(latitude: np.ndarray, where: str = "The grid") -> None:
    """Refuse latitudes that descend, repeat, or lie beyond the poles.

    Raises:
        InputError: in one line.
    """
    if len(latitude) == 0 or np.abs(latitude).max() > 90:
        raise InputError(f"{where} has no latitudes from -90 to 90 degrees")
    if len(latitude) > 1 and (np.diff(latitude) <= 0).any():
        kind = "descend" if (np.diff(latitude) < 0).all() else "do not ascend"
        raise InputError(
            f"{where}: latitudes {kind} (from {latitude[0]:g} to {latitude[-1]:g}); they must ascend: "
            'dataset.sortby("latitude")'
        )


def region_weights(latitude: np.ndarray, regions: tuple[str, ...]) -> np.ndarray:
    """Weights of the rows for a mean over the whole grid, then over each region; each sums to 1.

    Args:
        latitude: degrees, ascending, shape (latitude,).
        regions: names of `REGIONS`.

    Returns:
        float64, shape (1 + region, latitude).

    Raises:
        InputError: for an unknown region, or one without a row.
    """
    weights = [latitude_weights(latitude)]
    for name in regions:
        if name not in REGIONS:
            raise InputError(f"Unknown region '{name}'; there are {', '.join(REGIONS)}")
        south, north = REGIONS[name]
        inside = weights[0] * ((latitude >= south) & (latitude <= north))
        if not inside.any():
            raise InputError(f"The grid has no latitude in the region '{name}'")
        weights.append(inside)
    return np.stack([one / one.sum() for one in weights])
