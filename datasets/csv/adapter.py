"""Reads a user's own table: wide (time and one column a variable) or long (series, time, value)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest
from tsbench.data.tables import (
    RawTable,
    check_regular,
    numbers,
    read_table,
    require_columns,
    require_rows,
    time_attributes,
    time_stamps,
)

if TYPE_CHECKING:
    import xarray as xr

TIME_NAMES = ("date", "time", "timestamp", "datetime", "ds")
SERIES_NAMES = ("id", "unique_id", "item_id", "series_id", "series")
VALUE_NAMES = ("value", "y", "target")
MIN_ROWS = 3
"""Fewer rows show no time step."""


def build(request: BuildRequest) -> "xr.Dataset":
    """Read the table into `value(time, channel)`; units are those of the file, which does not name them.

    The parameters `time` (name of the time column) and `columns` (names of the variables; default: all others
    of a wide table) narrow what is read.

    Raises:
        InputError: with the first mistake: column, line and stamp.
    """
    import xarray as xr

    (path,) = request.files.values()
    table = read_table(path)
    time_column = _time_column(table, request.parameters.get("time"))
    chosen = request.parameters.get("columns")
    series, value = _named(table, SERIES_NAMES), _named(table, VALUE_NAMES)
    if series and value and chosen is None:
        time, step, names, values = _long(table, time_column, series, value)
    else:
        time, step, names, values = _wide(table, time_column, chosen)
    attributes = {"units": "1", "long_name": "value", "comment": "The file names no units."}
    dataset = xr.Dataset(
        {"value": (("time", "channel"), values, attributes)},
        coords={"time": ("time", time), "channel": ("channel", np.array(names, dtype=object))},
    )
    dataset["time"].attrs = time_attributes(step)
    return dataset


Read = tuple[np.ndarray, str | None, list[str], np.ndarray]


def _wide(table: RawTable, time_column: str, chosen: Sequence[str] | None) -> Read:
    if chosen is not None:
        require_columns(table, chosen)
    names = list(chosen) if chosen is not None else [c for c in table.frame.columns if c != time_column]
    if not names:
        raise InputError(f"{table.name} has no column besides the time column '{time_column}'")
    require_rows(table, MIN_ROWS)
    time = time_stamps(table, time_column)
    step = check_regular(table, time)
    values = np.stack([numbers(table, name) for name in names], axis=1)  # (row, channel)
    return time, step, names, values


def _long(table: RawTable, time_column: str, series: str, value: str) -> Read:
    """One channel a series, on the time axis of all; what a series does not have is NaN."""
    import pandas as pd

    time_stamps(table, time_column)
    numbers(table, value)
    parts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    steps: dict[str, str | None] = {}
    for label, rows in table.frame.groupby(series, sort=False):
        part = RawTable(rows.reset_index(drop=True), f"{table.name}, series '{label}'", None)
        require_rows(part, MIN_ROWS)
        time = time_stamps(part, time_column)
        steps[str(label)] = check_regular(part, time)
        parts[str(label)] = (time, numbers(part, value))
    if len(set(steps.values())) > 1:
        first, one = next(iter(steps.items()))
        other, two = next((name, step) for name, step in steps.items() if step != one)
        raise InputError(f"{table.name}: series '{first}' has the step {one}, series '{other}' has {two}")
    joined = pd.concat({name: pd.Series(cells, index=time) for name, (time, cells) in parts.items()}, axis=1)
    joined = joined.sort_index()
    whole = RawTable(joined.reset_index(), table.name, None)
    time = joined.index.to_numpy()
    step = check_regular(whole, time, next(iter(steps.values())))
    return time, step, list(parts), joined.to_numpy(np.float64)


def _time_column(table: RawTable, asked: str | None) -> str:
    if asked is not None:
        require_columns(table, [asked])
        return asked
    found = _named(table, TIME_NAMES)
    if found is None:
        raise InputError(
            f"{table.name} has no time column: none of its columns {', '.join(table.frame.columns[:10])} is "
            f"named {', '.join(TIME_NAMES[:-1])} or {TIME_NAMES[-1]}"
        )
    return found


def _named(table: RawTable, names: Sequence[str]) -> str | None:
    """The first column whose name, in lower case, is one of `names`."""
    return next((column for column in table.frame.columns if column.lower() in names), None)
