"""Reads the data of a task of fev, and makes the task of each."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsbench.contracts import InputError, Task
from tsbench.contracts.forecast import DECILES
from tsbench.data import prepare, store
from tsbench.data.adapter import BuildRequest
from tsbench.fev.collection import DEFINITION, METRICS, collection_of
from tsbench.fev.definitions import choose, definition_of, read_definitions

if TYPE_CHECKING:
    import xarray as xr

FAMILY = "fev-"
LEAST_MAX_CONTEXT = 10000
TASK_FILES = (".yaml", ".yml")


def read_source(name: str, files: Mapping[str, Path]) -> tuple[dict[str, Any], dict[str, Path]]:
    """The definition of a task and its data files, from a task file or a folder that holds one.

    Raises:
        InputError: where there is not one task file, or no task of that name in it.
    """
    held = [path for place, path in files.items() if Path(place).suffix in TASK_FILES]
    if len(held) != 1:
        raise InputError(f"'{name}' is read from a task file of fev: --from TASKS.yaml ({len(held)} given)")
    chosen = choose(read_definitions(held[0]), name.removeprefix(FAMILY), held[0])
    return {"task": dict(chosen.fields)}, chosen.find_files()


def build(request: BuildRequest) -> "xr.Dataset":
    """Read the data into a ragged store.

    Raises:
        InputError: with the first mistake.
    """
    return collection_of(definition_of(request.parameters["task"], request.files, request.name))


def task(name: str) -> Task:
    """The task of a definition that is prepared.

    Raises:
        InputError: where the data set is not prepared.
    """
    opened = store.open_lazily(prepare.ensure(name))
    fields = json.loads(opened.attrs[DEFINITION])
    metrics = [f"fev.{one}" for one in opened.attrs[METRICS]]
    longest = int(opened["row_size"].max())
    return Task.model_validate(
        {
            "name": name,
            "version": 1,
            "title": f"fev: {fields['task_name'] or name}, {fields['horizon']} steps ahead",
            "dataset": name,
            "horizon": fields["horizon"],
            "period": fields["seasonality"],
            "max_context": fields["max_context_length"] or max(longest, LEAST_MAX_CONTEXT),
            "split": {
                "kind": "rolling",
                "windows": int(opened.attrs["windows"]),
                "step": int(opened.attrs["window_step"]),
                "unused": int(opened.attrs["unused"]),
                "shortest_context": fields["min_context_length"],
                "short_series": "leave_windows_out",
            },
            "normalisation": "none",
            "space": "units",
            "missing": "mask",
            "conditions": {
                "robustness": {"not_applicable": "the benchmark scores the series as they are"},
                "generalisation": {"not_applicable": "every series is forecast from its own past"},
            },
            "metrics": metrics,
            "primary": metrics[0],
            "quantiles": sorted({0.5, *fields["quantile_levels"]}) if fields["quantile_levels"] else DECILES,
            "unit": {"kind": "series"},
        }
    )
