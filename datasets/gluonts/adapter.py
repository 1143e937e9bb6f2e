"""Reads data sets in the formats of GluonTS, and makes the task of each."""

from typing import TYPE_CHECKING

from tsbench.contracts import InputError, Task
from tsbench.data import prepare, store
from tsbench.data.adapter import BuildRequest
from tsbench.data.steps import main_period
from tsbench.gluonts.collect import dataset_of
from tsbench.gluonts.files import read_files

if TYPE_CHECKING:
    import xarray as xr

LEAST_MAX_CONTEXT = 10000
METRICS = ("mase", "smape", "mae", "rmse", "wql")


def build(request: BuildRequest) -> "xr.Dataset":
    """Read the files into a ragged store.

    Raises:
        InputError: with the first mistake, file and line.
    """
    metadata, train, test = read_files(request.files, request.name)
    return dataset_of(metadata, train, test, request.name)


def task(name: str) -> Task:
    """The task of a data set that is prepared: its test windows, or the last window of each series.

    Raises:
        InputError: where the data set is not prepared, or tells no prediction length.
    """
    opened = store.open_lazily(prepare.ensure(name))
    horizon = opened.attrs.get("horizon")
    if horizon is None:
        raise InputError(
            f"'{name}' tells no prediction length: its metadata.json needs one, such as "
            '{"freq": "h", "prediction_length": 24}'
        )
    longest = int(opened["row_size"].max())
    return Task.model_validate(
        {
            "name": name,
            "version": 1,
            "title": f"{name.partition('-')[2]}, {horizon} steps ahead",
            "dataset": name,
            "horizon": horizon,
            "period": main_period(opened.attrs.get("step")),
            "max_context": max(longest, LEAST_MAX_CONTEXT),
            "split": {
                "kind": "rolling",
                "windows": int(opened.attrs["windows"]),
                "step": opened.attrs.get("window_step"),
                "short_series": "leave_out",
            },
            "normalisation": "none",
            "space": "units",
            "missing": "mask",
            "conditions": {
                "robustness": {"not_applicable": "not asked for"},
                "generalisation": {"not_applicable": "the files name no unseen series"},
            },
            "metrics": METRICS,
            "primary": "mase",
            "unit": {"kind": "series"},
        }
    )
