"""Reads one group of the M4 competition: a training and a test file, one series a row, of different lengths.

Returned as a contiguous ragged array (CF 1.11, section 9.3.3): training and test values of a series follow
each other, and the length of its training part is kept.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest
from tsbench.data.tables import read_table

if TYPE_CHECKING:
    import xarray as xr


def build(request: BuildRequest) -> "xr.Dataset":
    """Read the two files of the group.

    Raises:
        InputError: where the files name different series, a series has a hole or text in it, or its test
        part is not
            as long as the group's horizon.
    """
    import xarray as xr

    train_file, test_file = (request.files[file.name] for file in request.variant.files)
    names, train, train_sizes = _read(train_file)
    test_names, test, test_sizes = _read(test_file)
    if names != test_names:
        odd = next((a for a, b in zip(names, test_names, strict=False) if a != b), "one at the end")
        raise InputError(
            f"{train_file.name} and {test_file.name} do not hold the same series: '{odd}' differs"
        )
    horizon = request.parameters["horizon"]
    wrong = np.flatnonzero(test_sizes != horizon)
    if len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"{test_file.name}: series '{names[row]}' has {test_sizes[row]} values, not {horizon}"
        )
    sizes = train_sizes + test_sizes
    values = np.empty(sizes.sum())
    in_train = _train_mask(train_sizes, test_sizes)
    values[in_train], values[~in_train] = train, test
    return xr.Dataset(
        {
            "value": ("observation", values, {"units": "1", "long_name": "value"}),
            "row_size": (
                "series",
                sizes,
                {"units": "1", "long_name": "values of the series", "sample_dimension": "observation"},
            ),
            "train_size": ("series", train_sizes, {"units": "1", "long_name": "values in the training part"}),
        },
        coords={"series": ("series", np.array(names, dtype=object), {"cf_role": "timeseries_id"})},
        attrs={"horizon": horizon, "seasonality": request.parameters["seasonality"]},
    )


def _read(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, all values behind each other, and lengths of the series of one file."""
    table = read_table(path)
    name_column = table.frame.columns[0]
    names = [str(name) for name in table.frame[name_column]]
    cells = table.frame.drop(columns=name_column)
    text = cells.columns[[dtype.kind not in "fiu" for dtype in cells.dtypes]]
    if len(text):
        raise InputError(f"{table.name}: column '{text[0]}' holds text where a number belongs")
    matrix = cells.to_numpy(np.float64)  # (series, position), NaN after the end of a series
    present = ~np.isnan(matrix)
    sizes = present.sum(axis=1)
    ends = matrix.shape[1] - present[:, ::-1].argmax(axis=1)
    for row in np.flatnonzero((sizes != ends) | (sizes == 0)):
        raise InputError(
            f"{table.name}, {table.at(int(row))}: series '{names[row]}' is empty or has a hole in it"
        )
    return names, matrix[present], sizes


def _train_mask(train_sizes: np.ndarray, test_sizes: np.ndarray) -> np.ndarray:
    """Which places of the joined array belong to training parts."""
    lengths = np.stack([train_sizes, test_sizes], axis=1).ravel()
    return np.repeat(np.tile([True, False], len(train_sizes)), lengths)
