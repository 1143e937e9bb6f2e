"""The samples of measured signal strength: base station × device × fold, on one common raster."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.contracts import InputError
from tsbench.extras import require

from .layout import Frame, Samples, field_dataset
from .measurements import Points, block_of, folds_of, raster_shape, rasterise
from .propagation.maps import NO_SIGNAL
from .scenes.footprints import read_extract
from .scenes.scene import cell_centres, heights_on

if TYPE_CHECKING:
    import xarray as xr

ANTENNA_COLUMNS = ("PCI", "latitude", "longitude", "height")
FREQUENCY = "frequency"
"""Optional column of the antennas' table: the carrier in MHz."""


def measured_dataset(
    name: str,
    points: Points,
    asked: Mapping[str, Any],
    buildings: Path | None = None,
    antennas: Path | None = None,
) -> "xr.Dataset":
    """Rasterise the measurements of each base station and device, and hold out blocks.

    A fold in which a base station and device have no cell to hold out, or none to give, is left out. Cells on
    buildings, where these are known, count as not measured.

    Args:
        name: of the data set.
        points: measurements.
        asked: `cell`, `block`, `folds`, `seed`, `receiver`, with buildings `default_height`, and with
            antennas `carrier` (MHz), of those whose table does not say it.
        buildings: file of footprints.
        antennas: table of the base stations' positions.

    Returns:
        The store.

    Raises:
        InputError: where the blocks are too few for any hold-out, or a file is not as it should be.
    """
    shape = raster_shape(points, asked["cell"])
    heights = None if buildings is None else _heights(points, shape, asked, buildings)
    outdoor = np.ones(shape, bool) if heights is None else heights < asked["receiver"]
    everything = rasterise(points, np.ones(len(points.x), bool), asked["cell"], shape)
    blocks = block_of(shape, asked["cell"], asked["block"])
    fold = folds_of(blocks, (everything.count > 0) & outdoor, asked["folds"], asked["seed"])
    maps: dict[str, list[np.ndarray]] = {"rss": [], "reached": [], "observed_count": [], "held_out": []}
    labels: dict[str, list[Any]] = {"base_station": [], "device": [], "fold": [], "scene": []}
    for station in sorted(set(points.base_station)):
        for device in sorted(set(points.device)):
            chosen = (points.base_station == station) & (points.device == device)
            raster = rasterise(points, chosen, asked["cell"], shape)
            measured = (raster.count > 0) & outdoor
            for number in range(asked["folds"]):
                held = measured & (fold == number)
                if not held.any() or (held == measured).all():
                    continue
                maps["rss"].append(np.where(measured, raster.rss, NO_SIGNAL))
                maps["reached"].append(measured)
                maps["observed_count"].append(np.where(measured, raster.count, 0))
                maps["held_out"].append(held)
                row = (station, device, float(number), f"{station}-{device}")
                for label, value in zip(labels, row, strict=True):
                    labels[label].append(value)
    count = len(maps["rss"])
    if not count:
        raise InputError(f"'{name}': blocks of {asked['block']} m leave nothing to hold out")
    stacked = {key: np.stack(values) for key, values in maps.items()}
    if heights is not None:
        stacked["building_height"] = np.repeat(heights[None], count, axis=0)
        stacked["outdoor"] = np.repeat(outdoor[None], count, axis=0)
    position = np.full((count, 3), np.nan)
    if antennas is not None:
        places = _antennas(antennas, points, shape, asked)
        missing = sorted(set(labels["base_station"]) - set(places))
        if missing:
            raise InputError(f"{antennas} has no antenna of the base station '{missing[0]}'")
        known = np.array([places[station] for station in labels["base_station"]])
        position = known[:, :3]
        labels |= {"mast_height": list(known[:, 2]), "carrier_frequency": list(known[:, 3])}
    shared = {
        "split": ["test-regular"] * count,
        "style": ["measured"] * count,
        "cell": labels["base_station"],
    }
    attributes = {
        "generator": "measured",
        "coordinate_system": points.zone,
        "north_west_corner_m": list(points.corner),
        "block_m": asked["block"],
    }
    frame = Frame(shape[0], asked["cell"], (float(asked["receiver"]),), columns=shape[1])
    return field_dataset(frame, Samples(stacked, labels | shared, position, attributes))


def _centre(points: Points, shape: tuple[int, int], cell: float) -> tuple[float, float]:
    """Easting and northing of the middle of the raster."""
    return points.corner[0] + shape[1] * cell / 2, points.corner[1] - shape[0] * cell / 2


def _heights(points: Points, shape: tuple[int, int], asked: Mapping[str, Any], path: Path) -> np.ndarray:
    """Height of the building at the centre of each cell, shape (row, column), metres."""
    cell = asked["cell"]
    pyproj = require("pyproj", "maps", "Measurements")
    back = pyproj.Transformer.from_crs(points.zone, "EPSG:4326", always_xy=True)
    middle = back.transform(*_centre(points, shape, cell))
    extract = read_extract(path, path.stem, float(max(shape) * cell), middle, asked["default_height"])
    if extract.zone != points.zone:
        raise InputError(
            f"{path}: the measurements lie at the border of the zones {points.zone}, {extract.zone}"
        )
    return heights_on(
        extract.scene.buildings, cell_centres(shape[1], cell)[0], cell_centres(shape[0], cell)[1]
    )


def _antennas(
    path: Path, points: Points, shape: tuple[int, int], asked: Mapping[str, Any]
) -> dict[str, tuple[float, float, float, float]]:
    """Base station → position in metres around the middle of the raster, and carrier in MHz."""
    import pandas as pd

    cell = asked["cell"]
    try:
        table = pd.read_csv(path, dtype={"PCI": str}, keep_default_na=False)
        numbers = table.loc[:, list(ANTENNA_COLUMNS[1:])].astype(np.float64).to_numpy()
        stations = table["PCI"].tolist()
        carrier = np.full(len(table), float(asked["carrier"]))
        if FREQUENCY in table:
            carrier = table[FREQUENCY].astype(np.float64).to_numpy()
    except (ValueError, KeyError, OSError) as error:
        reason = str(error).splitlines()[0][:150]
        raise InputError(f"{path} must have the columns {', '.join(ANTENNA_COLUMNS)}: {reason}") from error
    pyproj = require("pyproj", "maps", "Measurements")
    forth = pyproj.Transformer.from_crs("EPSG:4326", points.zone, always_xy=True)
    east, north = forth.transform(numbers[:, 1], numbers[:, 0])
    middle = _centre(points, shape, cell)
    reach = np.maximum(np.abs(east - middle[0]) / shape[1], np.abs(north - middle[1]) / shape[0]) * 2 / cell
    wrong = np.flatnonzero(~(reach <= 1) | ~(numbers[:, 2] > 0))
    if len(wrong):
        raise InputError(
            f"{path}, line {wrong[0] + 2}: the antenna is outside of the map, or not above the ground"
        )
    return {
        station: (
            float(east[row] - middle[0]),
            float(north[row] - middle[1]),
            float(numbers[row, 2]),
            float(carrier[row]),
        )
        for row, station in enumerate(stations)
    }
