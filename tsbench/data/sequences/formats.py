"""Sequences of any of Time-MoE's formats, as one numbered collection; pickles are refused.

A file is .json, .jsonl, .yaml, .npy, .npz or .npy.gz; a folder is a binary set, or holds such files and sets.
"""

import gzip
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import yaml

from tsbench.contracts import InputError

from .binary import META, BinarySet

Normalisation = Literal["zero", "max", "none"]
PICKLES = (".pkl", ".pickle")


class Sequences(Protocol):
    """A numbered collection of sequences.

    Attributes:
        lengths: of the sequences, int64, shape (sequence,).
    """

    lengths: np.ndarray

    def read(self, index: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Steps start ≤ t < stop of a sequence, shape (step,)."""
        ...


def open_sequences(path: Path) -> Sequences:
    """The sequences of a file or folder, in the order of names in each folder.

    Raises:
        InputError: where there is none, and for a file that is damaged, a pickle or of another format.
    """
    if not path.is_dir():
        return _open_file(path)
    if _is_binary(path):
        return BinarySet(path)
    parts = [BinarySet(one) if one.is_dir() else _open_file(one) for one in _walk(path)]
    if not parts:
        raise InputError(f"{path} holds no sequences: no binary set and no file of {', '.join(READERS)}")
    return Concatenation(parts)


class InMemory:
    """Sequences that are held in memory."""

    def __init__(self, sequences: Sequence[np.ndarray]) -> None:
        self.sequences = sequences
        self.lengths = np.array([len(one) for one in sequences], dtype=np.int64)

    def read(self, index: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Steps start ≤ t < stop of a sequence, shape (step,)."""
        return self.sequences[index][start:stop]


class Concatenation:
    """Collections one after the other, numbered through."""

    def __init__(self, parts: Sequence[Sequences]) -> None:
        self.parts = parts
        self.lengths = np.concatenate([part.lengths for part in parts])
        self.starts = np.cumsum([0, *(len(part.lengths) for part in parts)])

    def read(self, index: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Steps start ≤ t < stop of a sequence, shape (step,)."""
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.parts[part].read(index - int(self.starts[part]), start, stop)


class Normalised:
    """Sequences normalised by the whole of each; its two numbers are computed when it is first read.

    Args:
        source: the sequences.
        method: `zero`: (x − mean) / std, only centred where std is 0; `max`: x / max|x|; `none`.
    """

    def __init__(self, source: Sequences, method: Normalisation = "zero") -> None:
        self.source, self.method, self.lengths = source, method, source.lengths
        self._known: dict[int, tuple[float, float]] = {}

    def read(self, index: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Steps start ≤ t < stop of a sequence, float32, shape (step,)."""
        if self.method == "none":
            return self.source.read(index, start, stop).astype(np.float32)
        if index not in self._known:
            self._known[index] = self._scale(self.source.read(index).astype(np.float64))
        centre, spread = self._known[index]
        return ((self.source.read(index, start, stop).astype(np.float64) - centre) / spread).astype(
            np.float32
        )

    def _scale(self, whole: np.ndarray) -> tuple[float, float]:
        if len(whole) == 0:
            return 0.0, 1.0
        if self.method == "max":
            return 0.0, float(np.abs(whole).max()) or 1.0
        return float(whole.mean()), float(whole.std()) or 1.0


def _walk(folder: Path) -> Iterator[Path]:
    """Binary sets and readable files below a folder, sorted; other files are passed over."""
    for root, names, files in os.walk(folder):
        here = Path(root)
        names.sort()
        for name in [name for name in names if _is_binary(here / name)]:
            names.remove(name)
            yield here / name
        yield from (here / name for name in sorted(files) if name.endswith((*READERS, *PICKLES)))


def _is_binary(folder: Path) -> bool:
    return (folder / META).is_file()


def _open_file(path: Path) -> InMemory:
    if path.name.endswith(PICKLES):
        raise InputError(
            f"{path} is a pickle, which can run code and is not opened; write the sequences as .jsonl or .npz"
        )
    read = next((read for ending, read in READERS.items() if path.name.endswith(ending)), None)
    if read is None:
        raise InputError(f"{path} is none of {', '.join(READERS)}, and no folder")
    if not path.is_file():
        raise InputError(f"There is no file {path}")
    try:
        items = read(path)
    except (
        OSError, ValueError, EOFError, RecursionError, zipfile.BadZipFile, zlib.error, yaml.YAMLError,
        NotImplementedError,
    ) as error:  # fmt: skip
        raise InputError(f"{path} cannot be read: {str(error)[:200]}") from error
    if not isinstance(items, list):
        raise InputError(f"{path} must hold a list of sequences")
    return InMemory([_sequence(item, path, index) for index, item in enumerate(items)])


def _sequence(item: Any, path: Path, index: int) -> np.ndarray:
    """An item, or its `sequence`, as float32; integers of JSON may be of any size."""
    if isinstance(item, dict):
        item = item.get("sequence")
    try:
        found = np.asarray(item)
        # Booleans, strings, null and ragged lists become arrays that are not of numbers.
        if found.ndim == 1 and (found.dtype.kind in "fiu" or found.size == 0):
            return found.astype(np.float32)
    except ValueError:
        pass
    raise InputError(
        f"{path}: item {index} is neither a list of numbers nor an object with such a `sequence`"
    )


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _json_lines(path: Path) -> list[Any]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _array(path: Path) -> list[np.ndarray]:
    return _rows(np.load(path, allow_pickle=False))


def _packed_array(path: Path) -> list[np.ndarray]:
    with gzip.open(path) as file:
        return _rows(np.load(file, allow_pickle=False))


def _archive(path: Path) -> list[np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return [row for name in arrays.files for row in _rows(arrays[name])]


def _rows(array: np.ndarray) -> list[np.ndarray]:
    """One sequence of an array with one dimension, one a row of an array with two."""
    if array.ndim not in (1, 2):
        raise ValueError(f"an array of {array.ndim} dimensions is neither a sequence nor rows of them")
    return list(np.atleast_2d(array))


READERS: dict[str, Callable[[Path], Any]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".yaml": _yaml,
    ".npy": _array,
    ".npz": _archive,
    ".npy.gz": _packed_array,
}
