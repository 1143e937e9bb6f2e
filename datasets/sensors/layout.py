"""How sensors lie in a store: `value(time, channel)` with coordinates of each channel."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.data.tables import time_attributes

if TYPE_CHECKING:
    import xarray as xr

UNITS = {"latitude": "degrees_north", "longitude": "degrees_east"}
"""Of positions; all others are metres."""


def sensor_dataset(
    time: np.ndarray,
    step: str | None,
    names: Sequence[str],
    values: np.ndarray,
    positions: Mapping[str, np.ndarray],
    kinds: Sequence[str] = (),
) -> "xr.Dataset":
    """Sensors in the form in which adapters return them.

    Args:
        time: datetime64[ns] or int64, shape (time,).
        step: ISO 8601 duration, or None.
        names: of the sensors.
        values: float64, shape (time, sensor); NaN where missing.
        positions: name of the axis → position of each sensor, shape (sensor,).
        kinds: of the sensors, where there are several.
    """
    import xarray as xr

    coordinates: dict[str, Any] = {"time": ("time", time), "channel": ("channel", np.array(names, object))}
    for axis, place in positions.items():
        about = {"units": UNITS.get(axis, "m"), "long_name": f"{axis} of the sensor"}
        coordinates[axis] = ("channel", place, about)
    if kinds:
        coordinates["kind"] = ("channel", np.array(kinds, object), {"long_name": "kind of sensor"})
    about = {"units": "1", "long_name": "value of the sensor"}
    dataset = xr.Dataset({"value": (("time", "channel"), values, about)}, coords=coordinates)
    dataset["time"].attrs = time_attributes(step)
    return dataset
