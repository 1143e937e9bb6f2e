"""Reads the illness file (ILI): a `date` column and seven numeric columns, one row a week."""

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

_WEEK = "In one week."
COLUMNS = {
    "% WEIGHTED ILI": Column(
        "weighted_ili", "percent", "share of visits for influenza-like illness, weighted by state population"
    ),
    "%UNWEIGHTED ILI": Column("unweighted_ili", "percent", "share of visits for influenza-like illness"),
    "AGE 0-4": Column("age_0_4", "1", "patients under 5 years with influenza-like illness", comment=_WEEK),
    "AGE 5-24": Column(
        "age_5_24", "1", "patients of 5 to 24 years with influenza-like illness", comment=_WEEK
    ),
    "ILITOTAL": Column("ili_total", "1", "patients with influenza-like illness", comment=_WEEK),
    "NUM. OF PROVIDERS": Column("providers", "1", "health-care providers that reported", comment=_WEEK),
    "OT": Column(
        "patients",
        "1",
        "patients of all providers that reported",
        comment="In one week. Named OT in the file: the target of the univariate long-horizon literature.",
    ),
}
"""What the header calls a column → how the store calls it; in the order of the file."""
TIME_COLUMN = "date"


def build(request: BuildRequest) -> "xr.Dataset":
    """Read the file.

    Raises:
        InputError: where a column is missing, a cell is empty or not a finite number, or the time stamps are
            not one week apart.
    """
    (path,) = request.files.values()
    table = read_table(path)
    require_columns(table, [TIME_COLUMN, *COLUMNS])
    time = time_stamps(table, TIME_COLUMN)
    step = check_regular(table, time, request.variant.time.step)
    values = {column: numbers(table, name, allow_missing=False) for name, column in COLUMNS.items()}
    return series_dataset(time, step, values)
