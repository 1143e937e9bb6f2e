"""Builds stores of areas in Geo2SigMap's form: height rasters with their maps, or with maps by formula."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest
from tsbench.radio.path_loss import uma_prior

from ..radio_maps.draw import ROOF_MAST
from ..radio_maps.family import own_maps_task
from ..radio_maps.layout import Frame, Samples, field_dataset
from ..radio_maps.propagation.analytic import NAME, path_gains
from ..radio_maps.propagation.antenna import Transmitter
from ..radio_maps.propagation.maps import NO_SIGNAL, Grid, Propagation
from ..radio_maps.scenes.scene import Scene, cell_centres

if TYPE_CHECKING:
    import xarray as xr

HEIGHTS = "2D_Building_Height_Map.npy"
MAPS = {"path_gain": "path_gain.npy", "rss": "rss.npy"}
SPLITS = (*["train"] * 8, "validation", "test-regular")
"""Parts of the areas whose number ends with 0, 1, … 9."""

task = own_maps_task


def build(request: BuildRequest) -> "xr.Dataset":
    """Read every area.

    Raises:
        InputError: where there is none, a raster is damaged, too small or without a building, or only some
            areas have a map.
    """
    asked = request.parameters
    areas = _areas(request.files)
    if not areas:
        raise InputError(f"'{request.name}': the folder holds no {HEIGHTS}")
    given = [name for name, file in MAPS.items() if any(file in one for one in areas.values())]
    grid = Grid(asked["cells"], asked["cell"], (float(asked["receiver"]),))
    found: dict[str, list[Any]] = {}
    for area, files in areas.items():
        for name, values in _maps(area, files, given, grid, asked).items():
            found.setdefault(name, []).append(values)
    position = np.stack(found.pop("position"))
    maps = {name: np.stack(values) for name, values in found.items()}
    maps["reached"] = maps["path_gain" if "path_gain" in maps else "rss"] > NO_SIGNAL
    labels = {
        "split": [SPLITS[number % len(SPLITS)] for number in range(len(areas))],
        "scene": list(areas),
        "style": ["map"] * len(areas),
        "cell": ["geo2sigmap"] * len(areas),
        "carrier_frequency": [float(asked["carrier"])] * len(areas),
        "mast_height": position[:, 2],
    }
    attributes = {"generator": "Geo2SigMap's files" if given else NAME}
    return field_dataset(
        Frame(grid.cells, grid.cell, grid.heights), Samples(maps, labels, position, attributes)
    )


def _areas(files: Mapping[str, Path]) -> dict[str, dict[str, Path]]:
    """Name of the folder → its files, in the order of the names; only folders with heights."""
    folders: dict[str, dict[str, Path]] = {}
    for name, path in sorted(files.items()):
        folders.setdefault(PurePosixPath(name).parent.as_posix(), {})[path.name] = path
    return {name: one for name, one in folders.items() if HEIGHTS in one}


def _maps(
    area: str, files: Mapping[str, Path], given: list[str], grid: Grid, asked: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    fine = _centre(_raster(files[HEIGHTS]), round(grid.size), files[HEIGHTS])
    if not (fine > 0).any():
        raise InputError(f"{files[HEIGHTS]}: the area has no building")
    x, y = cell_centres(grid.cells, grid.cell)
    middle = grid.cells // 2
    roof = float(fine[middle * grid.cell, middle * grid.cell])
    mast = max(float(asked["mast"]), roof + ROOF_MAST) if roof else float(asked["mast"])
    transmitter = Transmitter(float(x[middle]), float(y[middle]), mast)
    heights = fine[:: grid.cell, :: grid.cell]  # as published: every fourth pixel from the corner
    frequency = asked["carrier"] * 1e6
    maps = {
        "position": transmitter.position,
        "building_height": heights,
        "outdoor": grid.outdoor(heights)[0],
        "path_gain_prior": uma_prior(grid.cells, grid.cell, mast, frequency, asked["terminal"]),
    }
    for name in given:
        if MAPS[name] not in files:
            raise InputError(f"The area '{area}' holds no {MAPS[name]}, which others have")
        values = _raster(files[MAPS[name]])
        if values.shape != (grid.cells, grid.cells):
            raise InputError(
                f"{files[MAPS[name]]} has the shape {values.shape}, not {(grid.cells, grid.cells)}"
            )
        maps[name] = np.maximum(values, NO_SIGNAL)
    if not given:
        scene = Scene(area, "map", grid.size, ())
        gains = path_gains(scene, [transmitter], grid, Propagation(frequency), fine)
        maps["path_gain"] = np.where(maps["outdoor"], gains[0, 0], NO_SIGNAL)
    return maps


def _raster(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read as an array of numbers: {str(error)[:150]}") from error
    if values.ndim != 2 or values.dtype.kind not in "fiub" or not np.isfinite(values).all():
        raise InputError(f"{path} must hold a finite number for each cell of a plane")
    return values.astype(np.float32)


def _centre(values: np.ndarray, pixels: int, path: Path) -> np.ndarray:
    if min(values.shape) < pixels:
        raise InputError(f"{path} has the shape {values.shape}; {pixels} × {pixels} pixels of 1 m are needed")
    if values.min() < 0:
        raise InputError(f"{path} holds a negative height, {values.min():g} m")
    top, left = ((edge - pixels) // 2 for edge in values.shape)
    return values[top : top + pixels, left : left + pixels]
