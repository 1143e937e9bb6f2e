"""Saved forecasts: a Zarr v3 group with one array a scenario, streamed out; untrusted ones are checked first.

Array `regular` (or another scenario's key with every run of other characters than letters, digits, `.`, `=`
and `-` replaced by `_`) is shaped as the task's target, (sample, lead_time, channel) for time series.
Quantiles or members come after the sample: (sample, quantile, lead_time, channel), (sample, realization,
lead_time, channel). The group's attributes name task, version, space, kind, and levels (`quantiles`).
"""

import difflib
import math
import os
import re
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch

from tsbench.contracts import Forecast, ForecastKind, InputError, JobFailed, Scenario, Task
from tsbench.contracts.strict import parse_json
from tsbench.data.views import is_complex, target_dimensions

from .blocks import SavedArray, block_cases, itemsize, read_blocks

if TYPE_CHECKING:
    import numpy as np

CODECS = {"bytes", "zstd", "blosc", "crc32c"}
FLOATS = ("float16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
FILE_LIMIT, BYTE_LIMIT, JSON_LIMIT = 10_000, 10**9, 10**6
DEPTH_LIMIT, CODEC_LIMIT, CHUNK_BYTE_LIMIT = 16, 4, 2**28
LEVEL_LIMIT, MEMBER_LIMIT, VALUE_BYTE_LIMIT = 199, 1000, 2 * 10**10
"""Quantiles and members of a forecast from others, and bytes of all of its values, uncompressed: a task
bounds those of point forecasts, but not how many members there are."""
FIRST_DIMENSION: dict[str, tuple[str, ...]] = {
    "point": (),
    "quantiles": ("quantile",),
    "samples": ("realization",),
}
"""Kind of a forecast → its dimension before those of the target; in the arrays it comes after the sample."""


def array_name(scenario: Scenario) -> str:
    """Name of the array that holds a scenario's forecasts."""
    return re.sub(r"[^A-Za-z0-9.=-]+", "_", scenario.key)


class ForecastWriter:
    """Streams forecasts of a task into a new group.

    Args:
        folder: an empty folder (see `tsbench.atomic.new_folder`).
        task: the task; forecasts are written in the space where it is scored.
        model: name of the model.
    """

    def __init__(self, folder: Path, task: Task, model: str) -> None:
        import zarr

        self.dimensions = target_dimensions(task.view)
        self.dtype = "complex64" if is_complex(task.view) else "float32"
        self.group = zarr.open_group(folder, mode="w", zarr_format=3)
        self.group.attrs.update(
            {"task": task.name, "version": task.version, "space": task.space, "model": model}
        )
        self.form: tuple[ForecastKind, tuple[float, ...], int] | None = None
        """Kind, levels and number of quantiles or members of the first forecast; all are to be like it."""
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.arrays: dict[str, Any] = {}

    def create(self, scenario: Scenario, shape: tuple[int, ...]) -> None:
        """Announce a scenario with the shape of its targets; its first forecasts create the array."""
        self.shapes[scenario.key] = shape

    def write(self, scenario: Scenario, cases: torch.Tensor, forecast: Forecast) -> None:
        """Write forecasts of consecutive cases.

        Raises:
            JobFailed: where they are of another kind, or have other levels or members than those before.
        """
        self._check_form(forecast)
        if scenario.key not in self.arrays:
            self.arrays[scenario.key] = self._create(scenario)
        start = int(cases[0])
        values = forecast.values if forecast.kind == "point" else forecast.values.transpose(0, 1)
        self.arrays[scenario.key][start : start + len(cases)] = values.numpy().astype(self.dtype)

    def _check_form(self, forecast: Forecast) -> None:
        size = 1 if forecast.kind == "point" else len(forecast.values)
        form = (forecast.kind, forecast.quantiles, size)
        if self.form is None:
            levels = {"quantiles": list(forecast.quantiles)} if forecast.quantiles else {}
            self.group.attrs.update({"kind": forecast.kind, **levels})
            self.form = form
        elif form != self.form:
            kind, _, number = self.form
            raise JobFailed(
                f"The model gave a forecast of kind {kind} ({number} a value) first, then one of kind "
                f"{forecast.kind} ({size} a value); those of one file need the same kind, levels and members"
            )

    def _create(self, scenario: Scenario) -> Any:
        from zarr.codecs import BloscCodec, Crc32cCodec

        assert self.form is not None
        kind, _, size = self.form
        first = FIRST_DIMENSION[kind]
        cases, *rest = self.shapes[scenario.key]
        shape = (cases, *((size,) if first else ()), *rest)
        return self.group.create_array(
            array_name(scenario),
            shape=shape,
            dtype=self.dtype,
            chunks=(min(block_cases(shape, itemsize(self.dtype)), cases), *shape[1:]),
            compressors=[BloscCodec(cname="zstd", shuffle="bitshuffle"), Crc32cCodec()],
            dimension_names=(self.dimensions[0], *first, *self.dimensions[1:]),
            attributes={"scenario": scenario.key},
            fill_value=float("nan"),
        )


@dataclass(frozen=True)
class SavedForecast:
    """A checked forecast.

    Attributes:
        folder: the Zarr group.
        space: `normalised` or `units`.
        model: name that its maker gave.
        arrays: scenario key → its array.
        scenarios: those for which there is an array.
        kind: of the forecasts.
        quantiles: their levels, ascending.
    """

    folder: Path
    space: str
    model: str
    arrays: dict[str, SavedArray]
    scenarios: tuple[Scenario, ...]
    kind: ForecastKind = "point"
    quantiles: tuple[float, ...] = ()

    def batches(
        self,
        scenario: Scenario,
        read: "Callable[[SavedArray], Iterator[np.ndarray]]" = read_blocks,
    ) -> Iterator[tuple[torch.Tensor, Forecast]]:
        """Case indices and forecasts, in double precision.

        Args:
            scenario: one of `scenarios`.
            read: gives an array's values block by block; where the forecast comes from others, a reader in
                a process of its own.

        Raises:
            InputError: where a chunk is damaged or a value is not finite.
        """
        start = 0
        for block in read(self.arrays[scenario.key]):
            cases = torch.arange(start, start + len(block))
            start += len(block)
            values = torch.from_numpy(block)
            if not bool(values.isfinite().all()):
                raise InputError(f"{self.folder}: '{scenario.key}' has values that are missing or not finite")
            values = values.to(torch.complex128 if values.is_complex() else torch.float64)
            if self.kind != "point":
                values = values.transpose(0, 1)  # (quantile or realization, sample, …)
            yield cases, Forecast(values, self.kind, self.quantiles)


def check_forecast(folder: Path, task: Task, shapes: dict[str, tuple[int, ...]]) -> SavedForecast:
    """Check a forecast that was made elsewhere before a single chunk is read.

    Args:
        folder: the Zarr group.
        task: the task that it claims to answer.
        shapes: scenario key → shape that its array must have.

    Raises:
        InputError: where it is not a Zarr v3 directory, holds links, is too large, uses other codecs than
            `CODECS`, another dtype than a float (a complex number, where the task's values are such), another
            shape than the task's, huge chunks, an array of no scenario, or lacks the regular scenarios; where
            quantile levels do not ascend in (0, 1), or there are too many of them, or of members.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a Zarr directory")
    _check_files(folder)
    attributes = _metadata(folder / "zarr.json", "group").get("attributes", {})
    for key, value in (("task", task.name), ("version", task.version)):
        if key in attributes and attributes[key] != value:
            raise InputError(f"{folder} is a forecast of {key} '{_cut(attributes[key])}', not '{value}'")
    space = attributes.get("space", task.space)
    if space not in ("normalised", "units"):
        raise InputError(
            f"{folder}: attribute 'space' is '{_cut(space)}'; it must be 'normalised' or 'units'"
        )
    kind = _checked_kind(folder, attributes)
    quantiles = _checked_levels(folder, attributes) if kind == "quantiles" else ()
    names = {array_name(scenario): scenario for scenario in task.scenarios()}
    held = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if other := [name for name in held if name not in names]:
        near = difflib.get_close_matches(other[0], list(names), n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise InputError(f"{folder}: '{other[0]}' is no scenario of {task.name}{hint}")
    found = [scenario for name, scenario in names.items() if name in held]
    if not any(scenario.condition == "regular" for scenario in found):
        raise InputError(f"{folder} has no array 'regular' with the forecasts of the regular scenario")
    arrays = {}
    for scenario in found:
        if scenario.key not in shapes:
            raise InputError(
                f"{folder}: '{scenario.key}' cannot be scored: its data set is not prepared here"
            )
        shape = shapes[scenario.key]
        if kind == "quantiles":
            shape = (shape[0], len(quantiles), *shape[1:])
        arrays[scenario.key] = _check_array(folder / array_name(scenario), shape, task.view, kind)
    size = sum(math.prod(array.shape) * itemsize(array.dtype) for array in arrays.values())
    if kind != "point" and size > VALUE_BYTE_LIMIT:
        raise InputError(f"{folder} holds {size} bytes of values; at most {VALUE_BYTE_LIMIT} are read")
    model = str(attributes.get("model", re.sub(r"[^A-Za-z0-9_.-]+", "_", folder.stem)))
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", model):
        raise InputError(f"{folder}: attribute 'model' must be a name of letters, digits, '_', '.' and '-'")
    return SavedForecast(folder, space, model, arrays, tuple(found), kind, quantiles)


def _checked_kind(folder: Path, attributes: dict[str, Any]) -> ForecastKind:
    kinds = get_args(ForecastKind)
    said = attributes.get("kind", "point")
    for kind in kinds:
        if said == kind:
            return kind
    raise InputError(f"{folder}: attribute 'kind' is '{_cut(said)}'; it must be one of {', '.join(kinds)}")


def _checked_levels(folder: Path, attributes: dict[str, Any]) -> tuple[float, ...]:
    levels = attributes.get("quantiles")
    if not isinstance(levels, list) or not 0 < len(levels) <= LEVEL_LIMIT:
        raise InputError(f"{folder}: attribute 'quantiles' must be a list of 1 to {LEVEL_LIMIT} levels")
    if not all(type(one) is float and 0 < one < 1 for one in levels) or levels != sorted(set(levels)):
        raise InputError(f"{folder}: attribute 'quantiles' must ascend within (0, 1), not {_cut(levels)}")
    return tuple(levels)


def _check_files(folder: Path) -> None:
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


def _metadata(path: Path, node: str) -> dict[str, Any]:
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


def _check_array(folder: Path, shape: tuple[int, ...], view: str, kind: ForecastKind) -> SavedArray:
    """Check an array; of samples `shape` is without the members, whose number the array says."""
    metadata = _metadata(folder / "zarr.json", "array")
    dtype = metadata.get("data_type")
    allowed = COMPLEX if is_complex(view) else FLOATS
    if not isinstance(dtype, str) or dtype not in allowed:
        raise InputError(f"{folder} has the dtype '{_cut(dtype)}'; it must be one of {sorted(allowed)}")
    declared = metadata.get("shape")
    if kind == "samples":
        shape = (shape[0], _checked_members(folder, declared), *shape[1:])
    if declared != list(shape) or any(type(one) is not int for one in declared or ()):
        first, *rest = target_dimensions(view)
        names = ", ".join((first, *FIRST_DIMENSION[kind], *rest))
        raise InputError(f"{folder} has the shape {_cut(declared)}; ({names}) is {list(shape)}")
    chunk = _check_chunks(folder, metadata.get("chunk_grid"), len(shape), itemsize(dtype))
    if math.prod(-(-one // size) for one, size in zip(shape, chunk, strict=True)) > FILE_LIMIT:
        raise InputError(f"{folder} has chunks of {list(chunk)}, which would be more than {FILE_LIMIT} files")
    codecs = metadata.get("codecs")
    if not isinstance(codecs, list):
        raise InputError(f"{folder}: 'codecs' must be a list")
    names = {str(codec.get("name") if isinstance(codec, dict) else codec) for codec in codecs}
    if not names <= CODECS:
        raise InputError(
            f"{folder} uses the codecs {_cut(sorted(names - CODECS))}; allowed are {sorted(CODECS)}"
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
            f"{folder} has chunks of {_cut(chunk)} values; one may hold at most {CHUNK_BYTE_LIMIT} bytes"
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


def _cut(value: Any, length: int = 100) -> str:
    """A value of the file as a message repeats it."""
    text = str(value)
    return text if len(text) <= length else f"{text[:length]}…"
