"""Builds the stores of measured signal strength: base station × device × fold, on one common raster."""

from typing import TYPE_CHECKING

from tsbench.data.adapter import BuildRequest

from ..radio_maps.measured import measured_dataset
from ..radio_maps.measurements import read_points

if TYPE_CHECKING:
    import xarray as xr


def build(request: BuildRequest) -> "xr.Dataset":
    """Rasterise the measurements of each base station and device, and hold out blocks.

    Raises:
        InputError: where the table is not as it should be.
    """
    (path,) = request.files.values()
    return measured_dataset(request.name, read_points(path), request.parameters)
