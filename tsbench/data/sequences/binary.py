"""Binary sets of Time-300B: a folder with meta.json and raw numbers in `data-<i>-of-<n>.bin`, memory-mapped.

meta.json says the type of the numbers, how many each file holds, and where each sequence lies in their
concatenation. Everything is checked against the sizes of the files when a set is opened.
"""

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tsbench import atomic
from tsbench.contracts import InputError

META = "meta.json"
DTYPES = tuple(f"float{bits}" for bits in (16, 32, 64)) + tuple(
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
)
FILE_ELEMENTS = 2**28


class BinarySet:
    """The sequences of a binary set; nothing is read before it is asked for.

    Args:
        folder: with meta.json and the files that it names.

    Attributes:
        lengths: of the sequences, int64, shape (sequence,).

    Raises:
        InputError: where meta.json or a file is missing, malformed, or they do not agree.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / META
        meta = _read_meta(self.path)
        self.dtype = np.dtype(meta["dtype"])
        self.files = self._map(folder, meta["files"])
        ends = np.cumsum([0, *(len(numbers) for numbers in self.files)])
        self.starts, total = ends[:-1], int(ends[-1])
        scales = meta["scales"]
        if meta["num_sequences"] != len(scales):
            raise InputError(
                f"{self.path}: num_sequences is {meta['num_sequences']}, scales has {len(scales)}"
            )
        self.offsets, self.lengths = np.zeros((2, len(scales)), dtype=np.int64)
        self.scales: dict[int, tuple[float, float]] = {}
        for index, scale in enumerate(scales):
            self._place(index, scale, total)

    def __len__(self) -> int:
        return len(self.lengths)

    def read(self, index: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Steps start ≤ t < stop of a sequence, shape (step,), in its own units."""
        length = int(self.lengths[index])
        stop = length if stop is None else min(stop, length)
        begin, end = int(self.offsets[index]) + start, int(self.offsets[index]) + max(start, stop)
        first = max(int(np.searchsorted(self.starts, begin, side="right")) - 1, 0)
        pieces = [np.empty(0, self.dtype)]
        for numbers, origin in zip(self.files[first:], self.starts[first:].tolist(), strict=True):
            if origin >= end:
                break
            pieces.append(numbers[max(begin - origin, 0) : end - origin])
        raw = np.concatenate(pieces)
        if index not in self.scales:
            return raw
        mean, std = self.scales[index]
        return raw * std + mean

    def _map(self, folder: Path, files: dict[str, Any]) -> list[np.ndarray]:
        """The numbers of each file, in the order of the integers in their names."""
        order: dict[int, str] = {}
        for name in files:
            match = re.fullmatch(r"[^-/\\]*-(\d{1,9})[^/\\]*", name)
            if not match:
                raise InputError(f"{self.path}: the file name {name!r} is not like data-1-of-2.bin")
            if int(match[1]) in order:
                raise InputError(f"{self.path}: {order[int(match[1])]!r} and {name!r} have the same number")
            order[int(match[1])] = name
        return [self._map_file(folder / order[number], files[order[number]]) for number in sorted(order)]

    def _map_file(self, path: Path, elements: Any) -> np.ndarray:
        if not _natural(elements):
            raise InputError(f"{self.path}: {path.name} cannot hold {elements!r} numbers")
        if not path.is_file():
            raise InputError(f"{self.path} names {path.name}, which is not there")
        size, expected = path.stat().st_size, elements * self.dtype.itemsize
        if size != expected:
            raise InputError(f"{path} has {size} bytes; {elements} numbers of {self.dtype} are {expected}")
        if elements == 0:
            return np.empty(0, self.dtype)
        return np.memmap(path, dtype=self.dtype, mode="r", shape=(elements,))

    def _place(self, index: int, scale: Any, total: int) -> None:
        where = f"{self.path}: scales[{index}]"
        if not isinstance(scale, dict):
            raise InputError(f"{where} must be an object with offset and length")
        offset, length = scale.get("offset"), scale.get("length")
        if offset is None or length is None or not _natural(offset) or not _natural(length):
            raise InputError(
                f"{where}: offset and length must be whole numbers, not {offset!r} and {length!r}"
            )
        if offset + length > total:
            raise InputError(f"{where} ends at {offset + length}; the files hold {total} numbers")
        self.offsets[index], self.lengths[index] = offset, length
        if "mean" in scale and "std" in scale:
            if not _finite(scale["mean"]) or not _finite(scale["std"]):
                raise InputError(f"{where}: mean and std must be finite numbers")
            self.scales[index] = float(scale["mean"]), float(scale["std"])


