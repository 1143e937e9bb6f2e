"""Builds the demonstration data: time axis, temperature, load and price of one region, from one seed.

The shorter sizes are the beginning of the full one, to the bit: every random stream is drawn forwards in
time and nothing is scaled by a statistic of the whole.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tsbench.data.adapter import BuildRequest
from tsbench.data.tables import Column, series_dataset

from .climate import Climate, draw_temperature
from .holidays import holiday_mask
from .load import Demand, draw_load
from .price import draw_price

if TYPE_CHECKING:
    import xarray as xr

START = np.datetime64("2022-01-01T00", "ns")
HOURS = {"tiny": 60 * 24, "small": 183 * 24, "full": 730 * 24}

LOAD = Column("load", "MW", "electric load of the region, hourly mean")
TEMPERATURE = Column("temperature", "degC", "air temperature, hourly mean", "air_temperature")
PRICE = Column("price", "EUR MWh-1", "day-ahead price")


@dataclass(frozen=True)
class Region:
    """Parameters of a variant in card.yaml.

    Attributes:
        site: number of the region; regions with other numbers have independent random streams.
        climate: of the temperature.
        demand: of the load.
        holidays: fixed holidays as `MM-DD`.
        easter_offsets: movable holidays, days after Easter Sunday.
    """

    site: int
    climate: Climate
    demand: Demand
    holidays: tuple[str, ...]
    easter_offsets: tuple[int, ...]


def build(request: BuildRequest) -> "xr.Dataset":
    """Generate load (MW), temperature (°C) and price (EUR/MWh), hourly in local standard time."""
    given = request.parameters
    region = Region(
        site=given["site"],
        climate=Climate(**given["climate"]),
        demand=Demand(**given["demand"]),
        holidays=tuple(given["holidays"]),
        easter_offsets=tuple(given["easter_offsets"]),
    )
    children = np.random.SeedSequence([request.seed, region.site]).spawn(3)
    streams = [np.random.default_rng(child) for child in children]
    time = START + np.arange(HOURS[request.size]) * np.timedelta64(1, "h")
    holiday = holiday_mask(time, region.holidays, region.easter_offsets)
    temperature = draw_temperature(time, region.climate, streams[0])
    load = draw_load(time, holiday, temperature, region.demand, streams[1])
    price = draw_price(time, load / region.demand.base_mw, streams[2])
    # Meters and exchanges report 0.1 MW, 0.1 °C and cents.
    return series_dataset(
        time, "PT1H", {LOAD: load.round(1), TEMPERATURE: temperature.round(1), PRICE: price.round(2)}
    )
