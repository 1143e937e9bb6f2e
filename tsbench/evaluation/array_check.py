"""Checks a Zarr group that comes from others before a chunk of it is read: files, metadata, claimed sizes.

What the values mean is left to `forecast_store`, decoding them to a process with limits (`tsbench.jobs`).
"""

import math
import os
import stat
import struct
from pathlib import Path
from typing import Any

from tsbench.contracts import ForecastKind, InputError
from tsbench.contracts.strict import parse_json
from tsbench.data.views import is_complex, target_dimensions

from .blocks import SavedArray, itemsize

CODECS = {"bytes", "zstd", "blosc", "crc32c"}
FLOATS = ("float16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
FILE_LIMIT, BYTE_LIMIT, JSON_LIMIT = 10_000, 10**9, 10**6
DEPTH_LIMIT, CODEC_LIMIT, CHUNK_BYTE_LIMIT, MEMBER_LIMIT = 16, 4, 2**28, 1000
FIRST_DIMENSION: dict[str, tuple[str, ...]] = {
    "point": (),
    "quantiles": ("quantile",),
    "samples": ("realization",),
}
"""Kind of a forecast → its dimension before those of the target; in the arrays it comes after the sample."""


def check_files(folder: Path) -> None:
    """Plain files in plain folders, few and small: looks at directory entries only, and opens nothing."""
    size = count = 0
    waiting = [(folder, 0)]
    while waiting:
        parent, depth = waiting.pop()
        if depth > DEPTH_LIMIT:
            raise InputError(f"{folder} is nested more than {DEPTH_LIMIT} folders deep")
        try:
            entries = [(Path(entry.path), entry.stat(follow_symlinks=False)) for entry in os.scandir(parent)]
        except OSError as error:
            raise InputError(f"{parent} cannot be read: {error.strerror}") from error
        for path, found in entries:
            if stat.S_ISLNK(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink > 1):
                raise InputError(f"{folder} holds a link ({path.relative_to(folder)}); links are refused")
            if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
                place = path.relative_to(folder)
                raise InputError(f"{folder} holds {place}, which is neither a file nor a folder")
            count, size = count + 1, size + found.st_size
            if count > FILE_LIMIT or size > BYTE_LIMIT:
                raise InputError(f"{folder} is larger than {FILE_LIMIT} files or {BYTE_LIMIT} bytes")
            if stat.S_ISDIR(found.st_mode):
                waiting.append((path, depth + 1))


def read_metadata(path: Path, node: str) -> dict[str, Any]:
    """The zarr.json of a `group` or an `array`.

    Raises:
        InputError: where there is none, it is too large, or describes something else.
    """
    if not path.is_file():
        raise InputError(f"{path.parent} is not a Zarr v3 {node}: it has no zarr.json")
    if path.stat().st_size > JSON_LIMIT:
        raise InputError(f"{path} is larger than {JSON_LIMIT} bytes")
    metadata = parse_json(path.read_bytes(), path)
    if (
        not isinstance(metadata, dict)
        or metadata.get("zarr_format") != 3
        or metadata.get("node_type") != node
    ):
        raise InputError(f"{path} does not describe a Zarr v3 {node}")
    if not isinstance(metadata.get("attributes", {}), dict):
        raise InputError(f"{path}: 'attributes' must be an object")
    return metadata


def check_array(folder: Path, shape: tuple[int, ...], view: str, kind: ForecastKind) -> SavedArray:
    """Check the metadata of an array, and what its chunks claim to hold.

    Args:
        folder: of the array.
        shape: that it must have; of samples without the members, whose number the array says.
        view: of the task.
        kind: of the forecast.

    Raises:
        InputError: for another dtype, shape or codec than allowed, too many members, or chunks that are too
            large or too many.
    """
    metadata = read_metadata(folder / "zarr.json", "array")
    dtype = metadata.get("data_type")
    allowed = COMPLEX if is_complex(view) else FLOATS
    if not isinstance(dtype, str) or dtype not in allowed:
        raise InputError(f"{folder} has the dtype '{cut(dtype)}'; it must be one of {sorted(allowed)}")
    declared = metadata.get("shape")
    if kind == "samples":
        shape = (shape[0], _checked_members(folder, declared), *shape[1:])
    if declared != list(shape) or any(type(one) is not int for one in declared or ()):
        sample, *rest = target_dimensions(view)
        wanted = ", ".join((sample, *FIRST_DIMENSION[kind], *rest))
        raise InputError(f"{folder} has the shape {cut(declared)}; ({wanted}) is {list(shape)}")
    chunk = _check_chunks(folder, metadata.get("chunk_grid"), len(shape), itemsize(dtype))
    if math.prod(-(-one // size) for one, size in zip(shape, chunk, strict=True)) > FILE_LIMIT:
        raise InputError(f"{folder} has chunks of {list(chunk)}, which would be more than {FILE_LIMIT} files")
    codecs = metadata.get("codecs")
    if not isinstance(codecs, list):
        raise InputError(f"{folder}: 'codecs' must be a list")
    names = {str(codec.get("name") if isinstance(codec, dict) else codec) for codec in codecs}
    if not names <= CODECS:
        raise InputError(
            f"{folder} uses the codecs {cut(sorted(names - CODECS))}; allowed are {sorted(CODECS)}"
        )
    if len(codecs) > CODEC_LIMIT:
        raise InputError(f"{folder} has a chain of {len(codecs)} codecs; {CODEC_LIMIT} are allowed")
    if metadata.get("storage_transformers"):
        raise InputError(f"{folder} uses storage transformers; none is allowed")
    _check_claims(folder, [str(one.get("name")) for one in codecs], math.prod(chunk) * itemsize(dtype))
    return SavedArray(folder, shape, dtype, chunk)


def _checked_members(folder: Path, declared: Any) -> int:
    """Number of members that the array's shape declares; 1 where it declares no shape worth looking at."""
    if not isinstance(declared, list) or len(declared) < 2 or type(declared[1]) is not int:
        return 1
    if not 0 < declared[1] <= MEMBER_LIMIT:
        raise InputError(f"{folder} has {declared[1]} members; 1 to {MEMBER_LIMIT} are allowed")
    return declared[1]


def _check_chunks(folder: Path, grid: Any, dimensions: int, itemsize: int) -> tuple[int, ...]:
    """A chunk is decoded as a whole, so its size is bounded before one is read."""
    chunk = None
    if (
        isinstance(grid, dict)
        and grid.get("name") == "regular"
        and isinstance(grid.get("configuration"), dict)
    ):
        chunk = grid["configuration"].get("chunk_shape")
    if (
        not isinstance(chunk, list)
        or len(chunk) != dimensions
        or not all(type(one) is int and one > 0 for one in chunk)
    ):
        raise InputError(f"{folder}: 'chunk_grid' must be regular, with {dimensions} positive sizes")
    if math.prod(chunk) * itemsize > CHUNK_BYTE_LIMIT:
        raise InputError(
            f"{folder} has chunks of {cut(chunk)} values; one may hold at most {CHUNK_BYTE_LIMIT} bytes"
        )
    return tuple(chunk)


def _check_claims(folder: Path, codecs: list[str], size: int) -> None:
    """What each compressed chunk says that it expands to, before a decoder believes it.

    Only the outermost compression says so in the first bytes of the file; what lies within, and a header that
    lies, is caught by the limits of the process that decodes.
    """
    outermost = next((name for name in reversed(codecs) if name in ("blosc", "zstd")), None)
    if outermost is None:
        return
    for path in folder.rglob("*"):
        if not path.is_file() or path.name == "zarr.json":
            continue
        with path.open("rb") as file:
            claimed = (_blosc_size if outermost == "blosc" else _zstd_size)(file.read(18))
        if claimed is not None and claimed > 2 * size + 4096:
            place = path.relative_to(folder)
            raise InputError(f"{folder}: {place} would expand to {claimed} bytes; a chunk holds {size}")


def _blosc_size(head: bytes) -> int | None:
    """Uncompressed size in the header of a Blosc 1 frame (bytes 4 to 7, little-endian)."""
    return struct.unpack("<I", head[4:8])[0] if len(head) >= 16 else None


def _zstd_size(head: bytes) -> int | None:
    """Content size of a Zstandard frame, where its header states one (RFC 8878, 3.1.1.1)."""
    if len(head) < 6 or head[:4] != b"\x28\xb5\x2f\xfd":
        return None
    descriptor = head[4]
    single = bool(descriptor & 0x20)
    start = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    width = (int(single), 2, 4, 8)[descriptor >> 6]
    if not width:
        return None
    return int.from_bytes(head[start : start + width], "little") + (256 if width == 2 else 0)


def cut(value: Any, length: int = 100) -> str:
    """A value of the file as a message repeats it."""
    text = str(value)
    return text if len(text) <= length else f"{text[:length]}…"
