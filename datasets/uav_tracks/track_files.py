"""Reads tracks as mzahana/drone_trajectories publishes them: a header, then seconds and metres."""

import re
from pathlib import Path

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.tables import numbers, read_table, require_columns, require_rows

from .flight import INTERVAL, Flight

TIME, POSITION = "timestamp", ("tx", "ty", "tz")
TOLERANCE = 0.011
"""Seconds by which a step may differ from 0.1."""
MIN_ROWS = 3
NAME = re.compile(r"(?P<kind>.*?)_(?P<number>\d+)(?:_.*)?")


def read_flight(path: Path, name: str) -> Flight:
    """Read a file; columns after the position, such as the attitude, are left out.

    Recordings were resampled between their ends, so that the first and the last step may be shorter: such an
    end is left out. Any other irregular step is refused.

    Args:
        path: of the file.
        name: as the user's folder has it.

    Raises:
        InputError: where columns are missing, a cell is no finite number, or a step is not 0.1 s.
    """
    table = read_table(path)
    require_columns(table, (TIME, *POSITION))
    require_rows(table, MIN_ROWS)
    time = numbers(table, TIME)
    positions = np.stack([numbers(table, column) for column in POSITION], axis=1)  # (time, axis)
    for column, values in zip((TIME, *POSITION), (time, *positions.T), strict=True):
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            raise InputError(f"{path.name}, {table.at(wrong[0])}, column '{column}': the value is missing")
    irregular = np.abs(np.diff(time) - INTERVAL) > TOLERANCE
    shorter = irregular & (np.diff(time) > 0) & (np.diff(time) < INTERVAL)
    first, last = int(shorter[0]), len(time) - int(shorter[-1])
    inside = np.flatnonzero(irregular[first : last - 1]) + first
    if len(inside):
        row = inside[0] + 1
        raise InputError(
            f"{path.name}, {table.at(row)}: {time[row] - time[row - 1]:g} s after the one before; a track "
            f"has a position every {INTERVAL:g} s"
        )
    stem = Path(name).stem
    found = NAME.fullmatch(stem)
    if found is None:
        raise InputError(f"{path.name}: the name of a track is its kind and its number, as in circle_12.txt")
    return Flight(stem, found["kind"], int(found["number"]), positions[first:last])
