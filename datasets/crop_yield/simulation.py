"""Simulates counties and the regions that weather models are pretrained on: one weather for both."""

from typing import TYPE_CHECKING

import numpy as np

from .counties import PLANTING, SOIL, Counties, to_dataset
from .growth import CROPS, FIRST_YEAR, draw_droughts, planting_of, with_droughts, yields_of
from .variables import NAMES, OBSERVED, VARIABLES, WEEKS
from .weather import Places, draw_factors, weather_of

if TYPE_CHECKING:
    import xarray as xr

LATITUDES, LONGITUDES = (37.0, 47.0), (-103.0, -82.0)
STATES = (2, 4)
"""Rows and columns of boxes that stand for states."""


def simulate(counties: int, regions: int, last_year: int, seed: int) -> "xr.Dataset":
    """Counties with yields, and regions with all 31 variables and none.

    Args:
        counties: how many, on a grid.
        regions: how many, anywhere in the same box.
        last_year: the first is 1980.
        seed: of everything.
    """
    years = last_year - FIRST_YEAR + 1
    streams = [np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(8)]
    place, field, drought, seen, unseen, soil, planting, crops = streams
    grid, apart = county_grid(counties, place), region_places(regions, place)
    both = Places(
        *(np.concatenate([getattr(one, name) for one in (grid, apart)]) for name in ("latitude", "longitude"))
    )
    factors = with_droughts(draw_factors(both, years, field), draw_droughts(years, drought))
    here = factors[..., :counties]
    observed = tuple(one for name in OBSERVED for one in VARIABLES if one.name == name)
    quality = soil.standard_normal(counties)
    yields = {name: yields_of(crop, here, quality, crops) for name, crop in CROPS.items()}
    dataset = to_dataset(
        Counties(
            county=_each(np.array([f"county-{number:03d}" for number in range(counties)], object), years),
            state=_each(states_of(grid), years),
            year=np.tile(np.arange(FIRST_YEAR, last_year + 1), counties),
            latitude=_each(grid.latitude, years),
            longitude=_each(grid.longitude, years),
            weather=weather_of(observed, grid, here, seen).reshape(-1, WEEKS, len(OBSERVED)),
            units=tuple(one.unit for one in observed),
            soil=_each(soil_of(quality, soil), years),
            planting=planting_of(here, len(PLANTING), planting).reshape(-1, len(PLANTING)).astype(np.float32),
            corn=yields["corn"].reshape(-1),
            soybean=yields["soybean"].reshape(-1),
        )
    )
    units = ", ".join(one.unit for one in VARIABLES)
    about = {"units": "1", "long_name": "weekly weather of regions", "comment": f"in {units}"}
    return dataset.assign(
        region_weather=(
            ("region", "region_year", "week", "measure"),
            weather_of(VARIABLES, apart, factors[..., counties:], unseen),
            about,
        )
    ).assign_coords(
        region=("region", np.array([f"region-{number:03d}" for number in range(regions)], object)),
        region_year=("region_year", np.arange(FIRST_YEAR, last_year + 1)),
        region_latitude=("region", apart.latitude, {"units": "degrees_north"}),
        region_longitude=("region", apart.longitude, {"units": "degrees_east"}),
        measure=("measure", np.array(NAMES, object)),
    )


def county_grid(count: int, random: np.random.Generator) -> Places:
    """Places on a grid over the box, each moved a little; the first `count` of it."""
    columns = int(np.ceil(np.sqrt(count * np.ptp(LONGITUDES) / np.ptp(LATITUDES))))
    rows = -(-count // columns)
    cell = np.arange(count)
    row, column = (cell // columns + 0.5) / rows, (cell % columns + 0.5) / columns
    shift = random.uniform(-0.25, 0.25, (2, count))
    return Places(
        latitude=LATITUDES[0] + np.ptp(LATITUDES) * (row + shift[0] / rows),
        longitude=LONGITUDES[0] + np.ptp(LONGITUDES) * (column + shift[1] / columns),
    )


def region_places(count: int, random: np.random.Generator) -> Places:
    """Places anywhere in the box."""
    return Places(random.uniform(*LATITUDES, count), random.uniform(*LONGITUDES, count))


def states_of(places: Places) -> np.ndarray:
    """Name of the box that each place lies in, text, shape (place,)."""
    rows, columns = STATES
    row = np.clip((places.latitude - LATITUDES[0]) / np.ptp(LATITUDES) * rows, 0, rows - 1).astype(int)
    column = np.clip((places.longitude - LONGITUDES[0]) / np.ptp(LONGITUDES) * columns, 0, columns - 1)
    return np.array([f"state-{number}" for number in row * columns + column.astype(int) + 1], object)


def soil_of(quality: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Properties that tell of the quality, each with noise of its own, float32, shape (place, 66)."""
    depth = np.tile(np.linspace(1, 0.3, len(SOIL) // 11), 11)
    sign = np.repeat(random.choice([-1.0, 1.0], 11), len(SOIL) // 11)
    noise = random.standard_normal((len(quality), len(SOIL)))
    return (50 + 10 * (0.6 * sign * depth * quality[:, None] + 0.8 * noise)).astype(np.float32)


def _each(values: np.ndarray, years: int) -> np.ndarray:
    """Repeated for every year."""
    return np.repeat(values, years, axis=0)
