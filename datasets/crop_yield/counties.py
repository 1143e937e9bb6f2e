"""Counties and years as they are stored: one row each, with weekly weather, soil, planting and yields."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .variables import OBSERVED, WEEKS

if TYPE_CHECKING:
    import xarray as xr

SOILS = ("bdod", "cec", "cfvo", "clay", "nitrogen", "ocd", "ocs", "phh2o", "sand", "silt", "soc")
DEPTHS = ("0-5cm", "5-15cm", "15-30cm", "30-60cm", "60-100cm", "100-200cm")
SOIL = tuple(f"{name}_mean_{depth}" for name in SOILS for depth in DEPTHS)
PLANTING = tuple(f"P_{number}" for number in range(1, 15))
"""Names of the static features: 11 properties of the soil at 6 depths, and 14 weeks of planting progress."""


@dataclass(frozen=True)
class Counties:
    """County-years, ordered by county and year.

    Attributes:
        county: identifier, text, shape (row,).
        state: name, text, shape (row,).
        year: int, shape (row,).
        latitude, longitude: degrees, shape (row,).
        weather: float32, shape (row, week, variable), variables in the order of `OBSERVED`.
        units: of the six variables.
        soil: float32, shape (row, 66), in the order of `SOIL`.
        planting: float32, shape (row, 14).
        corn, soybean: bu/acre, float64, shape (row,); NaN where there was none.
    """

    county: np.ndarray
    state: np.ndarray
    year: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    weather: np.ndarray
    units: tuple[str, ...]
    soil: np.ndarray
    planting: np.ndarray
    corn: np.ndarray
    soybean: np.ndarray


def to_dataset(table: Counties) -> "xr.Dataset":
    """The store of county-years; a year's weeks begin on 1 January."""
    import xarray as xr

    names, units = ", ".join(OBSERVED), ", ".join(table.units)
    weather = {"units": "1", "long_name": "weekly weather", "comment": f"{names} in {units}"}
    static = {"units": "1", "long_name": "soil at six depths, planting progress of 14 weeks"}
    crop = {"units": "bu/acre"}
    labels = {"county": "county", "state": "state", "year": "year of harvest"}
    begin = np.array([f"{year:04d}-01-01" for year in table.year], "datetime64[ns]")
    return xr.Dataset(
        {
            "weather": (("sample", "week", "variable"), table.weather, weather),
            "site": (("sample", "property"), np.hstack([table.soil, table.planting]), static),
            "corn_yield": ("sample", table.corn, crop | {"long_name": "yield of corn"}),
            "soybean_yield": ("sample", table.soybean, crop | {"long_name": "yield of soybean"}),
        },
        coords={
            **{name: ("sample", getattr(table, name), {"long_name": text}) for name, text in labels.items()},
            "begin": ("sample", begin, {"long_name": "first day of the first week"}),
            "latitude": ("sample", table.latitude, {"units": "degrees_north"}),
            "longitude": ("sample", table.longitude, {"units": "degrees_east"}),
            "week": ("week", np.arange(1, WEEKS + 1)),
            "variable": ("variable", np.array(OBSERVED, object)),
            "property": ("property", np.array([*SOIL, *PLANTING], object)),
        },
        attrs={"step": "P7D"},
    )
