"""Builds stores of radio maps over map extracts: each file of footprints is a data set of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest

from ..radio_maps.draw import draw_transmitters, grid_of
from ..radio_maps.family import own_scene_task
from ..radio_maps.propagation.llvm import usable_variant
from ..radio_maps.scenes.footprints import Extract, read_extract
from ..radio_maps.simulate import simulate

if TYPE_CHECKING:
    import xarray as xr

SUFFIXES = (".osm", ".xml", ".json", ".geojson")

task = own_scene_task


def read_source(name: str, files: Mapping[str, Path]) -> tuple[dict[str, Any], dict[str, Path]]:
    """Parameters and the one file of a data set; which generator serves here is a parameter of the store.

    Raises:
        InputError: where the folder holds no file of footprints, or several.
    """
    found = {key: path for key, path in files.items() if path.suffix.lower() in SUFFIXES}
    if len(found) != 1:
        what = "several files" if found else "no file"
        raise InputError(
            f"'{name}': {what} with footprints ({', '.join(SUFFIXES)}); name one with --from FILE"
        )
    declared = registry.dataset("radio_scenes").variant.parameters
    return dict(declared) | {"generator": "sionna_rt" if usable_variant() else "analytic"}, found


def build(request: BuildRequest) -> "xr.Dataset":
    """Read the footprints, place the transmitters, follow the waves.

    Raises:
        InputError: where the file is no map, or holds no valid building.
    """
    asked, (path,) = request.parameters, request.files.values()
    grid = grid_of(asked)
    extract = read_extract(path, request.name, grid.size, default_height=asked["default_height"])
    transmitters = draw_transmitters(
        extract.scene, asked["mast"], asked["patterns"][0], asked["transmitters"], request.name, request.seed
    )
    labels = {"split": "test-regular", "cell": "map", "mast_height": float(asked["mast"])}
    dataset = simulate(extract.scene, transmitters, grid, asked["carrier"], asked, labels)
    return dataset.assign_attrs(_attributes(extract))


def _attributes(extract: Extract) -> dict[str, Any]:
    return {
        "longitude": extract.centre[0],
        "latitude": extract.centre[1],
        "coordinate_system": extract.zone,
        "buildings": len(extract.scene.buildings),
        "left_out": list(extract.left_out),
        "assumed_heights": list(extract.assumed),
    }
