"""Builds stores of sensors from a table of one reading a row, and makes the tasks of each.

Columns: a time (`time`, `timestamp`, `date` or `datetime`), `sensor`, `value`, and a position: `x`, `y` (and
`z`) in metres, or `latitude`, `longitude` in degrees. Rows may come in any order; what has no row is missing.
"""

from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError, Task
from tsbench.data import prepare, store
from tsbench.data.adapter import BuildRequest
from tsbench.data.steps import infer_step, main_period, step_seconds
from tsbench.data.tables import (
    RawTable,
    numbers,
    read_table,
    require_columns,
    require_rows,
    time_stamps,
)

from ..sensors.layout import sensor_dataset

if TYPE_CHECKING:
    import xarray as xr

TIMES = ("time", "timestamp", "date", "datetime")
POSITIONS = (("x", "y"), ("latitude", "longitude"))
HORIZON, CONTEXT = 12, 168
MIN_ROWS = 3
MOST_TIMES = 10_000_000
"""Steps of an axis; a stamp that is wrong by years would fill the memory."""
SPARSE = "-sparse"


def build(request: BuildRequest) -> "xr.Dataset":
    """Read a table.

    Raises:
        InputError: with the first mistake: column, line, what is wrong.
    """
    if len(request.files) != 1:
        raise InputError(f"'{request.name}' is read from one table; there are {len(request.files)} files")
    (path,) = request.files.values()
    table = read_table(path)
    column = next((name for name in TIMES if name in table.frame.columns), None)
    if column is None:
        raise InputError(f"{table.name} has no time column; it must be named {', '.join(TIMES)}")
    axes = next((pair for pair in POSITIONS if set(pair) <= set(table.frame.columns)), None)
    if axes is None:
        raise InputError(f"{table.name} has no position: columns x and y, or latitude and longitude")
    axes = (*axes, "z") if axes == POSITIONS[0] and "z" in table.frame.columns else axes
    require_columns(table, ("sensor", "value"))
    require_rows(table, MIN_ROWS)
    stamps, values = time_stamps(table, column), numbers(table, "value")
    names, sensor = _sensors(table)
    positions = {axis: _position(table, axis, sensor, names) for axis in axes}
    time, row, step = _axis(table, stamps)
    _require_single(table, sensor, row, names)
    grid = np.full((len(time), len(names)), np.nan)
    grid[row, sensor] = values
    return sensor_dataset(time, step, names, grid, positions)


def task(name: str) -> Task:
    """The task of a table that is prepared: NAME observes all sensors, NAME-sparse a fifth of them.

    Raises:
        InputError: where the table is not prepared.
    """
    sparse, dataset = name.endswith(SPARSE), name.removesuffix(SPARSE)
    opened = store.open_lazily(prepare.ensure(dataset))
    off = {"name": "missing_blocks", "parameter": "fraction", "options": {"steps": 1_000_000}}
    levels = (0.9, 0.95) if sparse else (0.3, 0.5, 0.8)
    own = dataset.partition("-")[2]
    declared = {
        "name": name,
        "version": 1,
        "title": f"{own}, {HORIZON} steps ahead, {'a fifth' if sparse else 'all'} of the sensors observed",
        "dataset": dataset,
        "horizon": HORIZON,
        "period": main_period(opened["time"].attrs.get("step")),
        "max_context": CONTEXT,
        "split": {"kind": "ratio", "train": 0.7, "validation": 0.1, "test": 0.2},
        "normalisation": "zscore",
        "space": "normalised",
        "missing": "mask",
        "conditions": {
            "robustness": [{"disturbance": {**off, "levels": levels}}],
            "generalisation": {"not_applicable": "the table names no other place"},
        },
        "metrics": ["mse", "mae", "rmse", "mase"],
        "primary": "mse",
    }
    if sparse:
        declared["conditions"]["regular"] = [{"disturbance": {**off, "levels": (0.8,)}}]
        declared["training_noise"] = {
            "disturbance": off["name"],
            "low": 0.8,
            "high": 0.8,
            "draw": "each_epoch",
            "options": off["options"],
        }
    return Task.model_validate(declared)


def _sensors(table: RawTable) -> tuple[list[str], np.ndarray]:
    """Names of the sensors in the order in which they come, and the number of each row's sensor."""
    import pandas as pd

    unnamed = np.flatnonzero(table.frame["sensor"].isna())
    if len(unnamed):
        raise InputError(f"{table.name}, {table.at(unnamed[0])}, column 'sensor': the cell is empty")
    number, names = pd.factorize(table.frame["sensor"].astype(str))
    return [str(name) for name in names], number.astype(np.int64)


def _position(table: RawTable, axis: str, sensor: np.ndarray, names: list[str]) -> np.ndarray:
    """Position of each sensor along an axis; the same in all of its rows."""
    place = numbers(table, axis, allow_missing=False)
    first = np.unique(sensor, return_index=True)[1]
    moved = np.flatnonzero(place != place[first][sensor])
    if len(moved):
        row = int(moved[0])
        was = place[first][sensor[row]]
        raise InputError(
            f"{table.name}, {table.at(row)}: sensor '{names[sensor[row]]}' is at {axis} = {place[row]:g}, "
            f"before at {was:g}; a sensor stays where it is"
        )
    return place[first]


def _axis(table: RawTable, stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray, str | None]:
    """The regular time axis that holds every stamp, the row of each stamp in it, and the step."""
    dated = stamps.dtype.kind == "M"
    unique = np.unique(stamps)
    step = infer_step(unique) if dated else None
    seconds = step_seconds(step)
    if len(unique) < MIN_ROWS or (dated and not seconds):
        raise InputError(f"{table.name} holds {len(unique)} different times; at least {MIN_ROWS} show a step")
    ticks = unique.astype(np.int64)
    length = round(seconds * 1e9) if seconds else int(np.diff(ticks).min())
    row, rest = np.divmod(stamps.astype(np.int64) - ticks[0], length)
    wrong = np.flatnonzero(rest)
    if len(wrong):
        raise InputError(
            f"{table.name}, {table.at(wrong[0])}: {stamps[wrong[0]]} is no whole number of steps of "
            f"{step or length} after the first time"
        )
    count = int(row.max()) + 1
    if count > MOST_TIMES:
        raise InputError(f"{table.name} spans {count} steps of {step or length}; is a time wrong?")
    time = ticks[0] + length * np.arange(count)
    return time.astype(stamps.dtype) if dated else time, row, step


def _require_single(table: RawTable, sensor: np.ndarray, row: np.ndarray, names: list[str]) -> None:
    import pandas as pd

    again = np.flatnonzero(pd.DataFrame({"sensor": sensor, "row": row}).duplicated())
    if len(again):
        place = int(again[0])
        raise InputError(
            f"{table.name}, {table.at(place)}: sensor '{names[sensor[place]]}' has a second value then"
        )
