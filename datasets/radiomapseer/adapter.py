"""Builds stores of RadioMapSeer map by map: a map is a part, its transmitters are samples."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest, Part

from ..radio_maps.family import own_maps_task
from ..radio_maps.images import images_below, numbers_of, read_frames, require_some, split_of
from ..radio_maps.layout import Frame, Samples, field_dataset
from ..radio_maps.scenes.scene import cell_centres

if TYPE_CHECKING:
    import xarray as xr

SIMULATIONS = ("DPM", "IRT2", "IRT4", "carsDPM", "carsIRT2", "carsIRT4")
HEIGHT = 1.5
"""Metres of receivers and transmitters."""
NAMED = "MAP_TRANSMITTER.png"

task = own_maps_task


def read_source(name: str, files: Mapping[str, Path]) -> tuple[dict[str, Any], dict[str, Path]]:
    """Parameters of a member: the simulation that its name ends with, else DPM; and the files of that one.

    Raises:
        InputError: where the folder holds no map of the simulation.
    """
    declared = registry.dataset("radiomapseer").variant.parameters
    ending = name.rpartition("-")[2].lower()
    simulation = next((one for one in SIMULATIONS if one.lower() == ending), declared["simulation"])
    gains = images_below(files, "gain", simulation)
    require_some(gains, name, f"image below gain/{simulation}")
    used = {*gains.values(), *_others(files).values()}
    kept = {key: path for key, path in files.items() if path in used}
    return dict(declared) | {"simulation": simulation}, kept


def parts(request: BuildRequest) -> list[Part]:
    """The maps in the order of their numbers.

    Raises:
        InputError: where a file is named in another way.
    """
    transmitters: dict[int, int] = {}
    for name in images_below(request.files, "gain", request.parameters["simulation"]):
        number, _ = numbers_of(name, 2, NAMED)
        transmitters[number] = transmitters.get(number, 0) + 1
    return [Part(str(number), transmitters[number]) for number in sorted(transmitters)]


def build_part(request: BuildRequest, part: Part) -> "xr.Dataset":
    """Read the images of a map.

    Raises:
        InputError: where one is missing, of another size or mode, or a transmitter is not one pixel outdoors.
    """
    pixels, number = request.parameters["pixels"], int(part.name)
    gains = images_below(request.files, "gain", request.parameters["simulation"])
    chosen = sorted((numbers_of(name, 2, NAMED)[1], name) for name in gains if _map(name) == number)
    others = _others(request.files)
    building = _plane(others, f"buildings_complete/{number}.png", pixels) > 0
    x, y = cell_centres(pixels, 1.0)
    grey, position = [], []
    for _, name in chosen:
        grey.append(read_frames(gains[name], pixels)[0] / 255)
        lit = np.argwhere(_plane(others, f"antennas/{name}", pixels) > 0)
        if len(lit) != 1:
            raise InputError(f"antennas/{name} marks {len(lit)} pixels; the transmitter must be one")
        row, column = lit[0]
        if building[row, column]:
            raise InputError(f"antennas/{name}: the transmitter is inside a building")
        position.append([x[column], y[row], HEIGHT])
    count = len(chosen)
    maps = {
        "building_height": np.repeat(building[None], count, axis=0),
        "outdoor": np.repeat(~building[None], count, axis=0),
        "grey": np.stack(grey),
        "reached": np.stack(grey) > 0,
    }
    labels = {
        "split": [split_of(number)] * count,
        "scene": [part.name] * count,
        "style": ["map"] * count,
        "cell": [request.parameters["simulation"]] * count,
    }
    attributes = {"generator": f"RadioMapSeer, {request.parameters['simulation']}"}
    samples = Samples(maps, labels, np.array(position), attributes)
    return field_dataset(Frame(pixels, 1.0, (HEIGHT,)), samples)


def _map(name: str) -> int:
    return numbers_of(name, 2, NAMED)[0]


def _others(files: Mapping[str, Path]) -> dict[str, Path]:
    """Images of buildings and antennas: folder and name → file."""
    return {
        f"{folder}/{name}": path
        for folder in ("buildings_complete", "antennas")
        for name, path in images_below(files, "png", folder).items()
    }


def _plane(images: Mapping[str, Path], name: str, pixels: int) -> np.ndarray:
    if name not in images:
        raise InputError(f"The folder holds no png/{name}")
    return read_frames(images[name], pixels)[0]
