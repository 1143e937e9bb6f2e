"""Reads the traffic file: 862 sensors, with header and dates or without both."""

from typing import TYPE_CHECKING

import numpy as np

from tsbench.data.adapter import BuildRequest
from tsbench.data.panels import Panel, read_panel
from tsbench.data.tables import Column

if TYPE_CHECKING:
    import xarray as xr

PANEL = Panel(
    quantity=Column(
        "occupancy",
        "1",
        "share of the hour in which a vehicle is above the sensor",
        comment="Between 0 and 1.",
    ),
    member="sensor",
    # Of the copy with dates that LTSF papers use: see the card.
    start=np.datetime64("2016-07-01T02", "ns"),
)


def build(request: BuildRequest) -> "xr.Dataset":
    """Read the file into `occupancy(time, channel)`.

    Raises:
        InputError: where the file has other columns, a cell is empty or not a finite number, or the time
            stamps are not hourly.
    """
    return read_panel(request, PANEL)
