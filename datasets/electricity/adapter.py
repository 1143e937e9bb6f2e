"""Reads the electricity file (ECL): 321 clients, with header and dates or without both."""

from typing import TYPE_CHECKING

import numpy as np

from tsbench.data.adapter import BuildRequest
from tsbench.data.panels import Panel, read_panel
from tsbench.data.tables import Column

if TYPE_CHECKING:
    import xarray as xr

PANEL = Panel(
    quantity=Column(
        "consumption", "kW h", "electricity consumption of a client", comment="Over one hour, as published."
    ),
    member="client",
    # Of the copy with dates that LTSF papers use: see the card.
    start=np.datetime64("2016-07-01T02", "ns"),
)


def build(request: BuildRequest) -> "xr.Dataset":
    """Read the file into `consumption(time, channel)`.

    Raises:
        InputError: where the file has other columns, a cell is empty or not a finite number, or the time
            stamps are not hourly.
    """
    return read_panel(request, PANEL)
