"""Stores: prepared data sets as Zarr v3, written whole and checked, opened through xarray.

A store's root zarr.json carries a record under the attribute `tsbench`: provenance, the order of the
variables, the size and digest of every other file, and a seal over the root document itself. Chunks carry
crc32c checksums. So a damaged store is noticed when it is opened, and provenance is read without importing
zarr or xarray.
"""

import hashlib
import itertools
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench import atomic
from tsbench.contracts import InputError, Provenance, Variant, parse

from .adapter import Size
from .validation import validate

if TYPE_CHECKING:
    import xarray as xr

RECORD = "tsbench"
ROOT_FILE = "zarr.json"
CHUNK_BYTES = 16 * 2**20
UNFINISHED = "*.partial"
"""What zarr names a chunk or document while it writes it."""
READ_ERRORS = (ValueError, RuntimeError, OSError, KeyError, TypeError)
"""What xarray and zarr raise for a damaged store."""
USER_PREFIX = "user-"
"""Begins the name of every data set that was made from a user's own file."""


def store_root() -> Path:
    """Folder of all stores: the environment variable TSBENCH_DATA, else the user's cache folder."""
    if chosen := os.environ.get("TSBENCH_DATA"):
        if "://" in chosen:  # not repeated: an address may hold credentials
            raise InputError("TSBENCH_DATA holds an address; it must name a folder")
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("tsbench") / "stores"


def store_path(name: str, size: Size = "full") -> Path:
    """Where the store of data set `name` in that size lies, or will lie."""
    return store_root() / name / f"{size}.zarr"


def find_stores() -> list[Path]:
    """Paths of all finished stores, sorted."""
    return sorted(path.parent for path in store_root().glob(f"[!.]*/[!.]*.zarr/{ROOT_FILE}"))


def write_store(path: Path, dataset: "xr.Dataset", provenance: Provenance, variant: Variant) -> Provenance:
    """Write a store under a temporary name, read it back, check it and rename it.

    Args:
        path: the store to create; an older one is replaced.
        dataset: decoded values, as an adapter returns them.
        provenance: how they were made; `content` is filled in.
        variant: what the card declares of the data.

    Returns:
        The provenance with the content hash.

    Raises:
        InputError: where the data are not as the card declares, or the folder cannot be written.
    """
    validate(dataset, provenance.dataset, variant)
    record = provenance.model_copy(update={"content": content_hash(dataset)})
    with atomic.new_folder(path) as temporary:
        write_zarr(temporary, dataset)
        seal(temporary, record, [str(name) for name in dataset.data_vars])
        written = open_store(temporary)
        if content_hash(written) != record.content or not _same_attributes(written, dataset):
            raise RuntimeError(f"the store of '{provenance.dataset}' does not decode to what was written")
    return record


def open_store(path: Path) -> "xr.Dataset":
    """Read a store into memory, its variables in the order in which they were written.

    Raises:
        InputError: where there is no store, or a file of it is missing or damaged.
    """
    opened = open_lazily(path)
    try:
        return opened.load()
    except READ_ERRORS as error:
        raise _damaged(path, str(error)) from error


def open_lazily(path: Path) -> "xr.Dataset":
    """Open a store without reading its data variables: `dataset["x"][start:stop].values` reads those rows.

    Rows are read fastest in blocks of `dataset["x"].encoding["chunks"][0]`. Coordinates are read at once. A
    chunk whose checksum does not match raises ValueError when it is read.

    Raises:
        InputError: where there is no store, or a file of it is missing or damaged.
    """
    record = _read_record(path)
    for name, (size, digest) in record["files"].items():
        file = path / name
        if not file.is_file() or file.stat().st_size != size:
            raise _damaged(path, f"{name} is missing or has another size")
        # Chunks carry their own checksum, which is compared while they are decoded.
        if file.name == ROOT_FILE and _digest(file) != digest:
            raise _damaged(path, f"{name} has changed")
    try:
        opened = open_unsealed(path)
        for coordinate in opened.coords.values():
            coordinate.load()
        opened = opened[record["variables"]]
    except READ_ERRORS as error:
        raise _damaged(path, str(error)) from error
    opened.attrs.pop(RECORD, None)
    return opened


