"""The data of a task of fev as a store of series of different length: rows become entries as of GluonTS."""

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.steps import stamps_at
from tsbench.gluonts.collect import dataset_of
from tsbench.gluonts.entries import Entry, entry_of
from tsbench.gluonts.files import Metadata
from tsbench.gluonts.frequency import step_of

from .definitions import Definition
from .windows import step_and_unused, windows_of

if TYPE_CHECKING:
    import pyarrow as pa
    import xarray as xr

DEFINITION = "fev_task"
"""Attribute of a store that holds the definition of its task, JSON."""
METRICS = "fev_metrics"
SHORTER_THAN_A_SECOND = re.compile(r"\d*(ms|us|ns)")


@dataclass
class _Columns:
    """Columns of one GluonTS field: values of each series by column, and the columns' names."""

    names: list[str] = field(default_factory=list)
    values: list[list[np.ndarray]] = field(default_factory=list)

    def row(self, series: int) -> np.ndarray:
        """Of a series: (column, time), or (column,) of a static field."""
        return np.stack([column[series] for column in self.values])


def collection_of(definition: Definition) -> "xr.Dataset":
    """Read a task's data with fev, and keep the series that it scores in some window.

    Static columns are numbers or, where they hold text, categories; columns of text are the numbers of their
    sorted values, with one more for what is missing.

    Raises:
        InputError: where fev refuses definition or data, windows are not such as ours, or a column is of
            another kind.
    """
    task, dataset = definition.load()
    where, table = definition.where, dataset.data.table
    stamps = [one.astype("datetime64[ns]") for one in _lists(table, task.timestamp_column, stamps_of)]
    windows = windows_of(task, stamps, where)
    kept = windows.kept
    table, stamps = table.take(kept), [stamps[row] for row in kept]
    step = _step(task, stamps, where)
    entries, fields = _entries(task, table, stamps, where)
    names = {name: tuple(columns.names) for name, columns in fields.items()}
    made = dataset_of(
        Metadata(task.freq if step else "B", task.horizon, names, _cardinality(fields)),
        entries,
        [],
        definition.name,
    )
    if task.is_multivariate:
        made = made.assign_coords(channel=np.array(task.target_columns, object))
    window_step, unused = step_and_unused(windows, task)
    return made.assign_attrs(
        frequency=task.freq,
        windows=task.num_windows,
        window_step=window_step,
        unused=unused,
        **{
            DEFINITION: json.dumps(dict(definition.fields), sort_keys=True),
            METRICS: list(definition.metrics),
        },
    )


def stamps_of(flat: "pa.Array") -> np.ndarray:
    """Time stamps without a zone, of the universal time where they had one."""
    import pyarrow as pa

    return flat.cast(pa.timestamp("ns", tz=flat.type.tz)).to_numpy(zero_copy_only=False)


def stamps_in(task: Any, dataset: Any) -> list[np.ndarray]:
    """Time stamps of each series of loaded data, datetime64[ns]."""
    return _lists(dataset.data.table, task.timestamp_column, stamps_of)


def _step(task: Any, stamps: list[np.ndarray], where: str) -> str | None:
    """The step as an ISO 8601 duration; None where it is no fixed duration, so that there is no calendar.

    Raises:
        InputError: for steps below a second, or where a series has another step than the first.
    """
    if SHORTER_THAN_A_SECOND.fullmatch(task.freq):
        raise InputError(f"{where}: the step is '{task.freq}'; steps of a second and longer are read")
    step = step_of(task.freq)
    for number, one in enumerate(stamps):
        if step is None or np.array_equal(stamps_at(one[:1], np.arange(len(one)), step), one):
            continue
        if number == 0:
            return None
        raise InputError(
            f"{where}: series {number + 1} does not go on by the step of the first, '{task.freq}'; every "
            "series needs the same"
        )
    return step


def _entries(
    task: Any, table: "pa.Table", stamps: list[np.ndarray], where: str
) -> tuple[list[Entry], dict[str, _Columns]]:
    """The series as checked entries, and the columns of each field."""
    targets = [_numbers(table, name, where) for name in task.target_columns]
    fields: dict[str, _Columns] = {}
    for prefix, chosen in (("", task.known_dynamic_columns), ("past_", task.past_dynamic_columns)):
        for name in chosen:
            text = _is_text(table.schema.field(name).type.value_type)
            made = fields.setdefault(f"{prefix}feat_dynamic_{'cat' if text else 'real'}", _Columns())
            made.names.append(name)
            made.values.append(_codes(table, name) if text else _numbers(table, name, where))
    for name in task.static_columns:
        text = _is_text(table.schema.field(name).type)
        made = fields.setdefault(f"feat_static_{'cat' if text else 'real'}", _Columns())
        made.names.append(name)
        values = (
            _code(table[name].combine_chunks()) if text else _real(table[name].combine_chunks(), name, where)
        )
        made.values.append(list(values))
    entries = []
    for row, identifier in enumerate(table[task.id_column].to_pylist()):
        target = np.stack([one[row] for one in targets]) if task.is_multivariate else targets[0][row]
        record = {"item_id": identifier, "start": stamps[row][0], "target": target}
        record |= {name: columns.row(row) for name, columns in fields.items()}
        entries.append(entry_of(record, f"{where}: series '{identifier}'"))
    return entries, fields


def _cardinality(fields: dict[str, _Columns]) -> tuple[int, ...]:
    static = fields.get("feat_static_cat", _Columns())
    return tuple(int(max(column)) + 1 for column in static.values)


def _numbers(table: "pa.Table", name: str, where: str) -> list[np.ndarray]:
    return _lists(table, name, lambda flat: _real(flat, name, where))


def _codes(table: "pa.Table", name: str) -> list[np.ndarray]:
    return _lists(table, name, _code)


def _lists(table: "pa.Table", name: str, of_flat: Any) -> list[np.ndarray]:
    """Values of a column of lists, series by series."""
    column: Any = table[name].combine_chunks()
    flat = of_flat(column.flatten())
    lengths = column.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    return np.split(flat, np.cumsum(lengths)[:-1])


def _real(flat: "pa.Array", name: str, where: str) -> np.ndarray:
    """Numbers as float64, NaN where missing."""
    import pyarrow as pa
    from pyarrow import types

    kind = flat.type
    if not (
        types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    ):
        raise InputError(f"{where}: column '{name}' holds {kind}, not numbers")
    if types.is_boolean(kind):
        flat = flat.cast(pa.int8())
    return flat.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _code(flat: "pa.Array") -> np.ndarray:
    """Numbers of text among its sorted values, float64; what is missing has the number after the last."""
    text = flat.to_pylist()
    known = {value: number for number, value in enumerate(sorted({one for one in text if one is not None}))}
    return np.array([known.get(one, len(known)) for one in text], np.float64)


def _is_text(kind: "pa.DataType") -> bool:
    from pyarrow import types

    return types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind)
