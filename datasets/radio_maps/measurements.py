"""Measured points as rasters: read from a table, projected, averaged cell by cell, divided into blocks."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tsbench.contracts import InputError
from tsbench.extras import require

from .scenes.footprints import utm_zone

COLUMNS = ("PCI", "latitude", "longitude", "device", "rsrp")
WEAKEST, STRONGEST = -160.0, -20.0
"""dBm between which a phone reports."""
LARGEST = 5000.0
"""Metres that the points may reach from their middle; the raster is one plane."""
ALIGNED = 32
"""Cells: rows and columns are multiples, so that networks can halve them five times."""


@dataclass(frozen=True)
class Points:
    """Measurements in local metres.

    Attributes:
        x, y: metres east and south of the raster's north-west corner, shape (point,).
        base_station: identity of the base station, shape (point,), text.
        device: kind of phone, shape (point,), text.
        rsrp: dBm, shape (point,).
        corner: easting and northing of the north-west corner of the raster, metres.
        zone: EPSG code of the coordinates.
    """

    x: np.ndarray
    y: np.ndarray
    base_station: np.ndarray
    device: np.ndarray
    rsrp: np.ndarray
    corner: tuple[float, float]
    zone: str


@dataclass(frozen=True)
class Raster:
    """Cells of measurements.

    Attributes:
        rss: mean of the powers in dBm, shape (row, column); NaN where nothing was measured.
        count: measurements, shape (row, column).
    """

    rss: np.ndarray
    count: np.ndarray


def read_points(path: Path) -> Points:
    """Read a table with the columns PCI, latitude, longitude, device, rsrp.

    Raises:
        InputError: with the first mistake, its row and what would be right.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype={"PCI": str, "device": str}, keep_default_na=False, encoding="utf-8")
    except (ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read as a table: {str(error).splitlines()[0][:150]}") from error
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise InputError(f"{path} has no column {missing[0]}; it needs {', '.join(COLUMNS)}")
    if table.empty:
        raise InputError(f"{path} holds no measurement")
    numbers = {
        name: pd.to_numeric(table[name], errors="coerce") for name in ("latitude", "longitude", "rsrp")
    }
    ranges = {"latitude": (-80, 84), "longitude": (-180, 180), "rsrp": (WEAKEST, STRONGEST)}
    for name, (low, high) in ranges.items():
        wrong = np.flatnonzero(~numbers[name].between(low, high).to_numpy())
        if len(wrong):
            raise InputError(
                f"{path}, line {wrong[0] + 2}: {name} is '{table[name].iloc[wrong[0]]}', not between {low} "
                f"and {high}"
            )
    latitude, longitude, rsrp = (numbers[name].to_numpy(np.float64) for name in numbers)
    zone = utm_zone(float(np.median(longitude)), float(np.median(latitude)))
    pyproj = require("pyproj", "maps", "Measurements")
    east, north = pyproj.Transformer.from_crs("EPSG:4326", zone, always_xy=True).transform(
        longitude, latitude
    )
    far = np.maximum(np.abs(east - np.median(east)), np.abs(north - np.median(north))) > LARGEST
    if far.any():
        line = int(np.flatnonzero(far)[0]) + 2
        raise InputError(
            f"{path}, line {line}: the point is outside of the map, {LARGEST / 1000:g} km from its middle"
        )
    corner = (float(np.floor(east.min())), float(np.ceil(north.max())))
    stations, devices = (table[name].to_numpy(object) for name in ("PCI", "device"))
    return Points(east - corner[0], corner[1] - north, stations, devices, rsrp, corner, zone)


def raster_shape(points: Points, cell: float) -> tuple[int, int]:
    """Rows and columns that hold all points."""
    reach = (points.y.max(), points.x.max())
    rows, columns = (int(np.floor(one / cell)) + 1 for one in reach)
    return -(-rows // ALIGNED) * ALIGNED, -(-columns // ALIGNED) * ALIGNED


def rasterise(points: Points, chosen: np.ndarray, cell: float, shape: tuple[int, int]) -> Raster:
    """Average points cell by cell, as powers.

    Args:
        points: x counts from the west edge, y from the north edge, metres.
        chosen: of the points, shape (point,), bool.
        cell: edge of a cell in metres; a point belongs to floor(metres / cell).
        shape: rows and columns.

    Returns:
        The raster, float64.

    Raises:
        InputError: where a point is outside of it.
    """
    row, column = (np.floor(one[chosen] / cell).astype(np.int64) for one in (points.y, points.x))
    if len(row) and (row.min() < 0 or column.min() < 0 or row.max() >= shape[0] or column.max() >= shape[1]):
        raise InputError(f"A measurement lies outside of the map of {shape[0]} × {shape[1]} cells")
    flat = row * shape[1] + column
    cells = shape[0] * shape[1]
    count = np.bincount(flat, minlength=cells)
    power = np.bincount(flat, weights=10 ** (points.rsrp[chosen] / 10), minlength=cells)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = 10 * np.log10(power / count)
    return Raster(np.where(count > 0, mean, np.nan).reshape(shape), count.reshape(shape))


def block_of(shape: tuple[int, int], cell: float, block: float) -> np.ndarray:
    """Number of the block that each cell belongs to by its centre, shape (row, column), int64."""
    row, column = (np.floor((np.arange(edge) + 0.5) * cell / block).astype(np.int64) for edge in shape)
    return row[:, None] * (column.max() + 1) + column


def folds_of(blocks: np.ndarray, measured: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Fold in which each cell is held out: blocks that hold a measurement, shuffled, are dealt out in turn.

    Args:
        blocks: number of the block of each cell, shape (row, column).
        measured: whether any base station was measured in the cell, shape (row, column).
        folds: how many.
        seed: of the shuffle.

    Returns:
        Shape (row, column), int64; -1 in blocks without a measurement.
    """
    numbers = np.unique(blocks[measured])
    dealt = np.full(blocks.max() + 1, -1, np.int64)
    dealt[np.random.default_rng(seed).permutation(numbers)] = np.arange(len(numbers)) % folds
    return dealt[blocks]
