"""Reads the weather file: a time stamp and 21 columns, named by position, in UTF-8 or Latin-1.

The published header has lost its ° µ ² signs, so the columns cannot be found by name. Two variants: the
rows as they are, for parity with published tables, and a regular grid on which what is missing is NaN.
"""

from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest
from tsbench.data.steps import irregularities
from tsbench.data.tables import Column, RawTable, numbers, read_table, series_dataset, time_stamps

if TYPE_CHECKING:
    import xarray as xr

COLUMNS = (
    Column("air_pressure", "hPa", "air pressure", "air_pressure"),
    Column("air_temperature", "degC", "air temperature", "air_temperature"),
    Column("potential_temperature", "K", "potential temperature", "air_potential_temperature"),
    Column("dew_point", "degC", "dew point temperature", "dew_point_temperature"),
    Column("relative_humidity", "percent", "relative humidity", "relative_humidity"),
    Column("saturation_vapour_pressure", "hPa", "saturation water vapour pressure"),
    Column("vapour_pressure", "hPa", "actual water vapour pressure", "water_vapor_partial_pressure_in_air"),
    Column("vapour_pressure_deficit", "hPa", "water vapour pressure deficit"),
    Column("specific_humidity", "g kg-1", "specific humidity", "specific_humidity"),
    Column("water_vapour_concentration", "mmol mol-1", "mole fraction of water vapour"),
    Column("air_density", "g m-3", "air density", "air_density"),
    Column("wind_speed", "m s-1", "wind speed", "wind_speed"),
    Column("wind_gust", "m s-1", "highest wind speed", "wind_speed_of_gust"),
    Column("wind_direction", "degree", "direction that the wind comes from", "wind_from_direction"),
    Column("rain", "mm", "rain in ten minutes"),
    Column("rain_duration", "s", "time with rain in ten minutes"),
    Column(
        "global_radiation",
        "W m-2",
        "short-wave downward radiation",
        "surface_downwelling_shortwave_flux_in_air",
    ),
    Column("par", "umol m-2 s-1", "photosynthetically active radiation"),
    Column("par_max", "umol m-2 s-1", "highest photosynthetically active radiation"),
    Column("logger_temperature", "degC", "temperature inside the data logger"),
    Column("carbon_dioxide", "ppm", "mixing ratio of carbon dioxide", comment="OT in the published file"),
)
"""In the order of the file. The last one is the target of the long-horizon literature."""
TIME_COLUMN = "date"
STEP = np.timedelta64(10, "m")


def build(request: BuildRequest) -> "xr.Dataset":
    """Read the file; with the parameter `grid: regular` bring it on a regular grid, else keep every row.

    Raises:
        InputError: where the file has another number of columns, a cell is not a number, or a time stamp is
        not one.
    """
    (path,) = request.files.values()
    table = _named_by_position(read_table(path))
    time = time_stamps(table, TIME_COLUMN)
    values = np.stack([numbers(table, column.name) for column in COLUMNS], axis=1)  # (row, channel)
    if request.parameters.get("grid") == "regular":
        codes = [sentinel.code for sentinel in request.variant.sentinels]
        time, values = _regular(table, time, np.where(np.isin(values, codes), np.nan, values))
    return series_dataset(time, "PT10M", dict(zip(COLUMNS, values.T, strict=True)))


def _named_by_position(table: RawTable) -> RawTable:
    names = [TIME_COLUMN, *(column.name for column in COLUMNS)]
    if table.frame.shape[1] != len(names):
        raise InputError(
            f"{table.name} has {table.frame.shape[1]} columns; the weather file has {len(names)}"
        )
    return RawTable(table.frame.set_axis(names, axis=1), table.name, table.header)


def _regular(table: RawTable, time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows on a grid of ten minutes: of a repeated stamp the first row is kept, missing rows are NaN."""
    for irregular in irregularities(time, None):
        if irregular.kind == "unsorted":
            raise InputError(f"{table.name}, {table.at(irregular.row)}: {irregular.text}")
    off = np.flatnonzero((time - time[0]) % STEP != np.timedelta64(0))
    if len(off):
        raise InputError(
            f"{table.name}, {table.at(int(off[0]))}: {time[off[0]]} is not on the ten-minute grid"
        )
    place = ((time - time[0]) // STEP).astype(np.int64)
    first = np.concatenate([[True], np.diff(place) > 0])
    grid = time[0] + np.arange(place[-1] + 1) * STEP
    filled = np.full((len(grid), values.shape[1]), np.nan)
    filled[place[first]] = values[first]
    return grid, filled
