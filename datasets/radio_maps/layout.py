"""The store of field data over city maps: one sample is one transmitter in one scene.

Generators and readers of radio maps all write this form; what one of them does not have is absent.
Dimensions: `sample`, `z` (heights; only in stores of volumes), `y` (row 0 north), `x` (column 0 west),
`coordinate`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .propagation.maps import NO_SIGNAL
from .scenes.scene import cell_centres

if TYPE_CHECKING:
    import xarray as xr

PLANE = ("sample", "y", "x")
VOLUME = ("sample", "z", "y", "x")
MAPS: dict[str, dict[str, Any]] = {
    "building_height": {"units": "m", "long_name": "height of the building on the cell, 0 outdoors"},
    "outdoor": {"units": "1", "long_name": "whether the receiver is above all buildings of its cell"},
    "reached": {"units": "1", "long_name": "whether a path arrives (path_gain, else rss)"},
    "path_gain": {
        "units": "dB",
        "long_name": "path gain between isotropic antennas, mean over the cell",
        "no_signal": NO_SIGNAL,
    },
    "rss": {
        "units": "dBm",
        "long_name": "received signal strength with the transmitter's antenna and power, isotropic receiver",
        "no_signal": NO_SIGNAL,
    },
    "path_gain_prior": {"units": "dB", "long_name": "path gain by formula, Geo2SigMap's UMa prior"},
    "grey": {"units": "1", "long_name": "published path gain map, grey value / 255"},
    "toa_grey": {"units": "1", "long_name": "published time of arrival, grey value / 255"},
    "delay_grey": {"units": "1", "long_name": "published delay, grey value / 255"},
    "azimuth_grey": {"units": "1", "long_name": "published azimuth of arrival, grey value / 255"},
    "elevation_grey": {"units": "1", "long_name": "published elevation of arrival, grey value / 255"},
    "delay": {"units": "ns", "long_name": "delay of the first path"},
    "arrival_azimuth": {
        "units": "degree",
        "long_name": "azimuth from which the strongest path comes, counter-clockwise from east",
    },
    "arrival_zenith": {"units": "degree", "long_name": "zenith angle from which the strongest path comes"},
    "observed_count": {"units": "1", "long_name": "measurements in the cell"},
    "held_out": {"units": "1", "long_name": "whether the cell's measurements are the target, not given"},
}
"""Every data variable with its attributes. `building_height` and `path_gain_prior` are planes in any store;
where no path arrives, `delay` and the angles hold NaN."""
PLANES = ("building_height", "path_gain_prior")
LABELS: dict[str, dict[str, str]] = {
    "split": {"long_name": "part of the data that the sample belongs to"},
    "scene": {"long_name": "scene; samples of one scene share its buildings"},
    "style": {"long_name": "style of the city"},
    "carrier_frequency": {"units": "MHz", "long_name": "carrier frequency"},
    "antenna_pattern": {"long_name": "antenna pattern of the transmitter"},
    "mast_height": {"units": "m", "long_name": "nominal height of the transmitter above the ground"},
    "transmitter_azimuth": {
        "units": "degree",
        "long_name": "direction of the antenna, counter-clockwise from east",
    },
    "transmitter_downtilt": {"units": "degree", "long_name": "downtilt of the antenna"},
    "transmitter_power": {"units": "dBm", "long_name": "transmitted power"},
    "device": {"long_name": "kind of the receiving device"},
    "base_station": {"long_name": "physical cell identity of the measured base station"},
    "fold": {"long_name": "number of the hold-out; over all folds each measured cell is held out once"},
    "cell": {"long_name": "combination of style, carrier, antenna and height"},
}
"""Every coordinate along `sample` with its attributes."""


@dataclass(frozen=True)
class Frame:
    """Where the cells of a store lie.

    Attributes:
        cells: rows, and columns unless they are given.
        cell: edge of a cell in metres.
        heights: of the receivers, metres; one for a store of planes.
        volume: whether the store has the dimension `z`.
        columns: where the maps are not square.
    """

    cells: int
    cell: float
    heights: tuple[float, ...]
    volume: bool = False
    columns: int | None = None


@dataclass(frozen=True)
class Samples:
    """What fills a store.

    Attributes:
        maps: name in MAPS → values, shape (sample, y, x) or (sample, z, y, x).
        labels: name in LABELS → a value for each sample.
        position: of the transmitters, shape (sample, 3), metres; NaN where it is unknown.
        attributes: of the store.
    """

    maps: Mapping[str, np.ndarray]
    labels: Mapping[str, Sequence[Any] | np.ndarray]
    position: np.ndarray
    attributes: Mapping[str, Any] = field(default_factory=dict)


def field_dataset(frame: Frame, samples: Samples) -> "xr.Dataset":
    """The store of these samples; float32, masks bool.

    Raises:
        ValueError: where a shape is not that of the frame.
    """
    import xarray as xr

    x = cell_centres(frame.columns or frame.cells, frame.cell)[0]
    y = cell_centres(frame.cells, frame.cell)[1]
    heights = np.asarray(frame.heights, np.float64)
    about_z = {"units": "m", "long_name": "height of the receivers above the ground", "positive": "up"}
    coordinates: dict[str, Any] = {
        "y": ("y", y, {"units": "m", "long_name": "distance to the north of the centre"}),
        "x": ("x", x, {"units": "m", "long_name": "distance to the east of the centre"}),
        "z": ("z", heights, about_z) if frame.volume else ((), heights[0], about_z),
        "coordinate": ("coordinate", np.array(["x", "y", "z"], object)),
    }
    for name, values in samples.labels.items():
        coordinates[name] = ("sample", _label(values), LABELS[name])
    variables: dict[str, Any] = {
        name: (PLANE if name in PLANES or not frame.volume else VOLUME, _values(name, values), MAPS[name])
        for name, values in samples.maps.items()
    }
    variables["transmitter_position"] = (
        ("sample", "coordinate"),
        np.asarray(samples.position, np.float32),
        {"units": "m", "long_name": "position of the transmitter, x east, y north, z up from the ground"},
    )
    attributes = {"cell_size_m": float(frame.cell), **samples.attributes}
    return xr.Dataset(variables, coordinates, attributes)


def _values(name: str, values: np.ndarray) -> np.ndarray:
    if name in ("outdoor", "reached", "held_out"):
        return np.asarray(values, bool)
    return np.asarray(values, np.int32 if name == "observed_count" else np.float32)


def _label(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    return np.array(list(values), object if isinstance(values[0], str) else np.float64)
