"""Reads one group of the M4 competition: a training and a test file, one series a line, of different lengths.

Returned as a contiguous ragged array (CF 1.11, section 9.3.3): the training and the test values of a series
follow each other, and `train_size` says where the test values begin. Lines are split here rather than by a
reader of tables, since most cells of these files are empty: 2 s and 0.2 GB for the monthly group, not 23 s
and 3.4 GB.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest

if TYPE_CHECKING:
    import xarray as xr


def build(request: BuildRequest) -> "xr.Dataset":
    """Read the two files of a group.

    Raises:
        InputError: where a series is empty, has a hole or holds text, or where the two files do not belong
            together or to the group.
    """
    train, test = (_read(request.files[file.name]) for file in request.variant.files)
    _require_same_series(train, test)
    _require_horizon(test, int(request.parameters["horizon"]))
    return _ragged(train, test, request.parameters)


@dataclass(frozen=True)
class _Part:
    """The training or the test part of all series of a group.

    Attributes:
        file: name of the file.
        names: identifiers, one a series.
        values: all values, series after series, shape (observation,).
        sizes: number of values of each series, shape (series,).
    """

    file: str
    names: list[str]
    values: np.ndarray
    sizes: np.ndarray


def _read(path: Path) -> _Part:
    """Read one file: a header line, then an identifier and the values of a series on each line."""
    names, series = [], []
    try:
        with path.open(encoding="utf-8") as lines:
            if not next(lines, "").replace('"', "").startswith("V1,"):
                raise InputError(f"{path.name} is no file of M4: its first line is not V1,V2,V3,…")
            for number, line in enumerate(lines, start=2):
                if not line.strip():
                    continue
                # Cells are quoted; the empty ones behind the end of a series are commas.
                name, *cells = line.replace('"', "").rstrip(", \r\n").split(",")
                names.append(name.strip())
                series.append(_values(cells, f"{path.name}, line {number}, series '{names[-1]}'"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not text in UTF-8") from error
    if not series:
        raise InputError(f"{path.name} holds no series")
    if len(set(names)) != len(names):
        twice = next(name for position, name in enumerate(names) if name in names[:position])
        raise InputError(f"{path.name} has two series named '{twice}'")
    sizes = np.array([len(one) for one in series], np.int64)
    return _Part(path.name, names, np.concatenate(series), sizes)


def _values(cells: list[str], where: str) -> np.ndarray:
    """Cells of one series as float64, shape (observation,)."""
    if not cells:
        raise InputError(f"{where}: it has no values")
    try:
        values = np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError as error:
        raise InputError(f"{where}, {_first_wrong(cells)}") from error
    if not np.isfinite(values).all():
        column = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(f"{where}, column 'V{column + 2}': '{cells[column]}' is not a finite number")
    return values


def _first_wrong(cells: list[str]) -> str:
    for column, cell in enumerate(cells, start=2):
        if not cell.strip():
            return f"column 'V{column}': the cell is empty, but the series goes on behind it"
        try:
            float(cell)
        except ValueError:
            return f"column 'V{column}': '{cell}' is not a number"
    raise AssertionError("called although every cell is a number")


def _require_same_series(train: _Part, test: _Part) -> None:
    if train.names == test.names:
        return
    alone = set(train.names) ^ set(test.names)
    if alone:
        name = next(name for name in train.names + test.names if name in alone)
        where, missing = (train, test) if name in train.names else (test, train)
        raise InputError(f"Series '{name}' is in {where.file} and not in {missing.file}")
    name = next(one for one, other in zip(train.names, test.names, strict=True) if one != other)
    raise InputError(f"{train.file} and {test.file} list their series in different orders, from '{name}' on")


def _require_horizon(test: _Part, horizon: int) -> None:
    wrong = np.flatnonzero(test.sizes != horizon)
    if len(wrong):
        first = int(wrong[0])
        raise InputError(
            f"{test.file}, line {first + 2}, series '{test.names[first]}': {test.sizes[first]} values, "
            f"the horizon of this group is {horizon}"
        )


def _ragged(train: _Part, test: _Part, parameters: dict[str, int]) -> "xr.Dataset":
    import xarray as xr

    # Before every start of a test part stand the test values of the series before it.
    starts = np.repeat(np.cumsum(train.sizes), test.sizes)
    size = {"units": "1", "long_name": "number of values of the series", "sample_dimension": "observation"}
    split = {"units": "1", "long_name": "number of values that belong to the training part"}
    return xr.Dataset(
        {
            "value": (
                "observation",
                np.insert(train.values, starts, test.values),
                {"units": "1", "long_name": "value", "comment": "The publisher states no units."},
            ),
            "row_size": ("series", train.sizes + test.sizes, size),
            "train_size": ("series", train.sizes, split),
        },
        coords={"series": ("series", np.array(train.names, object), {"cf_role": "timeseries_id"})},
        attrs={"featureType": "timeSeries", **parameters},
    )
