"""Reads a data set of GIFT-Eval: Arrow files as Hugging Face's `datasets` saves them, one series a record.

A folder holds `data-00000-of-00001.arrow` (and more, in order), each an IPC stream with the columns
`item_id`, `start` (time stamp), `freq` (as pandas writes it) and `target`: numbers, or for several channels a
list of them for each. `past_feat_dynamic_real` may hold covariates that are known up to the present only.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest

if TYPE_CHECKING:
    import xarray as xr

FREQUENCY = re.compile(r"(\d*)([A-Za-z]+)(?:-[A-Za-z]+)?")
UNITS = {
    "S": "PT{}S", "s": "PT{}S", "T": "PT{}M", "min": "PT{}M", "H": "PT{}H", "h": "PT{}H", "D": "P{}D",
    "W": "P{}W", "M": "P{}M", "ME": "P{}M", "MS": "P{}M", "Q": "P{}Q", "QE": "P{}Q", "QS": "P{}Q",
    "A": "P{}Y", "Y": "P{}Y", "YE": "P{}Y", "AS": "P{}Y",
}  # fmt: skip
"""Name of a frequency in pandas, old or new → ISO 8601 duration; a quarter is three months."""
YEARS = np.array(["1678", "2262"], "datetime64[us]")
"""Between which a store holds time stamps, in nanoseconds."""


def build(request: BuildRequest) -> "xr.Dataset":
    """Read every file of a folder.

    Raises:
        InputError: where a file is damaged, lacks a column, states another frequency than the card, or holds
            records that do not fit each other.
    """
    series = [one for name in sorted(request.files) for one in _records(request.files[name], name)]
    _check(series, request.name, str(request.parameters["step"]))
    return _ragged(series, str(request.parameters["step"]))


class _Record:
    """A series: its name, first time stamp and frequency, and values and covariates (time, column)."""

    def __init__(self, where: str, item: str, start: np.datetime64, freq: str) -> None:
        self.where, self.item, self.start, self.freq = where, item, start, freq
        self.values = self.past = np.zeros((0, 0))


def _records(path: Path, name: str) -> Iterator[_Record]:
    table = _read(path, name)
    for column in ("item_id", "start", "freq", "target"):
        if column not in table.column_names:
            held = ", ".join(table.column_names)
            raise InputError(f"{name} has no column '{column}'; it has {held}")
    items, frequencies = table["item_id"].to_pylist(), table["freq"].to_pylist()
    starts = _stamps(table["start"], name)
    targets = _matrices(table["target"], f"{name}, column 'target'")
    pasts = (
        _matrices(table["past_feat_dynamic_real"], f"{name}, column 'past_feat_dynamic_real'")
        if "past_feat_dynamic_real" in table.column_names
        else iter(lambda: None, 0)
    )
    for number, (values, past) in enumerate(zip(targets, pasts, strict=False)):
        where = f"{name}, record {number} ('{items[number]}')"
        record = _Record(where, str(items[number]), starts[number], str(frequencies[number]))
        if values is None or len(values) == 0:
            raise InputError(f"{where}: it has no values")
        record.values = values
        record.past = np.zeros((len(values), 0)) if past is None else past
        if len(record.past) != len(values):
            raise InputError(f"{where}: {len(record.past)} covariates for {len(values)} values")
        yield record


def _read(path: Path, name: str) -> Any:
    import pyarrow

    try:
        with pyarrow.memory_map(str(path)) as source:
            table = pyarrow.ipc.open_stream(source).read_all()
            # Offsets of lists come from the file: they are checked before anything is read by them.
            table.validate(full=True)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"{name} is no Arrow stream of records: {reason}") from error
    return table


def _stamps(column: Any, name: str) -> np.ndarray:
    import pyarrow

    try:
        stamps = column.cast(pyarrow.timestamp("us")).to_numpy()
    except pyarrow.ArrowException as error:
        raise InputError(f"{name}, column 'start': it holds {column.type}, not time stamps") from error
    if np.isnat(stamps).any():
        raise InputError(f"{name}, record {int(np.isnat(stamps).argmax())}: it has no start")
    stamps = stamps.astype("datetime64[us]")
    if ((stamps < YEARS[0]) | (stamps >= YEARS[1])).any():
        raise InputError(
            f"{name}: a start lies outside the years {YEARS[0].item().year} to {YEARS[1].item().year}"
        )
    return stamps


def _matrices(column: Any, where: str) -> Iterator[np.ndarray | None]:
    """Each record's numbers as float64, (time, column); None where it has none."""
    import pyarrow
    from pyarrow import types

    for chunk in column.chunks:
        nested = _is_list(chunk.type) and _is_list(chunk.type.value_type)
        leaf = chunk.type.value_type.value_type if nested else getattr(chunk.type, "value_type", None)
        if not _is_list(chunk.type) or not (types.is_floating(leaf) or types.is_integer(leaf)):
            raise InputError(f"{where}: it holds {chunk.type}, not lists of numbers")
        for record in chunk:
            if not record.is_valid:
                yield None
                continue
            rows = record.values if nested else pyarrow.array([record.values.to_numpy(zero_copy_only=False)])
            lengths = rows.value_lengths().to_numpy(zero_copy_only=False)
            if len(lengths) == 0 or np.isnan(lengths.astype(float)).any() or len(set(lengths.tolist())) != 1:
                raise InputError(f"{where}: the channels of a record have different lengths")
            flat = rows.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
            yield np.ascontiguousarray(flat.reshape(len(lengths), -1).T)


