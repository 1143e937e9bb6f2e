"""Builds stores of other channel models in the form of CSI-RRG, cell by cell: every cell is a part.

A cell is a channel model, a delay spread and a speed. An urban scenario has no delay spread of its own: it is
drawn with every drop, and stands in the coordinate as it came out.
"""

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest, Part

from ..csi_rrg.adapter import cell_dataset
from ..csi_rrg.channel import cell_seed
from ..csi_rrg.grid import Array, Cell, Link, Profile

if TYPE_CHECKING:
    import xarray as xr

DROPPED = 0
"""Delay spread in the name of a cell whose delay spread is drawn."""


def parts(request: BuildRequest) -> list[Part]:
    """The cells of a data set: tapped delay lines, then urban scenarios.

    Raises:
        InputError: for another size than `full`.
    """
    if request.size != "full":
        raise InputError(
            f"'{request.name}' has one size, full; there are the data sets csi_channels-tiny and -small"
        )
    return [Part(cell.path, request.parameters["samples"]) for cell in cells(request.parameters)]


def build_part(request: BuildRequest, part: Part) -> "xr.Dataset":
    """Draw the samples of one cell.

    Raises:
        InputError: where Sionna cannot be imported.
    """
    from .channel import draw_cell

    cell, link = Cell.of_path(part.name), link_of(request.parameters)
    seed = cell_seed(Profile(request.parameters["profile"], link, {}), cell, request.seed)
    drawn, spread = draw_cell(link, cell, part.rows, float(request.parameters["correlation"]), seed)
    uplink, downlink = np.split(drawn, 2, axis=-1)
    steps = link.history
    dataset = cell_dataset(link, cell, uplink[:, :, :steps], uplink[:, :, steps:], downlink[:, :, steps:])
    dataset["channel_model"].attrs["long_name"] = "channel model or scenario of 3GPP TR 38.901"
    if cell.delay_spread == DROPPED:
        dataset["delay_spread"] = dataset["delay_spread"].copy(data=spread * 1e9)
    return dataset


def cells(parameters: Mapping[str, Any]) -> list[Cell]:
    """Every cell of a variant."""
    tapped, urban = parameters["tapped"], parameters["urban"]
    lines = product(tapped["models"], tapped["delay_spreads"], tapped["speeds"])
    drops = product(urban["models"], [DROPPED], urban["speeds"])
    return [Cell("test-generalisation", *values) for values in (*lines, *drops)]


def link_of(parameters: Mapping[str, Any]) -> Link:
    """Link of a variant, that of CSI-RRG but for the array and the kept subcarriers."""
    return Link(Array(parameters["rows"], parameters["columns"]), parameters["every"])
