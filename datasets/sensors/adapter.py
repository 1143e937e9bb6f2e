"""Builds the generated sensors: `value(time, channel)`, a channel a sensor, with the place and kind of each.

Some sensors say nothing (noise of the size of a flow) and some repeat another one: a method that chooses
sensors should leave these out first.
"""

from typing import TYPE_CHECKING

import numpy as np

from tsbench.data.adapter import BuildRequest

from .flow import City, draw_city, draw_flow
from .layout import sensor_dataset

if TYPE_CHECKING:
    import xarray as xr

START = np.datetime64("2024-01-01T00", "ns")
"""A Monday."""
DAYS = {"tiny": 14, "small": 28}
COPY_NOISE = 0.01
"""Spread of what a repeating sensor adds, as a share of its value."""


def build(request: BuildRequest) -> "xr.Dataset":
    """Draw a city and count its flows, hour by hour."""
    given = request.parameters
    # A stream for each, drawn forwards in time: a shorter size is the beginning of the full one.
    city_random, flow_random, place_random, repeat_random, noise_random = (
        np.random.default_rng(child)
        for child in np.random.SeedSequence([request.seed, given["city"]]).spawn(5)
    )
    city = draw_city(City(given["rows"], given["columns"], given["spacing_m"]), city_random)
    hours = 24 * min(DAYS.get(request.size, given["days"]), given["days"])
    flow = draw_flow(city, hours, flow_random)  # (time, region)
    regions = flow.shape[1]
    copied = place_random.choice(regions, given["repeating"], replace=False)
    placed = place_random.choice(regions, given["silent"], replace=False)
    repeated = flow[:, copied] * (1 + COPY_NOISE * repeat_random.standard_normal((hours, len(copied))))
    silent = _noise(flow, given["silent"], noise_random)
    places = city.places[np.concatenate([np.arange(regions), copied, placed])]
    names = [f"r{row:02d}c{column:02d}" for row, column in np.ndindex(given["rows"], given["columns"])]
    names += [f"repeats_{names[region]}" for region in copied]
    names += [f"noise_{number}" for number in range(given["silent"])]
    kinds = ["region"] * regions + ["repeats"] * len(copied) + ["noise"] * given["silent"]
    values = np.concatenate([flow, repeated, silent], axis=1).round(1)
    time = START + np.arange(hours) * np.timedelta64(1, "h")
    return sensor_dataset(time, "PT1H", names, values, {"x": places[:, 0], "y": places[:, 1]}, kinds)


def _noise(flow: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """White noise of the mean and spread of a flow in its first fortnight, never negative."""
    first = flow[: 24 * DAYS["tiny"]]
    return np.maximum(first.mean() + first.std() * random.standard_normal((len(flow), count)), 0.0)
