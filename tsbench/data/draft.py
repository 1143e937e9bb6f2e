"""A store that is being built part by part: a folder beside the store, which grows until it can be sealed.

    .draft-full/request.json      what is being built; a draft of something else is thrown away
    .draft-full/done/<number>     one record a finished part, written after its values are on disk
    .draft-full/store.zarr        the arrays, without the record that makes them a store

Chunks never cross the border of two parts, so that processes write side by side. The first part is written
first: it makes the arrays.
"""

import math
import shutil
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tsbench import atomic
from tsbench.contracts import InputError, Provenance, canonical_hash

from .adapter import Part
from .store import content_hash, open_unsealed, seal, write_zarr

if TYPE_CHECKING:
    import xarray as xr
    import zarr

REQUEST = "request.json"


@dataclass(frozen=True)
class Draft:
    """The growing store of a list of parts.

    Attributes:
        folder: of the draft.
        parts: in the order in which they lie in the store.
    """

    folder: Path
    parts: tuple[Part, ...]

    @classmethod
    def take_up(cls, store: Path, recipe: str, parts: list[Part], fresh: bool) -> "Draft":
        """The draft of a store, with what an earlier run has finished. Call it only while holding the lock.

        Raises:
            InputError: where two parts have one name, or a part is empty.
        """
        names = [part.name for part in parts]
        if not parts or len(set(names)) != len(names) or min(part.rows for part in parts) < 1:
            raise InputError(f"{store}: parts must have names of their own and at least one row each")
        draft = cls(store.parent / f".draft-{store.stem}", tuple(parts))
        request = canonical_hash({"recipe": recipe, "parts": [[part.name, part.rows] for part in parts]})
        record = draft.folder / REQUEST
        same = record.is_file() and record.read_text(encoding="utf-8") == request
        if fresh or not same or not draft.finished(0) or not draft.store.is_dir():
            if draft.folder.is_dir():
                atomic.remove_folder(draft.folder)
            atomic.make_folder(draft.folder)
            atomic.write_text(record, request)
        return draft

    @property
    def store(self) -> Path:
        """Folder of the arrays."""
        return self.folder / "store.zarr"

    def finished(self, number: int) -> bool:
        """Whether a part is written."""
        return self._record(number).is_file()

    def pending(self) -> list[int]:
        """Numbers of the parts that are not written yet."""
        return [number for number in range(len(self.parts)) if not self.finished(number)]

    def write(self, number: int, dataset: "xr.Dataset") -> None:
        """Write one part.

        Raises:
            InputError: where it does not have the rows, variables or shapes that it should have.
        """
        part, dimension = self.parts[number], leading_dimension(dataset)
        if dataset.sizes[dimension] != part.rows:
            raise InputError(f"Part {part.name} has {dataset.sizes[dimension]} rows, not {part.rows}")
        if number == 0:
            self._create(dataset, dimension)
        else:
            self._fill(number, dataset, dimension)
        self._flush(number, dataset, dimension)
        atomic.write_text(self._record(number), part.name)

    def bytes_on_disk(self) -> int:
        """Size of the arrays so far."""
        return sum(file.stat().st_size for file in self.store.rglob("*") if file.is_file())

    def publish(self, target: Path, provenance: Provenance) -> Provenance:
        """Read everything once, seal it and rename it to `target`.

        Raises:
            InputError: where a part is missing.
        """
        if self.pending():
            raise InputError(f"{self.folder}: {len(self.pending())} of {len(self.parts)} parts are missing")
        opened = open_unsealed(self.store)
        record = provenance.model_copy(update={"content": content_hash(opened)})
        seal(self.store, record, [str(name) for name in opened.data_vars])
        if target.exists():
            # The older store comes to lie in the draft for an instant, and must never be published again.
            atomic.sync_tree(self.store)
            (self.folder / REQUEST).unlink()
        atomic.move_folder(self.store, target)
        atomic.remove_folder(self.folder)
        return record

    def _record(self, number: int) -> Path:
        return self.folder / "done" / f"{number:06d}"

    def _create(self, dataset: "xr.Dataset", dimension: str) -> None:
        """Write the first part, then give the arrays their full length."""
        import zarr

        aligned = math.gcd(*(part.rows for part in self.parts))
        shutil.rmtree(self.store, ignore_errors=True)
        self.store.mkdir(parents=True)
        write_zarr(self.store, dataset, {dimension: aligned})
        group = zarr.open_group(self.store, mode="r+")
        total = sum(part.rows for part in self.parts)
        for name, variable in dataset.variables.items():
            if variable.dims[:1] == (dimension,):
                _array(group, name).resize((total, *variable.shape[1:]))
        atomic.sync_tree(self.store)
        atomic.sync_folder(self.folder)

    def _fill(self, number: int, dataset: "xr.Dataset", dimension: str) -> None:
        import zarr

        group = zarr.open_group(self.store, mode="r+")
        start = sum(part.rows for part in self.parts[:number])
        rows = slice(start, start + self.parts[number].rows)
        if {str(name) for name in dataset.variables} != set(group.array_keys()):
            raise InputError(f"Part {self.parts[number].name} has other variables than {self.parts[0].name}")
        for name, variable in dataset.variables.items():
            array = _array(group, name)
            if variable.dims[:1] != (dimension,):
                if not np.array_equal(np.asarray(array[...]), _stored(variable.values)):
                    raise InputError(
                        f"Part {self.parts[number].name} has another {name} than {self.parts[0].name}"
                    )
                continue
            if variable.shape[1:] != array.shape[1:]:
                raise InputError(
                    f"Part {self.parts[number].name}: {name} has the shape {variable.shape}, not "
                    f"{(variable.shape[0], *array.shape[1:])}"
                )
            array[rows] = _stored(variable.values)

    def _flush(self, number: int, dataset: "xr.Dataset", dimension: str) -> None:
        """Flush the part's chunks to disk."""
        import zarr

        group = zarr.open_group(self.store, mode="r")
        start = sum(part.rows for part in self.parts[:number])
        for name, variable in dataset.variables.items():
            if variable.dims[:1] != (dimension,):
                continue
            chunk = _array(group, name).chunks[0]
            for index in range(start // chunk, (start + self.parts[number].rows - 1) // chunk + 1):
                atomic.sync_path(self.store / str(name) / "c" / str(index))


def leading_dimension(dataset: "xr.Dataset") -> str:
    """The dimension along which parts follow each other: the first of every data variable.

    Raises:
        InputError: where data variables have different first dimensions.
    """
    first = {variable.dims[:1] for variable in dataset.data_vars.values()}
    if len(first) != 1 or first == {()}:
        raise InputError(
            f"Data variables of a part must share their first dimension, not have {sorted(first)}"
        )
    return str(first.pop()[0])


def _stored(values: np.ndarray) -> np.ndarray:
    """Values as `write_zarr` stores them: time stamps in whole seconds."""
    if values.dtype.kind != "M":
        return values
    return values.astype("datetime64[s]").astype(np.int64)


def _array(group: "zarr.Group", name: Hashable) -> "zarr.Array":
    import zarr

    found = group[str(name)]
    assert isinstance(found, zarr.Array)
    return found
