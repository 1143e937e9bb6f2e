"""Hashes of forecasts by rows of chunks: fixed before anybody knows which part will be looked at."""

import hashlib
from pathlib import Path

from tsbench.contracts import InputError, parse
from tsbench.contracts.commitment import COMMITMENT_FILE, Commitment, CommittedArray
from tsbench.contracts.strict import parse_json
from tsbench.data.sources import sha256
from tsbench.evaluation.array_check import JSON_LIMIT, read_metadata

CHUNKS = "c"
"""Folder of the chunks in an array of Zarr v3."""


def commit(forecast: Path) -> Commitment:
    """Hashes of a forecast.

    Args:
        forecast: a Zarr group of one's own, of any size.

    Raises:
        InputError: where a file belongs to no chunk, or an array is not laid out as Zarr v3 does by itself.
    """
    arrays = [path for path in sorted(forecast.iterdir()) if path.is_dir()]
    return Commitment(arrays=tuple(_committed(path) for path in arrays))


def read_commitment(folder: Path) -> Commitment:
    """The hashes that a submission holds, as they are.

    Raises:
        InputError: where they are too large or do not follow the schema.
    """
    path = folder / COMMITMENT_FILE
    if path.stat().st_size > JSON_LIMIT:
        raise InputError(f"{path} is larger than {JSON_LIMIT} bytes")
    return parse(Commitment, parse_json(path.read_bytes(), path), path)


def row_of(array: Path, row: int) -> tuple[int, str]:
    """Bytes of a row of chunks, and the hash of the names, sizes and hashes of its files."""
    folder = array / CHUNKS / str(row)
    digest, size = hashlib.sha256(), 0
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            length = path.stat().st_size
            digest.update(f"{path.relative_to(array).as_posix()} {length} {sha256(path)}\n".encode())
            size += length
    return size, digest.hexdigest()


def rows_there(array: Path) -> set[str]:
    """Names of the rows of chunks that an array holds."""
    chunks = array / CHUNKS
    return {path.name for path in chunks.iterdir()} if chunks.is_dir() else set()


def layout(array: Path) -> tuple[int, int]:
    """Cases of an array, and of a row of its chunks.

    Raises:
        InputError: where the metadata name no plain grid of chunks with folders for its rows.
    """
    metadata = read_metadata(array / "zarr.json", "array")
    cases = rows = 0
    try:
        encoding = metadata["chunk_key_encoding"]
        separator = encoding.get("configuration", {}).get("separator", "/")
        plain = encoding["name"] == "default" and separator == "/"
        cases, rows = metadata["shape"][0], metadata["chunk_grid"]["configuration"]["chunk_shape"][0]
        plain = plain and len(metadata["shape"]) > 1 and min(cases, rows) > 0
    except (KeyError, IndexError, TypeError, AttributeError):
        plain = False
    if not plain:
        raise InputError(f"{array} has no plain grid of chunks in folders ('c/0/0/…'), as a part of it needs")
    return cases, rows


def _committed(array: Path) -> CommittedArray:
    cases, rows = layout(array)
    count = -(-cases // rows)
    names = {str(row) for row in range(count)}
    odd = sorted({path.name for path in array.iterdir()} - {CHUNKS, "zarr.json"})
    odd += [f"{CHUNKS}/{name}" for name in sorted(rows_there(array) - names)]
    if odd:
        raise InputError(f"{array} holds {odd[0]}, which is no chunk of it")
    found = [row_of(array, row) for row in range(count)]
    sizes, hashes = zip(*found, strict=True)
    return CommittedArray(name=array.name, cases=cases, rows=rows, sizes=sizes, hashes=hashes)
