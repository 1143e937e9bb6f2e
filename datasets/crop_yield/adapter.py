"""Builds stores of county-years: simulated, or read from a table in the format of Khaki et al."""

from typing import TYPE_CHECKING

from tsbench.data.adapter import BuildRequest

from . import khaki
from .counties import to_dataset
from .simulation import simulate

if TYPE_CHECKING:
    import xarray as xr

SIZES = {"tiny": (12, 6), "small": (100, 48)}
"""Counties and regions at most, of the shorter sizes."""


def build(request: BuildRequest) -> "xr.Dataset":
    """Simulate or read the county-years of a variant.

    Raises:
        InputError: where a table is not as it should be.
    """
    if request.files:
        (path,) = request.files.values()
        return to_dataset(khaki.read(path))
    given = request.parameters
    counties, regions = given["counties"], given["regions"]
    fewer = SIZES.get(request.size, (counties, regions))
    return simulate(
        counties=min(counties, fewer[0]),
        regions=min(regions, fewer[1]),
        last_year=given["last_year"],
        seed=request.seed,
    )
