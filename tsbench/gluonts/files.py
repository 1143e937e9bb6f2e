"""Reads GluonTS data sets from disk: JSON lines, Arrow, Parquet and metadata.json. Imports no GluonTS.

The folder of a repository data set holds `metadata.json`, `train/` and mostly `test/` with files
`data.json.gz`, `data.json` or `*.arrow`. Nothing is unpickled: Arrow columns are read as numbers and text.
"""

import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.contracts import InputError

from .entries import Entry, entry_of

if TYPE_CHECKING:
    import pyarrow as pa

JSON_LINES = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
ARROW = (".arrow", ".feather", ".parquet")
METADATA = "metadata.json"
NOT_DATA = (METADATA, "dataset_info.json", "state.json", "dataset_dict.json")
SHAPE = "._np_shape"
"""Ending of the column that holds the shape of a flattened one."""


@dataclass(frozen=True)
class Metadata:
    """What a data set says about itself.

    Attributes:
        frequency: of pandas.
        prediction_length: horizon in steps, or None.
        names: field → names of its features, where they are told.
        cardinality: number of categories of each static categorical feature, where it is told.
    """

    frequency: str
    prediction_length: int | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cardinality: tuple[int, ...] = ()


def read_files(files: Mapping[str, Path], name: str) -> tuple[Metadata, list[Entry], list[Entry]]:
    """Read the files of a data set.

    Args:
        files: path below the data set's folder → file.
        name: of the data set, for messages.

    Returns:
        Metadata, the entries of `train` (or of all files where there is no such folder), those of `test`.

    Raises:
        InputError: with the first mistake, file and line.
    """
    data = {place: path for place, path in files.items() if _kind(place) and Path(place).name not in NOT_DATA}
    parts = {
        part: {p: f for p, f in data.items() if part in Path(p).parts[:-1]} for part in ("train", "test")
    }
    train = parts["train"] or {place: path for place, path in data.items() if place not in parts["test"]}
    if not train:
        raise InputError(f"'{name}': there is no data file; GluonTS's end in {', '.join(JSON_LINES + ARROW)}")
    told: set[str] = set()
    entries = {
        part: [entry for place, path in sorted(chosen.items()) for entry in _read(place, path, told)]
        for part, chosen in (("train", train), ("test", parts["test"]))
    }
    if not entries["train"]:
        raise InputError(f"'{name}': {', '.join(sorted(train))} holds no series")
    return _metadata(files, told, name), entries["train"], entries["test"]


def _kind(place: str) -> str | None:
    name = Path(place).name
    if name.startswith("."):
        return None
    return next((kind for kind in JSON_LINES + ARROW if name.endswith(kind)), None)


def _read(place: str, path: Path, told: set[str]) -> Iterator[Entry]:
    records = _arrow_records(place, path) if _kind(place) in ARROW else _json_records(place, path)
    for where, record in records:
        if isinstance(record, Mapping) and isinstance(record.get("freq"), str):
            told.add(record["freq"])
        yield entry_of(record, where)


def _metadata(files: Mapping[str, Path], told: set[str], name: str) -> Metadata:
    place = next((one for one in sorted(files, key=len) if Path(one).name == METADATA), None)
    if place is None:
        if len(told) != 1:
            raise InputError(
                f"'{name}' tells no frequency: its folder needs a metadata.json such as "
                '{"freq": "h", "prediction_length": 24}'
            )
        return Metadata(next(iter(told)))
    document = _json(files[place].read_bytes(), place)
    if not isinstance(document, dict) or not isinstance(document.get("freq"), str):
        raise InputError(f'{place}: there is no "freq", such as "h" or "D"')
    length = document.get("prediction_length")
    if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < 1):
        raise InputError(f"{place}: prediction_length is a number of steps, not {length!r}")
    described = {key: value for key, value in document.items() if isinstance(value, list) and "feat_" in key}
    names = {
        key: tuple(str(one["name"]) for one in value)
        for key, value in described.items()
        if value and all(isinstance(one, dict) and "name" in one for one in value)
    }
    categories = described.get("feat_static_cat", [])
    cardinality = [str(one.get("cardinality")) for one in categories if isinstance(one, dict)]
    counts = tuple(int(one) for one in cardinality if one.isdecimal())
    return Metadata(document["freq"], length, names, counts if len(counts) == len(cardinality) else ())


def _json_records(place: str, path: Path) -> Iterator[tuple[str, Any]]:
    try:
        with path.open("rb") as file:
            lines = gzip.GzipFile(fileobj=file) if place.endswith(".gz") else file
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    where = f"{place}, line {number}"
                    yield where, _json(line, where)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{place} is no whole gzip file: {str(error)[:100]}") from error


def _json(text: bytes, where: str) -> Any:
    """JSON, in which NaN is a missing value."""
    try:
        return json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON: {str(error)[:150]}") from error


def _arrow_records(place: str, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa

    try:
        table = _arrow_table(path)
        columns = {name: _rows(table.column(name)) for name in table.column_names}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"{place} is no Arrow or Parquet file: {str(error).splitlines()[0][:150]}"
        ) from error
    for row in range(table.num_rows):
        record = {name: values[row] for name, values in columns.items()}
        where = f"{place}, row {row + 1}"
        yield where, _reshaped(record, where)


def _arrow_table(path: Path) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"PAR1"):
        return pq.ParquetFile(path).read()
    content = path.read_bytes()
    if start == b"ARROW1":
        return pa.ipc.open_file(pa.BufferReader(content)).read_all()
    return pa.ipc.open_stream(io.BytesIO(content)).read_all()


def _rows(column: "pa.ChunkedArray") -> list[Any]:
    """Values of a column, lists as arrays: without a Python object a number."""
    import pyarrow as pa

    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        if pa.types.is_timestamp(column.type):
            return [None if one is None else np.datetime64(one, "ns") for one in column.to_numpy()]
        return column.to_pylist()
    rows: list[Any] = []
    for chunk in column.chunks:
        offsets, inner = chunk.offsets.to_numpy(), chunk.values
        if pa.types.is_list(inner.type) or pa.types.is_large_list(inner.type):
            values: Any = _rows(pa.chunked_array([inner]))
        elif (
            pa.types.is_integer(inner.type)
            or pa.types.is_floating(inner.type)
            or pa.types.is_null(inner.type)
        ):
            values = inner.cast(pa.float64()).to_numpy(zero_copy_only=False)
        else:
            values = inner.to_pylist()
        present = chunk.is_valid().to_numpy(zero_copy_only=False)
        rows += [
            values[offsets[row] : offsets[row + 1]] if present[row] else None for row in range(len(chunk))
        ]
    return rows


def _reshaped(record: dict[str, Any], where: str) -> dict[str, Any]:
    for name in [name for name in record if name.endswith(SHAPE)]:
        shape, flat = record.pop(name), name.removesuffix(SHAPE)
        if shape is None or record.get(flat) is None:
            continue
        sizes = [int(one) for one in shape]
        if any(one < 0 for one in sizes) or int(np.prod(sizes)) != len(record[flat]):
            raise InputError(f"{where}: {flat} has {len(record[flat])} values, its shape is {sizes}")
        record[flat] = np.asarray(record[flat]).reshape(sizes)
    return record