def open_unsealed(path: Path) -> "xr.Dataset":
    """Open the arrays of a store without looking at its record; for those who are writing it."""
    import xarray as xr

    with warnings.catch_warnings():
        # Zarr warns that its type for text is not yet in the specification of version 3.
        warnings.filterwarnings("ignore", message=".*Zarr.*", category=UserWarning)
        return xr.open_zarr(path, consolidated=False, chunks=None)


def read_provenance(path: Path) -> Provenance:
    """How a store was made. Reads one JSON file; imports neither zarr nor xarray.

    Raises:
        InputError: where there is no store, or its root document is damaged.
    """
    return parse(Provenance, _read_record(path)["provenance"], path)


def check_store(path: Path) -> None:
    """Compare every file with its digest and the decoded values with the content hash.

    Raises:
        InputError: where anything differs.
    """
    for name, (_, digest) in _read_record(path)["files"].items():
        if not (path / name).is_file() or _digest(path / name) != digest:
            raise _damaged(path, f"{name} has changed")
    if content_hash(open_lazily(path)) != read_provenance(path).content:
        raise _damaged(path, "the values are not those of the content hash")


def content_hash(dataset: "xr.Dataset") -> str:
    """Hash of the decoded values, variables and coordinates in sorted order: 16 hexadecimal digits.

    What was opened lazily is read in blocks of rows; the hash is the same.
    """
    total = hashlib.blake2b(digest_size=8)
    for name in sorted(map(str, dataset.variables)):
        variable = dataset.variables[name]
        blocks = _plain_blocks(variable)
        first = next(blocks)
        shape = first.shape if variable.dtype.kind in "OUT" else variable.shape
        total.update(json.dumps([name, variable.dims, shape, first.dtype.str]).encode())
        for values in itertools.chain([first], blocks):
            total.update(np.ascontiguousarray(values).data)
    return total.hexdigest()


def _plain_blocks(variable: "xr.Variable") -> Iterator[np.ndarray]:
    """Plain values of a variable, block of rows after block of rows; at least one block."""
    if not variable.shape or variable.dtype.kind in "OUT":
        yield _plain(variable.values)
        return
    chunk = variable.encoding.get("chunks") or _chunks(variable.shape, variable.dtype.itemsize)
    for start in range(0, max(len(variable), 1), chunk[0]):
        yield _plain(variable[start : start + chunk[0]].values)


def _plain(values: np.ndarray) -> np.ndarray:
    """Values whose bytes are the same wherever the values are: little-endian, one NaN, UTF-8 text."""
    if values.dtype.kind == "M":
        return values.astype("datetime64[ns]").astype("<i8")
    if values.dtype.kind in "OUT":
        text = json.dumps([str(value) for value in values.ravel()])
        return np.frombuffer(text.encode(), np.uint8)
    values = values.astype(values.dtype.newbyteorder("<"))
    if values.dtype.kind in "fc":
        values = np.where(np.isnan(values), values.dtype.type(np.nan), values)
    return values


def write_zarr(folder: Path, dataset: "xr.Dataset", aligned: dict[str, int] | None = None) -> None:
    """Write the arrays of a dataset.

    Args:
        folder: an empty folder.
        dataset: decoded values.
        aligned: dimension → number of rows; no chunk along that first dimension crosses a multiple of it.
    """
    from zarr.codecs import BloscCodec, Crc32cCodec

    compressors = [BloscCodec(cname="zstd", shuffle="bitshuffle"), Crc32cCodec()]
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in dataset.variables.items():
        options: dict[str, Any] = {"compressors": compressors}
        if variable.dtype.kind == "M":
            options |= {"units": "seconds since 1970-01-01", "dtype": "int64"}
        if variable.shape:
            rows = (aligned or {}).get(str(variable.dims[0]))
            options["chunks"] = _chunks(variable.shape, variable.dtype.itemsize, rows)
        encoding[str(name)] = options
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Zarr.*", category=UserWarning)
        dataset.to_zarr(folder, mode="w", zarr_format=3, consolidated=False, encoding=encoding)