def write_binary(
    folder: Path,
    sequences: Iterable[np.ndarray],
    *,
    dtype: str = "float32",
    scaled: bool = False,
    file_elements: int = FILE_ELEMENTS,
) -> None:
    """Write a binary set, whole or not at all; an existing folder is replaced.

    Args:
        folder: to write.
        sequences: each of shape (step,).
        dtype: of the stored numbers, one of `DTYPES`.
        scaled: store (x − mean) / std, with mean and std in meta.json; a constant sequence is only centred.
        file_elements: numbers a file; a sequence may lie across files.

    Raises:
        InputError: for another dtype, a sequence of another shape, and one whose values do not fit the dtype.
    """
    if dtype not in DTYPES:
        raise InputError(f"a binary set cannot hold '{dtype}'; there are {', '.join(DTYPES)}")
    if file_elements < 1:
        raise InputError(f"a file must take at least one number, not {file_elements}")
    scales: list[dict[str, Any]] = []
    counts: list[int] = []
    offset = 0
    with atomic.new_folder(folder) as temporary:
        for index, sequence in enumerate(sequences):
            stored, scale = _stored(np.asarray(sequence), dtype, scaled, index)
            scales.append({"offset": offset, "length": len(stored)} | scale)
            _append(temporary, stored, counts, file_elements)
            offset += len(stored)
        if not counts:
            _append(temporary, np.zeros(1, dtype), counts, file_elements)  # A set has at least one file.
        names = [f"data-{number + 1}-of-{len(counts)}.bin" for number in range(len(counts))]
        for number, name in enumerate(names):
            (temporary / str(number)).rename(temporary / name)
        meta = {"num_sequences": len(scales), "dtype": dtype}
        meta |= {"files": dict(zip(names, counts, strict=True)), "scales": scales}
        (temporary / META).write_text(json.dumps(meta), encoding="utf-8")


def _stored(
    sequence: np.ndarray, dtype: str, scaled: bool, index: int
) -> tuple[np.ndarray, dict[str, float]]:
    if sequence.ndim != 1 or sequence.dtype.kind not in "fiu":
        raise InputError(
            f"sequence {index} must be one row of numbers, not {sequence.dtype} {sequence.shape}"
        )
    scale: dict[str, float] = {}
    if scaled and len(sequence):
        values = sequence.astype(np.float64)
        mean, std = float(values.mean()), float(values.std()) or 1.0
        if not math.isfinite(mean) or not math.isfinite(std):
            raise InputError(f"sequence {index} cannot be scaled: it is not finite")
        sequence, scale = (values - mean) / std, {"mean": mean, "std": std}
    with np.errstate(all="ignore"):
        stored = sequence.astype(dtype)
    same = stored == sequence if stored.dtype.kind in "iu" else np.isfinite(stored) == np.isfinite(sequence)
    if not same.all():
        raise InputError(f"sequence {index} does not fit {dtype}")
    return stored, scale


def _append(folder: Path, numbers: np.ndarray, counts: list[int], file_elements: int) -> None:
    """Add numbers to the last file, and to new ones where it is full."""
    while len(numbers):
        if not counts or counts[-1] == file_elements:
            counts.append(0)
        room = file_elements - counts[-1]
        with (folder / str(len(counts) - 1)).open("ab") as file:
            file.write(numbers[:room].tobytes())
        counts[-1] += len(numbers[:room])
        numbers = numbers[room:]


def _read_meta(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"There is no file {path}")
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {str(error)[:200]}") from error
    kinds: dict[str, type] = {"num_sequences": int, "dtype": str, "files": dict, "scales": list}
    for key, kind in kinds.items():
        if not isinstance(meta, dict) or not isinstance(meta.get(key), kind):
            raise InputError(f"{path}: {key} must be given, as {kind.__name__}")
    if meta["dtype"] not in DTYPES:
        raise InputError(f"{path}: dtype must be one of {', '.join(DTYPES)}, not {meta['dtype']!r}")
    return meta


def _natural(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def _finite(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False
