"""Whether a store of maps holds what a task reads, told in one line where it does not."""

import numpy as np
import xarray as xr

from tsbench.contracts import InputError, LabelledSplit, Task
from tsbench.contracts.field import FieldLayout

from .maps import NEEDS_POSITION, stored

PLANE, VOLUME = ("sample", "y", "x"), ("sample", "z", "y", "x")
NAMES = {"field": "planes", "volume": "volumes"}


def check_store(opened: xr.Dataset, task: Task, name: str) -> None:
    """Check a store before anything of it is read.

    Raises:
        InputError: where the task or the store is not as a task on maps needs it.
    """
    layout = task.field
    assert layout is not None
    _check_task(task)
    for lacking in ("z", "transmitter_position"):
        if lacking not in opened.variables or "cell_size_m" not in opened.attrs:
            raise InputError(f"'{name}' is no store of maps; `radio_maps` says what one holds")
    found = "volume" if opened["z"].ndim else "field"
    if found != layout.view:
        raise InputError(f"'{name}' holds {NAMES[found]}, and {task.id} reads {NAMES[layout.view]}")
    _check_arrays(opened, layout, task, name)
    _check_coordinates(opened, layout, task, name)
    if layout.turned and opened.sizes["y"] != opened.sizes["x"] and name == task.dataset:
        shape = f"{opened.sizes['y']} × {opened.sizes['x']} cells"
        raise InputError(f"{task.id} trains on maps that are turned, and those of '{name}' have {shape}")


def _check_task(task: Task) -> None:
    if not isinstance(task.split, LabelledSplit):
        raise InputError(f"{task.id}: the parts of a store of maps are told by labels")
    if (task.horizon, task.period, task.max_context) != (1, 1, 1):
        raise InputError(f"{task.id}: horizon, period and max_context of a task on maps are 1")
    if task.space != "units":
        raise InputError(f"{task.id}: maps are scored in `space: units`")
    if task.normalisation == "zscore_parts":
        raise InputError(f"{task.id}: maps take the normalisation `none` or `zscore`")


def _check_arrays(opened: xr.Dataset, layout: FieldLayout, task: Task, name: str) -> None:
    whole = VOLUME if layout.view == "volume" else PLANE
    sampled = [layout.sparse.array] if layout.sparse else []
    for array in stored([*layout.context, *layout.target, *sampled]):
        if array not in opened.data_vars:
            held = ", ".join(map(str, opened.data_vars))
            raise InputError(f"'{name}' has no array '{array}', which {task.id} needs; it has {held}")
        allowed = {whole} if array in stored(layout.target) else {whole, PLANE}
        if opened[array].dims not in allowed:
            raise InputError(f"'{array}' of '{name}' has the dimensions {opened[array].dims}, not {whole}")
        if opened[array].dtype.kind not in "fiu":
            raise InputError(f"'{array}' of '{name}' is {opened[array].dtype}, not numbers")


def _check_coordinates(opened: xr.Dataset, layout: FieldLayout, task: Task, name: str) -> None:
    for coordinate in layout.environment:
        if coordinate not in opened.coords or opened[coordinate].dims != ("sample",):
            raise InputError(f"'{name}' has no coordinate '{coordinate}', which {task.id} needs")
        if opened[coordinate].dtype.kind not in "fiu":
            raise InputError(f"'{coordinate}' of '{name}' is {opened[coordinate].dtype}, not numbers")
    if not layout.position and not set(NEEDS_POSITION) & set(layout.context):
        return
    unknown = ~np.isfinite(opened["transmitter_position"].values).all(axis=1)
    if unknown.any():
        first = int(np.flatnonzero(unknown)[0])
        raise InputError(
            f"'{name}' does not say where the transmitter of sample {first} is, and {task.id} needs it"
        )
