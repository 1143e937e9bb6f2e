"""Reads the values of a saved forecast: one array of a Zarr group, block of cases after block of cases.

Imports no torch: forecasts from others are read in a process of their own (`tsbench.jobs.limited`), which is
to start in half a second. What may be read at all is decided before, in `forecast_store`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tsbench.contracts import InputError

if TYPE_CHECKING:
    import numpy as np

CASES = 256
"""Cases of a block, and of a chunk of the forecasts that we write, where these are small enough."""
BLOCK_BYTES = 2**27
"""A block holds fewer cases where it would be larger than this: many members, long horizons."""


@dataclass(frozen=True)
class SavedArray:
    """An array whose metadata were checked.

    Attributes:
        folder: of the array.
        shape: (case, …), that of the task's targets, or (case, quantile or realization, …).
        dtype: name of its dtype, a float or a complex number.
        chunk: shape of its chunks.
    """

    folder: Path
    shape: tuple[int, ...]
    dtype: str
    chunk: tuple[int, ...]


def block_cases(shape: tuple[int, ...], itemsize: int) -> int:
    """Cases of a block of an array of that shape, at least one."""
    return max(1, min(CASES, BLOCK_BYTES // max(1, math.prod(shape[1:]) * itemsize)))


def itemsize(dtype: str) -> int:
    """Bytes of a value, from the dtype's name.

    >>> itemsize("complex64")
    8
    """
    return int("".join(filter(str.isdigit, dtype))) // 8


def read_blocks(array: SavedArray, size: int | None = None) -> "Iterator[np.ndarray]":
    """Values of consecutive cases, each (up to `size`, …), in the array's own dtype.

    Args:
        array: what is read.
        size: cases of a block; by default `block_cases`.

    Raises:
        InputError: where the array cannot be opened, or a chunk is damaged.
    """
    import zarr

    size = size or block_cases(array.shape, itemsize(array.dtype))
    try:
        opened = zarr.open_array(array.folder, mode="r")
    except Exception as error:  # metadata in an odd form raise almost anything
        raise InputError(f"{array.folder} cannot be opened: {_reason(error)}") from error
    for start in range(0, array.shape[0], size):
        try:
            yield opened[start : start + size]  # type: ignore[misc]
        except Exception as error:  # so do decoders
            place = f"{array.folder.parent}: cases from {start} of '{array.folder.name}'"
            raise InputError(f"{place} are damaged: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]
