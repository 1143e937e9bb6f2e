"""Builds stores of UrbanRadio3D map by map: a map is a part, its transmitters are samples, heights `z`."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest, Part

from ..radio_maps.family import own_maps_task
from ..radio_maps.images import images_below, numbers_of, read_frames, require_some, split_of
from ..radio_maps.layout import Frame, Samples, field_dataset
from ..radio_maps.scenes.scene import cell_centres

if TYPE_CHECKING:
    import xarray as xr

FOLDERS = {
    "pathloss": "grey",
    "ToA": "toa_grey",
    "Delay": "delay_grey",
    "Doa_Azi": "azimuth_grey",
    "DoA_Ele": "elevation_grey",
}
"""Folder → variable of the store."""
NAMED = "MAP_X_Y.png"
Key = tuple[int, int, int]
"""Map, row from the bottom, column from the left."""

task = own_maps_task


def parts(request: BuildRequest) -> list[Part]:
    """The maps in the order of their numbers.

    Raises:
        InputError: where there is no path loss, or a file is named in another way.
    """
    transmitters: dict[int, int] = {}
    for number, _, _ in _volumes(request.files, "pathloss"):
        transmitters[number] = transmitters.get(number, 0) + 1
    require_some(transmitters, request.name, "image below pathloss")
    return [Part(str(number), transmitters[number]) for number in sorted(transmitters)]


def build_part(request: BuildRequest, part: Part) -> "xr.Dataset":
    """Read the volumes of a map.

    Raises:
        InputError: where a modality lacks a volume that another one has, heights differ, an image is of
            another size or mode, or a transmitter is outside of the map or inside a building.
    """
    pixels, number = request.parameters["pixels"], int(part.name)
    buildings = images_below(request.files, "buildings") or images_below(request.files, "building")
    if f"{number}.png" not in buildings:
        raise InputError(f"The folder holds no buildings/{number}.png")
    heights = read_frames(buildings[f"{number}.png"], pixels)[0].astype(np.float32)
    modalities = {folder: _volumes(request.files, folder) for folder in FOLDERS}
    keys = sorted(key for key in modalities["pathloss"] if key[0] == number)
    levels, maps = None, {}
    for folder, variable in FOLDERS.items():
        if not modalities[folder]:
            continue
        volumes = []
        for key in keys:
            if key not in modalities[folder]:
                raise InputError(f"{folder} holds no {key[0]}_{key[1]}_{key[2]}.png, which pathloss does")
            found, volume = _read(modalities[folder][key], pixels)
            if levels not in (None, found):
                raise InputError(
                    f"{folder}/{key[0]}_{key[1]}_{key[2]} has other heights than the volume before it"
                )
            levels = found
            volumes.append(volume / np.float32(255))
        maps[variable] = np.stack(volumes)
    assert levels is not None
    count = len(keys)
    position = [_position(key, heights, request.parameters["transmitter_height"]) for key in keys]
    outdoor = np.asarray(levels)[:, None, None] > heights
    maps |= {
        "building_height": np.repeat(heights[None], count, axis=0),
        "outdoor": np.repeat(outdoor[None], count, axis=0),
        "reached": maps["grey"] > 0,
    }
    labels = {
        "split": [split_of(number)] * count,
        "scene": [part.name] * count,
        "style": ["map"] * count,
        "cell": ["urbanradio3d"] * count,
    }
    samples = Samples(maps, labels, np.array(position), {"generator": "UrbanRadio3D"})
    return field_dataset(Frame(pixels, 1.0, levels, volume=True), samples)


def _volumes(files: Mapping[str, Path], folder: str) -> dict[Key, dict[str, Path]]:
    """Map and transmitter → (folder of the height, or '' → image)."""
    found: dict[Key, dict[str, Path]] = {}
    for name, path in images_below(files, folder).items():
        number, bottom, column = numbers_of(name, 3, NAMED)
        level = PurePosixPath(name).parent.as_posix().removeprefix(".")
        found.setdefault((number, bottom, column), {})[level] = path
    return found


def _read(images: Mapping[str, Path], pixels: int) -> tuple[tuple[float, ...], np.ndarray]:
    """Heights in metres and grey values (z, y, x) of a volume: frames of one image, or a folder a height."""
    if set(images) == {""}:
        frames = read_frames(images[""], pixels)
        return tuple(float(level) for level in range(1, len(frames) + 1)), frames
    try:
        levels = sorted((float(name), path) for name, path in images.items())
    except ValueError as error:
        raise InputError(
            f"{min(images)}: folders below a modality are named after a height in metres"
        ) from error
    return tuple(level for level, _ in levels), np.stack([read_frames(path, pixels)[0] for _, path in levels])


def _position(key: Key, heights: np.ndarray, height: float) -> list[float]:
    number, bottom, column = key
    pixels = len(heights)
    if bottom >= pixels or column >= pixels:
        raise InputError(
            f"{number}_{bottom}_{column}: the transmitter is outside of the map of {pixels} cells"
        )
    row = pixels - 1 - bottom
    if heights[row, column] > height:
        raise InputError(f"{number}_{bottom}_{column}: the transmitter is inside a building")
    x, y = cell_centres(pixels, 1.0)
    return [float(x[column]), float(y[row]), height]