def _is_list(kind: Any) -> bool:
    from pyarrow import types

    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def iso_step(frequency: str) -> str | None:
    """A frequency of pandas (`15T`, `W-SUN`) as an ISO 8601 duration, or None for one that is not known.

    Example:
        >>> iso_step("15T"), iso_step("W-SUN"), iso_step("Q-DEC")
        ('PT15M', 'P1W', 'P3M')
    """
    found = FREQUENCY.fullmatch(frequency)
    if found is None or found[2] not in UNITS:
        return None
    number, unit = int(found[1] or 1), UNITS[found[2]]
    return f"P{3 * number}M" if unit == "P{}Q" else unit.format(number)


def _check(series: list[_Record], name: str, step: str) -> None:
    if not series:
        raise InputError(f"'{name}': the files hold no series")
    first = series[0]
    for one in series:
        if iso_step(one.freq) != step:
            raise InputError(f"{one.where}: its frequency is '{one.freq}', the card of '{name}' says {step}")
        shapes = (one.values.shape[1], one.past.shape[1]), (first.values.shape[1], first.past.shape[1])
        if shapes[0] != shapes[1]:
            raise InputError(
                f"{one.where}: {shapes[0][0]} channels and {shapes[0][1]} covariates, the first record has "
                f"{shapes[1][0]} and {shapes[1][1]}"
            )
        if np.isinf(one.values).any() or np.isinf(one.past).any():
            raise InputError(f"{one.where}: it holds an infinite value")


def _ragged(series: list[_Record], step: str) -> "xr.Dataset":
    import xarray as xr

    values = np.concatenate([one.values for one in series])
    past = np.concatenate([one.past for one in series])
    size = {"units": "1", "long_name": "number of values of the series", "sample_dimension": "observation"}
    label = {"units": "1", "long_name": "value", "comment": "The publisher states no units."}
    several = values.shape[1] > 1
    arrays: dict[str, Any] = {
        "value": (("observation", "channel"), values, label)
        if several
        else ("observation", values[:, 0], label),
        "row_size": ("series", np.array([len(one.values) for one in series], np.int64), size),
        "start": (
            "series",
            np.array([one.start for one in series]).astype("datetime64[ns]"),
            {"long_name": "time of the first value"},
        ),
    }
    names = np.array([one.item for one in series], object)
    coords: dict[str, Any] = {"series": ("series", names, {"cf_role": "timeseries_id"})}
    if several:
        coords["channel"] = np.array([f"target_{number}" for number in range(values.shape[1])], object)
    if past.shape[1]:
        arrays["past_covariates"] = (("observation", "past_covariate"), past.astype(np.float32), label)
        coords["past_covariate"] = np.array([f"past_{number}" for number in range(past.shape[1])], object)
    return xr.Dataset(arrays, coords, {"featureType": "timeSeries", "step": step})
