"""Builds stores of measurements with what is known of their place: buildings and antennas."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest

from ..radio_maps.family import measured_task
from ..radio_maps.measured import measured_dataset
from ..radio_maps.measurements import read_points

if TYPE_CHECKING:
    import xarray as xr

ANTENNAS = "antennas.csv"
BUILDINGS = ("buildings.osm", "buildings.xml", "buildings.json", "buildings.geojson")
WIDE = "-blocks200"

task = measured_task


def read_source(name: str, files: Mapping[str, Path]) -> tuple[dict[str, Any], dict[str, Path]]:
    """Edge of the blocks by the name of the data set; the table, and the files beside it.

    Raises:
        InputError: where there is no table, or several.
    """
    tables = [key for key, path in files.items() if path.suffix.lower() == ".csv" and path.name != ANTENNAS]
    if len(tables) != 1:
        raise InputError(f"'{name}': the folder holds {len(tables)} tables of measurements; it must hold one")
    beside = {ANTENNAS, *BUILDINGS}
    kept = {key: path for key, path in files.items() if key == tables[0] or path.name in beside}
    declared = dict(registry.dataset("radio_measurements").variant.parameters)
    return declared | ({"block": 200} if name.endswith(WIDE) else {}), kept


def build(request: BuildRequest) -> "xr.Dataset":
    """Rasterise the measurements; place buildings and antennas.

    Raises:
        InputError: where a file is not as it should be.
    """
    named = {path.name: path for path in request.files.values()}
    table = next(path for name, path in named.items() if name not in (ANTENNAS, *BUILDINGS))
    buildings = next((named[name] for name in BUILDINGS if name in named), None)
    return measured_dataset(
        request.name, read_points(table), request.parameters, buildings, named.get(ANTENNAS)
    )
