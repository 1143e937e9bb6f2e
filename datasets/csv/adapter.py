"""Reads a user's own table: wide (time and one column a variable) or long (series, time, value)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest
from tsbench.data.steps import stamp_text
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
    import pandas as pd
    import xarray as xr

TIME_NAMES = ("date", "time", "timestamp", "datetime", "ds")
SERIES_NAMES = ("id", "unique_id", "item_id", "series_id", "series")
VALUE_NAMES = ("value", "y", "target")
MIN_ROWS = 3
"""Fewer rows show no time step."""
SAMPLE_ROWS = 5
"""Rows that are looked at to see whether a column holds dates."""


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
    series = _series_column(table) if chosen is None else None
    if series is not None:
        time, step, names, values = _long(table, time_column, series)
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


def _long(table: RawTable, time_column: str, series: str) -> Read:
    """One channel a series; all of them must have the same time axis."""
    value = _value_column(table, time_column, series)
    stamps, cells = time_stamps(table, time_column), numbers(table, value)
    labels = table.frame[series]
    unnamed = np.flatnonzero(labels.isna())
    if len(unnamed):
        raise InputError(f"{table.name}, {table.at(unnamed[0])}, column '{series}': the cell is empty")
    groups = labels.groupby(labels, sort=False).indices
    rows_of = {str(label): np.asarray(rows) for label, rows in groups.items()}
    steps: dict[str, str | None] = {}
    for label, rows in rows_of.items():
        part = table.take(rows, f"{table.name}, series '{label}'")
        require_rows(part, MIN_ROWS)
        steps[label] = check_regular(part, stamps[rows])
    first = next(iter(rows_of))
    time = stamps[rows_of[first]]
    for label, rows in rows_of.items():
        if not np.array_equal(stamps[rows], time):
            raise InputError(
                f"{table.name}: series '{label}' has {_axis(stamps[rows], steps[label])}, "
                f"series '{first}' has {_axis(time, steps[first])}; all series need the same time axis"
            )
    values = np.stack([cells[rows] for rows in rows_of.values()], axis=1)  # (row, channel)
    return time, steps[first], list(rows_of), values


def _axis(time: np.ndarray, step: str | None) -> str:
    every = f", step {step}" if step else ""
    return f"{len(time)} rows from {stamp_text(time[0])} to {stamp_text(time[-1])}{every}"


def _time_column(table: RawTable, asked: str | None) -> str:
    """The column that was asked for, else the first with a usual name, else the first that holds dates."""
    if asked is not None:
        require_columns(table, [asked])
        return asked
    found = _named(table, TIME_NAMES)
    if found is None:
        found = next((name for name in table.frame.columns if _holds_dates(table.frame[name])), None)
    if found is None:
        raise InputError(
            f"{table.name} has no time column: none of its columns {', '.join(table.frame.columns[:10])} is "
            f"named {', '.join(TIME_NAMES[:-1])} or {TIME_NAMES[-1]}, or holds dates"
        )
    return found


def _holds_dates(cells: "pd.Series") -> bool:
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(cells):
        return True
    if pd.api.types.is_numeric_dtype(cells):
        return False
    sample = cells.head(SAMPLE_ROWS).astype(str)
    # Three groups of digits; a parser of dates alone would take words like "May" for one.
    return bool(sample.str.match(r"\s*\d+[-/.]\d+[-/.]\d+").all())


def _series_column(table: RawTable) -> str | None:
    """The column that names the series of a long table; None where the table is wide."""
    found = _named(table, SERIES_NAMES)
    if found is None or _named(table, VALUE_NAMES) is not None:
        return found
    import pandas as pd

    # Numbers under such a name, without values beside them, are a variable like any other.
    return None if pd.api.types.is_numeric_dtype(table.frame[found]) else found


def _value_column(table: RawTable, time_column: str, series: str) -> str:
    value = _named(table, VALUE_NAMES)
    others = [name for name in table.frame.columns if name not in (time_column, series, value)]
    if value is None and len(others) == 1:
        return others[0]
    named = f"'{series}' names the series of a long table"
    if value is None:
        raise InputError(
            f"{table.name}: {named}, but none of the other columns {', '.join(others)} is named "
            f"{', '.join(VALUE_NAMES[:-1])} or {VALUE_NAMES[-1]}"
        )
    if others:
        raise InputError(
            f"{table.name}: {named} with the values in '{value}'; "
            f"remove what else it has: {', '.join(others)}"
        )
    return value


def _named(table: RawTable, names: Sequence[str]) -> str | None:
    """The first column whose name, in lower case, is one of `names`."""
    return next((column for column in table.frame.columns if column.lower() in names), None)
