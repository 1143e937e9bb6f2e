"""Reads the solar file: 137 photovoltaic plants, without header and dates or with both."""

from typing import TYPE_CHECKING

import numpy as np

from tsbench.data.adapter import BuildRequest
from tsbench.data.panels import Panel, read_panel
from tsbench.data.tables import Column

if TYPE_CHECKING:
    import xarray as xr

PANEL = Panel(
    quantity=Column(
        "power",
        "MW",
        "power of a photovoltaic plant",
        comment="Unit of NREL's files; the file that is read states none.",
    ),
    member="plant",
    start=np.datetime64("2006-01-01", "ns"),
)


def build(request: BuildRequest) -> "xr.Dataset":
    """Read the file into `power(time, channel)`.

    Raises:
        InputError: where the file has other columns, a cell is empty or not a finite number, or the time
            stamps are not ten minutes apart.
    """
    return read_panel(request, PANEL)
