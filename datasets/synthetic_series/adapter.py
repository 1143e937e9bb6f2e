"""Builds the synthetic series, each from a random stream of its own: a size is the beginning of the next."""

from typing import TYPE_CHECKING

import numpy as np

from tsbench.data.adapter import BuildRequest

from .components import draw_components
from .kernels import draw_process

if TYPE_CHECKING:
    import xarray as xr

SERIES = {"tiny": 16, "small": 600, "full": 6000}
DIGITS = 5


def build(request: BuildRequest) -> "xr.Dataset":
    """Generate the series of a size: values without unit, and the period of the main season of each."""
    import xarray as xr

    given = request.parameters
    steps, periods = int(given["steps"]), tuple(int(period) for period in given["periods"])
    names, values, seasons = [], [], []
    for number in range(SERIES[request.size]):
        random = np.random.default_rng([request.seed, number])
        if random.random() < given["kernel_share"]:
            name, (series, season) = "kernels", draw_process(steps, periods, given["most_kernels"], random)
        else:
            name, (series, season) = "components", draw_components(steps, periods, random)
        names.append(f"{name}-{number:04d}")
        # Processors differ in the last digits of the decomposition of a kernel.
        values.append(series.round(DIGITS))
        seasons.append(season)
    size = {"units": "1", "long_name": "number of values of the series", "sample_dimension": "observation"}
    season = {"units": "1", "long_name": "steps in the main season, 1 where there is none"}
    return xr.Dataset(
        {
            "value": ("observation", np.concatenate(values), {"units": "1", "long_name": "value"}),
            "row_size": ("series", np.full(len(names), steps, np.int64), size),
            "period": ("series", np.array(seasons, np.int64), season),
        },
        coords={"series": ("series", np.array(names, object), {"cf_role": "timeseries_id"})},
        attrs={"featureType": "timeSeries"},
    )
