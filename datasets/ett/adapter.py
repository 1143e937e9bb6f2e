"""Reads the ETT files: a `date` column and seven numeric columns, of any length."""

from typing import TYPE_CHECKING

from tsbench.data.adapter import BuildRequest
from tsbench.data.tables import (
    Column,
    check_regular,
    numbers,
    read_table,
    require_columns,
    series_dataset,
    time_stamps,
)

if TYPE_CHECKING:
    import xarray as xr

_LOAD = "The publisher states no unit for the loads."
COLUMNS = (
    Column("HUFL", "1", "high useful load", comment=_LOAD),
    Column("HULL", "1", "high useless load", comment=_LOAD),
    Column("MUFL", "1", "middle useful load", comment=_LOAD),
    Column("MULL", "1", "middle useless load", comment=_LOAD),
    Column("LUFL", "1", "low useful load", comment=_LOAD),
    Column("LULL", "1", "low useless load", comment=_LOAD),
    Column("OT", "degC", "oil temperature of the transformer"),
)


def build(request: BuildRequest) -> "xr.Dataset":
    """Read one of the four files.

    Raises:
        InputError: where a column is missing, a cell is not a number, or the time axis is not regular.
    """
    (path,) = request.files.values()
    table = read_table(path)
    require_columns(table, ["date", *(column.name for column in COLUMNS)])
    time = time_stamps(table, "date")
    step = check_regular(table, time, request.variant.time.step)
    return series_dataset(
        time, step, {column: numbers(table, column.name, allow_missing=False) for column in COLUMNS}
    )
