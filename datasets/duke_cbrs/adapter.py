"""Builds the stores of measured signal strength: base station × device × fold, on one common raster."""

from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest

from ..radio_maps.layout import Frame, Samples, field_dataset
from ..radio_maps.measurements import block_of, folds_of, raster_shape, rasterise, read_points
from ..radio_maps.propagation.maps import NO_SIGNAL

if TYPE_CHECKING:
    import xarray as xr


def build(request: BuildRequest) -> "xr.Dataset":
    """Rasterise the measurements of each base station and device, and hold out blocks.

    A fold in which a base station and device have no cell to hold out, or none to give, is left out.

    Raises:
        InputError: where the table is not as it should be, or the blocks are too few for any hold-out.
    """
    asked, (path,) = request.parameters, request.files.values()
    points = read_points(path)
    shape = raster_shape(points, asked["cell"])
    everything = rasterise(points, np.ones(len(points.x), bool), asked["cell"], shape)
    fold = folds_of(
        block_of(shape, asked["cell"], asked["block"]), everything.count > 0, asked["folds"], asked["seed"]
    )
    maps: dict[str, list[np.ndarray]] = {"rss": [], "reached": [], "observed_count": [], "held_out": []}
    labels: dict[str, list[str] | list[float]] = {"base_station": [], "device": [], "fold": [], "scene": []}
    for station in sorted(set(points.base_station)):
        for device in sorted(set(points.device)):
            chosen = (points.base_station == station) & (points.device == device)
            raster = rasterise(points, chosen, asked["cell"], shape)
            measured = raster.count > 0
            for number in range(asked["folds"]):
                held = measured & (fold == number)
                if not held.any() or (held == measured).all():
                    continue
                maps["rss"].append(np.where(measured, raster.rss, NO_SIGNAL))
                maps["reached"].append(measured)
                maps["observed_count"].append(raster.count)
                maps["held_out"].append(held)
                for name, value in zip(
                    labels, (station, device, float(number), f"{station}-{device}"), strict=True
                ):
                    labels[name].append(value)  # pyright: ignore[reportArgumentType]
    count = len(maps["rss"])
    if not count:
        raise InputError(f"'{request.name}': blocks of {asked['block']} m leave nothing to hold out")
    shared = {
        "split": ["test-regular"] * count,
        "style": ["measured"] * count,
        "cell": labels["base_station"],
    }
    frame = Frame(shape[0], asked["cell"], (float(asked["receiver"]),), columns=shape[1])
    attributes = {
        "generator": "measured",
        "coordinate_system": points.zone,
        "north_west_corner_m": list(points.corner),
        "block_m": asked["block"],
    }
    stacked = {name: np.stack(values) for name, values in maps.items()}
    samples = Samples(stacked, labels | shared, np.full((count, 3), np.nan), attributes)
    return field_dataset(frame, samples)
