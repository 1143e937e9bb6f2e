"""Reads a folder in the format of WeatherBench 2, and makes the task of each."""

import json
from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError, Task
from tsbench.data import prepare, store
from tsbench.data.adapter import BuildRequest

from .files import channel_names, find_root, read_weather

if TYPE_CHECKING:
    import xarray as xr

HORIZON_DAYS, ORIGIN_HOURS = 10, 12
STATICS = ("geopotential_at_surface", "land_sea_mask")


def build(request: BuildRequest) -> "xr.Dataset":
    """Read the folder.

    Raises:
        InputError: where it is no such folder, or steps in time differ.
    """
    found = read_weather(find_root(request.files, f"'{request.name}'"), f"'{request.name}'")
    time = found["time"].values.astype("datetime64[ns]")
    if len(time) < 2 or len(set(np.diff(time).tolist())) != 1 or time[1] <= time[0]:
        raise InputError(f"'{request.name}': stamps of time must ascend in equal steps")
    found["time"] = ("time", time, {"step": f"PT{_hours(time)}H"})
    for name, array in found.variables.items():
        array.attrs = {key: one for key, one in array.attrs.items() if isinstance(one, str)}
        if name in found.data_vars:
            array.attrs.setdefault("units", "1")
        array.encoding = {}
    found.attrs = {"channels": channel_names(found)}
    return found


def task(name: str) -> Task:
    """Ten days ahead from every twelfth hour of the last year; the year before it validates.

    Raises:
        InputError: where the data set is not prepared, or holds fewer than three years.
    """
    opened = store.open_lazily(prepare.ensure(name))
    time = opened["time"].values
    hours = _hours(time)
    years = sorted(set((time.astype("datetime64[Y]").astype(np.int64) + 1970).tolist()))
    if len(years) < 3:
        raise InputError(f"'{name}' holds the years {years}; a task needs three: training, validation, test")
    variables = json.loads(opened.attrs["channels"])
    winds = {"u_component_of_wind", "v_component_of_wind"} <= {one.split("@")[0] for one in variables}
    return Task.model_validate(
        {
            "name": name,
            "version": 1,
            "kind": "rollout",
            "title": f"{name}, {HORIZON_DAYS} days ahead",
            "dataset": name,
            "variables": variables,
            "horizon": HORIZON_DAYS * 24 // hours,
            "period": max(1, 24 // hours),
            "max_context": 4,
            "split": {
                "kind": "period",
                "train": (years[0], years[-3]),
                "validation": (years[-2], years[-2]),
                "test": (years[-1], years[-1]),
            },
            "rollout": {
                "statics": [one for one in STATICS if one in opened.data_vars],
                "origin_step": max(1, ORIGIN_HOURS // hours),
                "climatology": "day_of_year",
            },
            "normalisation": "zscore",
            "space": "units",
            "conditions": {
                "robustness": [
                    {"disturbance": {"name": "coarse", "parameter": "points", "levels": [2]}},
                    {
                        "disturbance": {
                            "name": "holes",
                            "parameter": "fraction",
                            "levels": [0.3],
                            "options": {"points": 4},
                        }
                    },
                ],
                "generalisation": {"not_applicable": "the test year is later, and the planet the same"},
            },
            "metrics": [
                "rmse_ratio", "wb.rmse", "wb.mae", "wb.bias", "wb.acc", *["wb.wind_vector_rmse"] * winds,
                "small_scale_power",
            ],
            "primary": "rmse_ratio",
            "unit": {"kind": "sample"},
        }
    )  # fmt: skip


def _hours(time: np.ndarray) -> int:
    return int((time[1] - time[0]) / np.timedelta64(1, "h"))
