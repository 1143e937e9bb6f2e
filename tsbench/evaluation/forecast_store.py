"""Saved forecasts: a Zarr v3 group with one array a scenario, streamed out; untrusted ones are checked first.

Array `regular` (or another scenario's key with every run of other characters than letters, digits, `.`, `=`
and `-` replaced by `_`) is shaped as the task's target, (sample, lead_time, channel) for time series.
Quantiles or members come after the sample: (sample, quantile, lead_time, channel), (sample, realization,
lead_time, channel). The group's attributes name task, version, space, kind, and levels (`quantiles`).
"""

import difflib
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch

from tsbench.contracts import Forecast, ForecastKind, InputError, JobFailed, Scenario, Task
from tsbench.data.views import is_complex, target_dimensions

from .array_check import FIRST_DIMENSION, check_array, check_files, cut, read_metadata
from .blocks import SavedArray, block_cases, itemsize, read_blocks

if TYPE_CHECKING:
    import numpy as np

LEVEL_LIMIT, VALUE_BYTE_LIMIT = 199, 2 * 10**10
"""Quantiles of a forecast from others, and bytes of all of its values, uncompressed: a task bounds those of
point forecasts, but not how many members there are."""


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
    check_files(folder)
    attributes = read_metadata(folder / "zarr.json", "group").get("attributes", {})
    for key, value in (("task", task.name), ("version", task.version)):
        if key in attributes and attributes[key] != value:
            raise InputError(f"{folder} is a forecast of {key} '{cut(attributes[key])}', not '{value}'")
    space = attributes.get("space", task.space)
    if space not in ("normalised", "units"):
        raise InputError(f"{folder}: attribute 'space' is '{cut(space)}'; it must be 'normalised' or 'units'")
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
        arrays[scenario.key] = check_array(folder / array_name(scenario), shape, task.view, kind)
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
    raise InputError(f"{folder}: attribute 'kind' is '{cut(said)}'; it must be one of {', '.join(kinds)}")


def _checked_levels(folder: Path, attributes: dict[str, Any]) -> tuple[float, ...]:
    levels = attributes.get("quantiles")
    if not isinstance(levels, list) or not 0 < len(levels) <= LEVEL_LIMIT:
        raise InputError(f"{folder}: attribute 'quantiles' must be a list of 1 to {LEVEL_LIMIT} levels")
    if not all(type(one) is float and 0 < one < 1 for one in levels) or levels != sorted(set(levels)):
        raise InputError(f"{folder}: attribute 'quantiles' must ascend within (0, 1), not {cut(levels)}")
    return tuple(levels)
