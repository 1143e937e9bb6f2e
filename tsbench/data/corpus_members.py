"""Members of a corpus: reads the series of a data set or of files, cut to their range of time."""

import math
from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tsbench.contracts import InputError, Member, TrainedOn, canonical_hash

from . import prepare, store
from .collection import SeriesCollection, read_collection
from .sequences.formats import Sequences, open_sequences
from .series import SeriesTable, read_series

LONGEST_LIST = 2000
"""Series that a record names; where there are more, it says that all were seen, which is the safe side."""
MEMORY_SHARE = 0.5
POINT_BYTES = 16
"""Of memory at the peak, for each value."""


@dataclass(frozen=True)
class Line:
    """One series, or one variable of one.

    Attributes:
        name: DATASET/SERIES.
        values: of the range that is read, float64, shape (step,); NaN where missing.
    """

    name: str
    values: np.ndarray


@dataclass(frozen=True)
class OpenedMember:
    """A member with its series read.

    Attributes:
        name: of the data set, or of the files.
        lines: series that are trained on.
        whole: whether its names are series of a collection; otherwise they are variables of one time series.
        every: whether the declaration asks for all of them.
        start, end: of the range, as Results name it.
        files: hash of the published files, or None.
        left_out: names of the series that are held out, without the data set.
    """

    name: str
    lines: tuple[Line, ...]
    whole: bool
    every: bool
    start: str
    end: str
    files: str | None = None
    left_out: tuple[str, ...] = ()

    def without(self, held_out: Set[str]) -> "OpenedMember":
        """The member without some series."""
        kept = tuple(line for line in self.lines if line.name not in held_out)
        left = tuple(self._short(line) for line in self.lines if line.name in held_out)
        return replace(self, lines=kept, left_out=left)

    def trained_on(self) -> TrainedOn:
        """The range that is trained on."""
        names = tuple(self._short(line) for line in self.lines)
        common = {"dataset": self.name, "start": self.start, "end": self.end, "files": self.files}
        if not self.whole:
            return TrainedOn(variables=names, stage="pretraining", **common)
        if self.every and len(self.left_out) <= min(LONGEST_LIST, len(names)):
            return TrainedOn(without=self.left_out, stage="pretraining", **common)
        series = names if len(names) <= LONGEST_LIST else "all"
        return TrainedOn(series=series, stage="pretraining", **common)

    def _short(self, line: Line) -> str:
        return line.name.removeprefix(f"{self.name}/")


def read_member(member: Member, folder: Path) -> OpenedMember:
    """Read a member; a relative path counts from `folder`.

    Raises:
        InputError: where data are missing, damaged or too large, or hold no such series or range.
    """
    if member.path is not None:
        return _of_files(member, folder / member.path)
    assert member.dataset is not None
    path = prepare.ensure(member.dataset, member.size)
    found = store.open_lazily(path)
    hashes = store.read_provenance(path).files
    files = canonical_hash(sorted(hashes.values())) if hashes else None
    if "row_size" in found:
        return replace(_of_collection(member, read_collection(member.dataset, member.size)), files=files)
    if "time" not in found.dims:
        raise InputError(f"'{member.dataset}' holds independent samples; a corpus takes time series")
    return replace(_of_table(member, read_series(member.dataset, member.size)), files=files)


def _of_table(member: Member, table: SeriesTable) -> OpenedMember:
    columns = table.columns(member.series)
    first, last = _row(table, member.start, "left"), _row(table, member.end, "right")
    rows = len(table.values)
    if not 0 <= first <= last < rows:
        raise InputError(
            f"'{table.name}' has the rows 0 to {rows - 1} ({table.stamp(0)} to {table.stamp(rows - 1)}); "
            f"{member.start} to {member.end} is no range of them"
        )
    lines = tuple(
        Line(f"{table.name}/{table.variables[column]}", table.values[first : last + 1, column])
        for column in columns
    )
    return OpenedMember(
        table.name,
        lines,
        whole=False,
        every=member.series == "all",
        start=table.stamp(first),
        end=table.stamp(last),
    )


def _row(table: SeriesTable, given: int | str, side: str) -> int:
    """Row of a number or a time stamp: the first at or after it (left), the last at or before it (right)."""
    if isinstance(given, int):
        return given + len(table.values) if given < 0 else given
    if table.time.dtype.kind != "M":
        raise InputError(f"'{table.name}' has no calendar; give rows as numbers, not '{given}'")
    try:
        moment = np.datetime64(given, "ns")
    except ValueError as error:
        raise InputError(f"'{given}' is neither a row nor a time stamp like 2017-06-30T23:00:00") from error
    if side == "left":
        return int(np.searchsorted(table.time, moment, "left"))
    return int(np.searchsorted(table.time, moment, "right")) - 1


def _of_collection(member: Member, collection: SeriesCollection) -> OpenedMember:
    for given in (member.start, member.end):
        if isinstance(given, str):
            raise InputError(
                f"'{collection.name}' is a collection of series: give rows as numbers (-1 is the last), not "
                f"'{given}'"
            )
    start, end = int(member.start), int(member.end)
    known = {name: number for number, name in enumerate(collection.series)}
    wanted = collection.series if member.series == "all" else member.series
    if unknown := [name for name in wanted if name not in known]:
        raise InputError(f"'{collection.name}' has no series '{unknown[0]}'")
    lines: list[Line] = []
    for name in wanted:
        number = known[name]
        size, offset = int(collection.sizes[number]), int(collection.first[number])
        first, last = (row + size if row < 0 else row for row in (start, end))
        cut = collection.values[offset + max(first, 0) : offset + min(last, size - 1) + 1]
        for channel, label in enumerate(collection.channels):
            full = name if len(collection.channels) == 1 else f"{name}/{label}"
            lines.append(Line(f"{collection.name}/{full}", cut[:, channel]))
    if not any(len(line.values) for line in lines):
        raise InputError(f"'{collection.name}': no series has rows from {start} to {end}")
    same = len(set(collection.sizes.tolist())) == 1
    if same and end >= 0:
        # From the end, as Results say where the test part begins.
        end = min(end - int(collection.sizes[0]), -1)
    return OpenedMember(
        collection.name,
        tuple(line for line in lines if len(line.values)),
        whole=True,
        every=member.series == "all",
        start=str(start),
        end=str(end),
    )


def _of_files(member: Member, path: Path) -> OpenedMember:
    if not path.exists():
        raise InputError(f"There is no file or folder {path}")
    found = open_sequences(path)
    _refuse_large(found, path)
    lines = []
    for number in range(len(found.lengths)):
        values = np.asarray(found.read(number), np.float64)
        if np.isinf(values).any():
            raise InputError(f"{path}: sequence {number} holds an infinite value")
        lines.append(Line(f"{member.name}/{number}", values))
    if not lines:
        raise InputError(f"{path} holds no sequences")
    return OpenedMember(member.name, tuple(lines), whole=True, every=True, start="0", end="-1")


def _refuse_large(found: Sequences, path: Path) -> None:
    import psutil

    needed, there = int(found.lengths.sum()) * POINT_BYTES, psutil.virtual_memory().total
    if needed > MEMORY_SHARE * there:
        raise InputError(
            f"{path} holds {int(found.lengths.sum())} values; a corpus is kept in memory, which takes "
            f"{math.ceil(needed / 2**30)} GiB here: make it a part of its files"
        )
