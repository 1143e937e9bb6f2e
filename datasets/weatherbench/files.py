"""Zarr folders in the format of WeatherBench 2, read and written.

Truth has the dimensions `time, level, latitude, longitude`; a forecast has `time` (of its start) and
`prediction_timedelta` besides. Folders come from others: only codecs that turn bytes into numbers are let in,
and what has another shape is refused with what was found.
"""

import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.contracts import InputError
from tsbench.contracts.strict import parse_json

if TYPE_CHECKING:
    import xarray as xr

CODECS = {
    "blosc", "zstd", "lz4", "zlib", "gzip", "bz2", "lzma", "shuffle", "delta", "fixedscaleoffset", "bytes",
    "crc32c", "transpose", "sharding_indexed", "vlen-utf8",
}  # fmt: skip
"""Of Zarr 2 and 3; none of them runs what a file says."""
ROOTS = ("zarr.json", ".zgroup", ".zmetadata")
SHORT_NAMES = {"lat": "latitude", "lon": "longitude"}
FORECAST = "prediction_timedelta"
JSON_LIMIT = 10**7


def read_weather(folder: Path, where: str) -> "xr.Dataset":
    """Fields of a folder, latitudes ascending, float32; read into memory.

    Args:
        folder: a Zarr group.
        where: what messages call it.

    Raises:
        InputError: where it is no Zarr group, holds a codec that is not let in, is a forecast, or lacks a
            dimension.
    """
    opened = _open(folder, where)
    opened = opened.rename({short: name for short, name in SHORT_NAMES.items() if short in opened.dims})
    if FORECAST in opened.dims:
        raise InputError(f"{where} holds forecasts ({FORECAST}); a data set is made of truth")
    for name in ("time", "latitude", "longitude"):
        if name not in opened.dims or name not in opened.coords:
            found = ", ".join(map(str, opened.dims)) or "none"
            raise InputError(f"{where} has no dimension '{name}' with values; it has {found}")
    opened = opened.drop_vars([name for name in opened.data_vars if not _is_field(opened[name])])
    if not any("time" in one.dims for one in opened.data_vars.values()):
        raise InputError(f"{where} holds no field of numbers over time, latitude and longitude")
    latitude = opened["latitude"].values
    if len(latitude) > 1 and (np.diff(latitude) < 0).all():
        ends = f"{latitude[0]:g} to {latitude[-1]:g}"
        sys.stderr.write(f"{where}: latitudes descend ({ends}) and were turned round\n")
        opened = opened.isel(latitude=slice(None, None, -1))
    try:
        return opened.astype(np.float32).load()
    except Exception as error:  # decoders raise almost anything
        raise InputError(f"{where} is damaged: {_reason(error)}") from error


def write_weather(dataset: "xr.Dataset", folder: Path) -> None:
    """Write fields as WeatherBench 2 has them; latitudes must ascend.

    Args:
        dataset: dimensions time, latitude and longitude, perhaps `level` or `prediction_timedelta`.
        folder: to be made.

    Raises:
        InputError: where the folder is there, or a dimension is missing.
    """
    if folder.exists():
        raise InputError(f"{folder} is there already")
    if missing := [name for name in ("time", "latitude", "longitude") if name not in dataset.dims]:
        raise InputError(
            f"There is no dimension '{missing[0]}'; there are {', '.join(map(str, dataset.dims))}"
        )
    order = ("time", FORECAST, "level", "latitude", "longitude")
    extra = [str(name) for name in dataset.dims if name not in order]
    if extra:
        raise InputError(f"WeatherBench 2 has no dimension '{extra[0]}'; choose one of it")
    ordered = dataset.transpose(*[name for name in order if name in dataset.dims])
    ordered = ordered.drop_vars([name for name in ordered.coords if name not in order])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Zarr.*", category=UserWarning)
        ordered.to_zarr(folder, mode="w-", zarr_format=2, consolidated=True)


def find_root(files: dict[str, Path], where: str) -> Path:
    """The Zarr group that files of a folder belong to.

    Raises:
        InputError: where there is none, or several side by side.
    """
    roots = {path.parent for name, path in files.items() if Path(name).name in ROOTS}
    shortest = min((len(root.parts) for root in roots), default=0)
    found = sorted(root for root in roots if len(root.parts) == shortest)
    if len(found) != 1:
        count = f"{len(found)} of them" if found else "none"
        raise InputError(f"{where} is read from one Zarr folder; there is {count}")
    return found[0]


def _open(folder: Path, where: str) -> "xr.Dataset":
    import xarray as xr

    for path, codec in _codecs(folder, where):
        if codec not in CODECS:
            allowed = ", ".join(sorted(CODECS))
            raise InputError(f"{where}: {path} uses the codec '{codec[:50]}'; allowed are {allowed}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return xr.open_zarr(folder, chunks=None)
    except Exception as error:  # so do readers of metadata
        raise InputError(f"{where} is no Zarr folder that can be read: {_reason(error)}") from error


def _codecs(folder: Path, where: str) -> Iterator[tuple[str, str]]:
    """Every codec that the metadata of a folder name, with the file that does."""
    for path in sorted(folder.rglob("*")):
        if path.name not in (".zarray", ".zmetadata", "zarr.json"):
            continue
        place = path.relative_to(folder).as_posix()
        if path.is_symlink() or path.stat().st_size > JSON_LIMIT:
            raise InputError(f"{where}: {place} is a link or larger than {JSON_LIMIT} bytes")
        for codec in _named(parse_json(path.read_bytes(), f"{where}: {place}")):
            yield place, codec


def _named(metadata: Any) -> Iterator[str]:
    """Names of codecs anywhere in a document of metadata."""
    if isinstance(metadata, list):
        for one in metadata:
            yield from _named(one)
    if not isinstance(metadata, dict):
        return
    for key, value in metadata.items():
        if key in ("compressor", "filters", "codecs", "index_codecs"):
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dict):
                    yield str(one.get("id", one.get("name")))
        if key != "attributes":
            yield from _named(value)


def _is_field(array: "xr.DataArray") -> bool:
    allowed = {"time", "level", "latitude", "longitude"}
    return array.dtype.kind in "fiu" and {"latitude", "longitude"} <= set(array.dims) <= allowed


def _reason(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


def channel_names(dataset: "xr.Dataset") -> str:
    """Names of the channels without a missing value, as JSON: what a task of the data set reads."""
    from tsbench.data.rollout.fields import channels_of

    whole = []
    for one in channels_of(dataset):
        array = dataset[one.variable]
        values = array if one.level is None else array.sel(level=float(one.level))
        if bool(np.isfinite(values.values).all()):
            whole.append(one.name)
    return json.dumps(whole)
