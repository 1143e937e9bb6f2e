"""Reads the weather file: a time stamp and 21 columns, named by position, in UTF-8 or Latin-1.

The published header has lost its ° µ ² signs, so of each name only what stands before the unit is compared.
Two variants: the rows as they are, for parity with published tables, and a regular grid on which what is
missing is NaN.
"""

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest
from tsbench.data.steps import irregularities, stamp_text
from tsbench.data.tables import Column, RawTable, numbers, read_table, series_dataset, time_stamps

if TYPE_CHECKING:
    import xarray as xr

_TEN = "Over ten minutes."
COLUMNS = {
    "p": Column("air_pressure", "hPa", "air pressure", "air_pressure"),
    "T": Column("air_temperature", "degC", "air temperature", "air_temperature"),
    "Tpot": Column("potential_temperature", "K", "potential temperature", "air_potential_temperature"),
    "Tdew": Column("dew_point", "degC", "dew point temperature", "dew_point_temperature"),
    "rh": Column("relative_humidity", "percent", "relative humidity", "relative_humidity"),
    "VPmax": Column("saturation_vapour_pressure", "hPa", "saturation water vapour pressure"),
    "VPact": Column(
        "vapour_pressure", "hPa", "actual water vapour pressure", "water_vapor_partial_pressure_in_air"
    ),
    "VPdef": Column(
        "vapour_pressure_deficit",
        "hPa",
        "water vapour pressure deficit",
        "water_vapor_saturation_deficit_in_air",
    ),
    "sh": Column("specific_humidity", "g kg-1", "specific humidity", "specific_humidity"),
    "H2OC": Column(
        "water_vapour_concentration",
        "mmol mol-1",
        "mole fraction of water vapour",
        "mole_fraction_of_water_vapor_in_air",
    ),
    "rho": Column("air_density", "g m-3", "air density", "air_density"),
    "wv": Column("wind_speed", "m s-1", "wind speed", "wind_speed"),
    "max. wv": Column("wind_gust", "m s-1", "highest wind speed", "wind_speed_of_gust", _TEN),
    "wd": Column("wind_direction", "degree", "direction that the wind comes from", "wind_from_direction"),
    "rain": Column("rain", "mm", "rainfall", "thickness_of_rainfall_amount", _TEN),
    "raining": Column("rain_duration", "s", "time with rain", comment=_TEN),
    "SWDR": Column(
        "global_radiation",
        "W m-2",
        "short-wave downward radiation",
        "surface_downwelling_shortwave_flux_in_air",
    ),
    "PAR": Column(
        "par",
        "umol m-2 s-1",
        "photosynthetically active radiation",
        "surface_downwelling_photosynthetic_photon_flux_in_air",
    ),
    "max. PAR": Column(
        "par_max", "umol m-2 s-1", "highest photosynthetically active radiation", comment=_TEN
    ),
    "Tlog": Column("logger_temperature", "degC", "temperature inside the data logger"),
    "OT": Column(
        "carbon_dioxide",
        "ppm",
        "mixing ratio of carbon dioxide",
        "mole_fraction_of_carbon_dioxide_in_air",
        "Named OT in the file: the target of the univariate long-horizon literature.",
    ),
}
"""What the header calls a column, before its unit → how the store calls it; in the order of the file."""
TIME_COLUMN = "date"
STEP = np.timedelta64(10, "m")


def build(request: BuildRequest) -> "xr.Dataset":
    """Read the file; with the parameter `grid: regular` bring it on a regular grid, else keep every row.

    Raises:
        InputError: where the columns are not those of the file, or a cell is not a number or a time stamp; on
            the regular grid also where stamps go back, lie off the grid, or repeat with other values.
    """
    (path,) = request.files.values()
    table = _named_by_position(read_table(path))
    time = time_stamps(table, TIME_COLUMN)
    if time.dtype.kind != "M":
        raise InputError(f"{table.name}: column '{TIME_COLUMN}' holds numbers, not time stamps")
    values = np.stack([numbers(table, column.name) for column in COLUMNS.values()], axis=1)  # (row, channel)
    if request.parameters.get("grid") == "regular":
        codes = [sentinel.code for sentinel in request.variant.sentinels]
        time, values = _regular(table, time, np.where(np.isin(values, codes), np.nan, values))
    return series_dataset(time, "PT10M", dict(zip(COLUMNS.values(), values.T, strict=True)))


def _named_by_position(table: RawTable) -> RawTable:
    given, published = list(table.frame.columns), [TIME_COLUMN, *COLUMNS]
    if len(given) != len(published):
        raise InputError(f"{table.name} has {len(given)} columns; the weather file has {len(published)}")
    for position, (name, expected) in enumerate(zip(given, published, strict=True), start=1):
        # Names without their unit and without what was lost of it, here or by a wrong encoding.
        if re.sub(r"[^ -~]", "", name).partition("(")[0].strip() != expected:
            raise InputError(
                f"{table.name}, column {position}: '{name}'; the weather file has '{expected}' there"
            )
    names = [TIME_COLUMN, *(column.name for column in COLUMNS.values())]
    return replace(table, frame=table.frame.set_axis(names, axis=1))


def _regular(table: RawTable, time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows on a grid of ten minutes: an identical second row of a stamp is left out, missing rows are NaN."""
    for irregular in irregularities(time, None):
        row = irregular.row
        same = irregular.kind == "repeated" and np.array_equal(values[row], values[row - 1], equal_nan=True)
        if not same:
            other = " with other values" if irregular.kind == "repeated" else ""
            raise InputError(f"{table.name}, {table.at(row)}: {irregular.text}{other}")
    off = np.flatnonzero((time - time[0]) % STEP != np.timedelta64(0))
    if len(off):
        row = int(off[0])
        raise InputError(
            f"{table.name}, {table.at(row)}: {stamp_text(time[row])} is not on the ten-minute grid"
        )
    place = (time - time[0]) // STEP
    grid = time[0] + np.arange(place[-1] + 1) * STEP
    filled = np.full((len(grid), values.shape[1]), np.nan)
    filled[place] = values
    return grid, filled
