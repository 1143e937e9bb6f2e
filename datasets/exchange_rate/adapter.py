"""Reads the exchange-rate file: eight comma-separated numbers a line, no header, no dates."""

from typing import TYPE_CHECKING

import numpy as np

from tsbench.data.adapter import BuildRequest
from tsbench.data.tables import Column, numbers, read_table, series_dataset

if TYPE_CHECKING:
    import xarray as xr

COUNTRIES = {
    "australia": "Australia",
    "united_kingdom": "the United Kingdom",
    "canada": "Canada",
    "switzerland": "Switzerland",
    "china": "China",
    "japan": "Japan",
    "new_zealand": "New Zealand",
    "singapore": "Singapore",
}
"""Columns in the order in which the publication lists the countries."""
_UNIT = "The publisher states no unit; the values are those of US dollars for one unit of the currency."
START = np.datetime64("1990-01-01", "ns")


def build(request: BuildRequest) -> "xr.Dataset":
    """Read the file and date its rows one day apart from 1990-01-01, as the published copies with dates do.

    These stamps are nominal: see the card.

    Raises:
        InputError: where the file has another number of columns, or a cell is empty or not a number.
    """
    (path,) = request.files.values()
    table = read_table(path, tuple(COUNTRIES))
    time = START + np.arange(len(table.frame)) * np.timedelta64(1, "D")
    columns = {
        Column(name, "1", f"exchange rate of the currency of {country}", comment=_UNIT): numbers(
            table, name, allow_missing=False
        )
        for name, country in COUNTRIES.items()
    }
    return series_dataset(time, "P1D", columns)