def _chunks(shape: tuple[int, ...], itemsize: int, aligned: int | None = None) -> tuple[int, ...]:
    """Whole rows, at most CHUNK_BYTES a chunk; a divisor of `aligned` where that is given."""
    row = itemsize * int(np.prod(shape[1:], dtype=np.int64))
    rows = max(1, min(shape[0], CHUNK_BYTES // max(row, 1)))
    if aligned is not None:
        rows = next(divisor for divisor in range(min(rows, aligned), 0, -1) if aligned % divisor == 0)
    return (rows, *shape[1:])


def seal(folder: Path, provenance: Provenance, variables: list[str]) -> None:
    """Write the record into the root document; what killed writers left is no part of the store."""
    atomic.remove_leftovers(folder)
    for unfinished in folder.rglob(UNFINISHED):
        unfinished.unlink()
    document = json.loads((folder / ROOT_FILE).read_text(encoding="utf-8"))
    document["attributes"][RECORD] = {
        "provenance": provenance.model_dump(mode="json"),
        "variables": variables,
        "files": {name: [(folder / name).stat().st_size, _digest(folder / name)] for name in _files(folder)},
    }
    document["attributes"][RECORD]["seal"] = _seal_of(document)
    atomic.write_text(folder / ROOT_FILE, json.dumps(document, indent=1))


def _read_record(path: Path) -> dict[str, Any]:
    if not (path / ROOT_FILE).is_file():
        raise InputError(f"There is no store at {path}. Prepare it: {_command(path)}")
    try:
        document = json.loads((path / ROOT_FILE).read_text(encoding="utf-8"))
        record = document["attributes"][RECORD]
        sealed = record.pop("seal")
        unchanged = sealed == _seal_of(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, f"{ROOT_FILE} is not that of a store") from error
    if not unchanged:
        raise _damaged(path, f"{ROOT_FILE} has changed")
    if not _is_record(record):
        raise _damaged(path, f"{ROOT_FILE} is not that of a store")
    return record


def _is_record(record: Any) -> bool:
    """Whether a record has the parts that `seal` writes, and names files below the store only."""
    if not isinstance(record, dict) or not isinstance(record.get("provenance"), dict):
        return False
    files, variables = record.get("files"), record.get("variables")
    return (
        isinstance(files, dict)
        and isinstance(variables, list)
        and all(isinstance(one, str) for one in variables)
        and all(isinstance(one, list) and len(one) == 2 for one in files.values())
        and not any(name.startswith("/") or "\0" in name or ".." in name.split("/") for name in files)
    )


def _seal_of(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _files(folder: Path) -> Iterator[str]:
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.is_file() and name != ROOT_FILE:
            yield name


def _digest(file: Path) -> str:
    return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()


def _same_attributes(one: "xr.Dataset", other: "xr.Dataset") -> bool:
    names = [str(name) for name in one.variables]
    return one.attrs == other.attrs and all(one[name].attrs == other[name].attrs for name in names)


def _damaged(path: Path, reason: str) -> InputError:
    first = reason.splitlines()[0][:300] if reason.strip() else "it cannot be read"
    return InputError(f"The store {path} is damaged ({first}). Prepare it again: {_command(path)} --fresh")


def _command(path: Path) -> str:
    name = path.parent.name
    return f"tsbench data get {name}" + (" --from FILE" if name.startswith(USER_PREFIX) else "")
