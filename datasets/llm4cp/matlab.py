"""Channel responses in MATLAB files of version 7.3, which are HDF5: read in blocks of speeds.

MATLAB writes the first axis of an array last, and complex numbers as pairs `real`, `imag`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tsbench.contracts import InputError
from tsbench.extras import require

EXTRA = "science"
AXES = 7
"""Speed, user, time, subcarrier, and three of the antenna array: rows, columns, polarisations."""


class Responses:
    """One array of responses, shape (speed, user, time, subcarrier, row, column, polarisation).

    Args:
        path: of the file.
        name: of the array.
        steps: times that it must have.

    Raises:
        InputError: where the file cannot be read, or holds no such array of complex numbers.
    """

    def __init__(self, path: Path, name: str, steps: int) -> None:
        self.path, self.name = path, name
        with self._opened() as array:
            shape = array.shape[::-1]
        if len(shape) != AXES or shape[2] != steps or 0 in shape:
            raise InputError(
                f"{path}: '{name}' has the shape {shape}, not (speeds, users, {steps}, subcarriers, rows, "
                "columns, polarisations)"
            )
        self.speeds, self.users, _, self.subcarriers = (int(one) for one in shape[:4])
        self.ports = tuple(int(one) for one in shape[4:])

    @property
    def words(self) -> str:
        """The sizes, for messages."""
        ports = "×".join(map(str, self.ports))
        return f"{self.speeds} speeds, {self.users} users, {self.subcarriers} subcarriers, {ports} ports"

    def read(self, start: int, stop: int) -> np.ndarray:
        """The samples of some speeds, user after user.

        Args:
            start: the first of the speeds.
            stop: after the last of them.

        Returns:
            complex64, shape (sample, port, time, subcarrier).

        Raises:
            InputError: where the file is damaged, or holds NaN, infinite values or a port of zeros.
        """
        with self._opened() as array:
            stored = array[..., start:stop]
        pairs = stored.T  # (speed, user, time, subcarrier, row, column, polarisation)
        values = (pairs["real"] + 1j * pairs["imag"]).astype(np.complex64)
        values = values.reshape(-1, *values.shape[2:4], int(np.prod(self.ports)))
        values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        energy = np.square(np.abs(values)).sum(axis=(2, 3), dtype=np.float64)  # (sample, port)
        for wrong, what in (
            (~np.isfinite(energy), "NaN or infinite values"),
            (energy == 0, "nothing but zeros"),
        ):
            if wrong.any():
                sample, port = np.argwhere(wrong)[0]
                speed, user = start + sample // self.users, sample % self.users
                raise InputError(
                    f"{self.path}: '{self.name}' holds {what} at speed {speed}, user {user}, port {port}"
                )
        return values

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """The array in the open file; nothing outside this file is read."""
        h5py: Any = require("h5py", EXTRA, "the data set llm4cp")
        try:
            with h5py.File(self.path, "r") as file:
                link = file.get(self.name, getlink=True) if self.name in file else None
                array: Any = file[self.name] if isinstance(link, h5py.HardLink) else None
                if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
                    held = ", ".join(sorted(file)) or "nothing"
                    raise InputError(f"{self.path} holds no array '{self.name}'; it holds {held}")
                if array.dtype.names != ("real", "imag"):
                    raise InputError(f"{self.path}: '{self.name}' holds {array.dtype}, not complex numbers")
                yield array
        except (OSError, RuntimeError, KeyError) as error:
            raise InputError(
                f"{self.path} is not a MATLAB file of version 7.3, or is damaged: {str(error)[:200]}"
            ) from error
