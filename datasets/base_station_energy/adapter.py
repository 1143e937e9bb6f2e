"""Builds stores of station hours: read from the challenge's tables, or simulated in the same form."""

from typing import TYPE_CHECKING

import numpy as np

from tsbench.data.adapter import BuildRequest

from .challenge_tables import read_tables
from .layout import energy_dataset

if TYPE_CHECKING:
    import xarray as xr

SIZES = {"tiny": (24, 72), "small": (60, 168)}
"""Stations and hours of the shorter sizes; those of the full one are the card's."""


def build(request: BuildRequest) -> "xr.Dataset":
    """Read or simulate a network.

    Raises:
        InputError: where a table is not as the challenge has it, or no hour is complete.
    """
    if request.files:
        return energy_dataset(read_tables(request.files))
    from .floors import percentage_error, without_station
    from .simulation import simulate

    given = request.parameters
    stations, hours = SIZES.get(request.size, (given["stations"], given["hours"]))
    network = simulate(
        min(stations, given["stations"]),
        min(hours, given["hours"]),
        np.random.SeedSequence([request.seed, given["network"]]),
    )
    dataset = energy_dataset(network.tables, network.without_noise)
    energy, clean = dataset["energy"].values, dataset["energy_without_noise"].values
    names = network.tables.energy["BS"]
    own = dict(zip(names, zip(network.fingerprint, network.configuration, strict=True), strict=True))
    fingerprint, configuration = (
        np.array(one) for one in zip(*map(own.get, dataset["station"].values), strict=True)
    )
    best = without_station(energy, clean, fingerprint, configuration)
    parts = {"": np.ones(len(energy), bool)} | {
        f"_{name.removeprefix('part_')}": dataset[name].values == "test"
        for name in ("part_hours", "part_stations", "part_configurations")
    }
    floors = {}
    for ending, rows in parts.items():
        for name, forecast in (("of_noise", clean), ("without_station", best)):
            floors[f"mape_{name}{ending}"] = round(percentage_error(forecast[rows], energy[rows]), 4)
    return dataset.assign_attrs(floors)
