"""Data sets and tasks as GluonTS has them: entries in Python, or the folder of a repository data set."""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from tsbench import atomic, registry
from tsbench.contracts import InputError, RollingSplit, Task
from tsbench.data import prepare, store
from tsbench.data.collection import Columns, SeriesCollection, of_table, read_collection
from tsbench.data.series_data import SeriesData

from .frequency import UNKNOWN, frequency_of

Layout = Literal["json", "arrow"]
Part = Literal["train", "test"]
DYNAMIC_CATEGORIES = "dynamic_cat"
"""In the name of a covariate that holds categories."""


@dataclass(frozen=True)
class Export:
    """What is written.

    Attributes:
        collection: the series.
        train: number of values of each series' training part, shape (series,).
        test: numbers of values of each series' test entries, shape (series, window); windows may be none.
        frequency: of pandas.
        horizon: prediction length, or None.
        cardinality: number of categories of each categorical feature.
        apart: whether the channels of a series are series of their own.
    """

    collection: SeriesCollection
    train: np.ndarray
    test: np.ndarray
    frequency: str
    horizon: int | None
    cardinality: tuple[int, ...]
    apart: bool

    def entries(self, part: Part) -> Iterator[dict[str, Any]]:
        """Entries of a part: arrays under the names of GluonTS, `start` as datetime64 or absent."""
        ends = self.train[:, None] if part == "train" else self.test
        for window in range(ends.shape[1]):
            for series in range(len(self.collection.sizes)):
                yield from self._entries(series, int(ends[series, window]))

    def _entries(self, series: int, end: int) -> Iterator[dict[str, Any]]:
        data, first = self.collection, int(self.collection.first[series])
        rows = slice(first, first + end)
        features = {
            **_dynamic("", data.known, rows),
            **_dynamic("past_", data.past, rows),
            "feat_static_real": data.static.values[series],
            "feat_static_cat": data.categorical.values[series],
        }
        start = {} if data.starts is None else {"start": data.starts[series]}
        kept = start | {name: one for name, one in features.items() if one.size}
        target = data.values[rows].T  # (channel, time)
        if self.apart:
            for channel, values in zip(data.channels, target, strict=True):
                yield {"item_id": channel, "target": values, **kept}
        else:
            values = target if data.channels != ("value",) else target[0]
            yield {"item_id": data.series[series], "target": values, **kept}

    @property
    def metadata(self) -> dict[str, Any]:
        """The content of metadata.json."""
        described: dict[str, Any] = {"freq": self.frequency}
        if self.horizon is not None:
            described["prediction_length"] = self.horizon
        for field, columns in (("", self.collection.known), ("past_", self.collection.past)):
            real = [{"name": name} for name in columns.names if DYNAMIC_CATEGORIES not in name]
            if real:
                described[f"{field}feat_dynamic_real"] = real
        if self.collection.static.names:
            described["feat_static_real"] = [{"name": name} for name in self.collection.static.names]
        names = self.collection.categorical.names
        if names:
            described["feat_static_cat"] = [
                {"name": name, "cardinality": str(count)}
                for name, count in zip(names, self.cardinality, strict=True)
            ]
        return described


def gluonts_dataset(name: str | Task, part: Part = "train") -> list[dict[str, Any]]:
    """The entries of a data set or a task for GluonTS's estimators and predictors.

    Args:
        name: of a data set, whose values are in its units; or a task, or the name of a task that is not that
            of a data set, whose values are in model space, as models of the task see them.
        part: `train`; `test`: each series up to the end of each test window.

    Returns:
        Dictionaries with `start` (a pandas Period), `target` (float32) and features, as `ListDataset` makes
        them.

    Raises:
        InputError: for an unknown name, or data that are not prepared.
    """
    exported = _export(name)
    made = []
    for entry in exported.entries(part):
        start = pd.Timestamp(entry.get("start", "2000-01-01"))
        arrays = {
            key: value.astype(np.int32 if key.endswith("_cat") else np.float32)
            for key, value in entry.items()
            if isinstance(value, np.ndarray)
        }
        made.append(entry | arrays | {"start": pd.Period(start, exported.frequency)})
    return made


def write_folder(name: str, folder: Path, layout: Layout = "json") -> dict[str, int]:
    """Write a data set or a task as the folder of a GluonTS repository data set.

    Args:
        name: of the data set, in its units; or of a task, in model space.
        folder: new, or empty.
        layout: `json`: lines, compressed; `arrow`: GluonTS's own layout of Arrow files.

    Returns:
        Number of entries of `train` and `test`.

    Raises:
        InputError: for an unknown name, or a folder that is not empty or cannot be written.
    """
    exported = _export(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty; name a new folder")
    counts = {}
    with atomic.new_folder(folder) as temporary:
        text = json.dumps(exported.metadata, indent=1)
        (temporary / "metadata.json").write_text(text + "\n", encoding="utf-8")
        for part in ("train", "test"):
            entries = list(exported.entries(part))
            counts[part] = len(entries)
            if entries:
                (temporary / part).mkdir()
                write = _write_json if layout == "json" else _write_arrow
                write(entries, temporary / part)
    return counts


def _export(name: str | Task) -> Export:
    if isinstance(name, Task):
        return _of_task(name)
    # Some tasks have the name of their data set, which is what is meant then.
    is_task = name in registry.tasks() and name not in registry.datasets()
    return _of_task(registry.task(name)) if is_task else _of_dataset(name)


def _of_dataset(name: str) -> Export:
    path = prepare.ensure(name)
    opened = store.open_store(path)
    attributes, collection = opened.attrs, read_collection(path.parent.name)
    # As stored: models see covariates rounded, and filled where they are missing.
    for name, array in (("known", "known_covariates"), ("past", "past_covariates"), ("static", "static")):
        if array in opened:
            columns = Columns(opened[array].values, getattr(collection, name).names)
            collection = replace(collection, **{name: columns})
    horizon, windows = attributes.get("horizon"), int(attributes.get("windows", 1))
    train = collection.sizes if collection.train_sizes is None else collection.train_sizes
    step = int(attributes.get("window_step", 0))
    back = step * np.arange(windows - 1, -1, -1)
    tested = collection.train_sizes is not None
    return _exported(
        collection,
        train,
        collection.sizes[:, None] - back if tested else np.zeros((len(train), 0), np.int64),
        None if horizon is None else int(horizon),
        attributes.get("frequency"),
        tuple(map(int, attributes.get("cardinality", ()))),
    )


def _of_task(task: Task) -> Export:
    from tsbench.data.collection_data import CollectionData
    from tsbench.data.task_data import TaskData

    data = TaskData.open(task)
    if isinstance(data, CollectionData):
        held, split = data.held, task.split
        if not isinstance(split, RollingSplit):
            raise InputError(
                f"{task.id} splits by whole series, which is no layout of GluonTS; it is not exported"
            )
        values = held.values.double().numpy()
        if held.observed is not None:
            values = np.where(held.observed.numpy(), values, np.nan)
        collection = replace(data.collection, values=values)
        first, training = split.borders(collection.sizes, task.horizon)
        windows = np.arange(split.window_count(collection.sizes, task.horizon))
        ends = first[:, None] + windows * (split.step or task.horizon) + task.horizon
        long_enough = np.flatnonzero(training > 0)
        return _chosen(_exported(collection, training, ends, task.horizon), long_enough)
    if not isinstance(data, SeriesData):
        raise InputError(f"{task.id} forecasts no time series; GluonTS has no format for it")
    values = data.values.double().numpy()
    if data.observed is not None:
        values = np.where(data.observed.numpy(), values, np.nan)
    collection = of_table(replace(data.table, values=values))
    train, _, end = data.borders
    return _exported(collection, np.array([train]), np.array([[end]]), task.horizon)


def _exported(
    collection: SeriesCollection,
    train: np.ndarray,
    test: np.ndarray,
    horizon: int | None,
    frequency: str | None = None,
    cardinality: Sequence[int] = (),
) -> Export:
    largest = collection.categorical.values.max(axis=0, initial=-1) + 1
    told = tuple(cardinality) if len(cardinality) == len(largest) else tuple(map(int, largest))
    one_table = collection.series == (collection.name,) and collection.channels != ("value",)
    found = frequency or (frequency_of(collection.step) if collection.step else UNKNOWN)
    return Export(collection, train, test, found, horizon, told, one_table)


def _chosen(exported: Export, series: np.ndarray) -> Export:
    """Some of the series."""
    data = exported.collection
    if len(series) == len(data.sizes):
        return exported
    rows = np.flatnonzero(np.repeat(np.isin(np.arange(len(data.sizes)), series), data.sizes))

    def of(columns: Columns, chosen: np.ndarray) -> Columns:
        return Columns(columns.values[chosen], columns.names)

    kept = replace(
        data,
        values=data.values[rows],
        sizes=data.sizes[series],
        series=tuple(data.series[one] for one in series),
        starts=None if data.starts is None else data.starts[series],
        known=of(data.known, rows),
        past=of(data.past, rows),
        static=of(data.static, series),
        categorical=of(data.categorical, series),
    )
    return replace(exported, collection=kept, train=exported.train[series], test=exported.test[series])


def _dynamic(prefix: str, columns: Columns, rows: slice) -> dict[str, np.ndarray]:
    """Covariates under the names of GluonTS, shape (column, time); categories apart from numbers."""
    found: dict[str, np.ndarray] = {}
    for kind, wanted in (("real", False), ("cat", True)):
        chosen = [i for i, name in enumerate(columns.names) if (DYNAMIC_CATEGORIES in name) == wanted]
        values = columns.values[rows][:, chosen].T
        found[f"{prefix}feat_dynamic_{kind}"] = values.astype(np.int64) if wanted else values
    return found


def _write_json(entries: Sequence[dict[str, Any]], folder: Path) -> None:
    # Without a time stamp in the header the same data give the same bytes.
    with (
        (folder / "data.json.gz").open("wb") as file,
        gzip.GzipFile("data.json", "wb", compresslevel=4, fileobj=file, mtime=0) as packed,
    ):
        for entry in entries:
            line = {name: _plain(value) for name, value in entry.items()}
            packed.write(json.dumps(line, allow_nan=False, separators=(",", ":")).encode() + b"\n")


def _plain(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        return np.datetime_as_string(value, unit="s").replace("T", " ")
    if not isinstance(value, np.ndarray):
        return value
    if value.ndim == 2:
        return [_plain(row) for row in value]
    return ["NaN" if one != one else one for one in value.tolist()]


def _write_arrow(entries: Sequence[dict[str, Any]], folder: Path) -> None:
    import pyarrow as pa

    columns: dict[str, list[Any]] = {}
    for entry in entries:
        for name, value in entry.items():
            if isinstance(value, np.ndarray) and value.ndim == 2:
                columns.setdefault(f"{name}._np_shape", []).append(list(value.shape))
                value = value.reshape(-1)
            columns.setdefault(name, []).append(value)
    arrays = {
        name: pa.array(np.array(rows, "datetime64[us]")) if name == "start" else pa.array(rows)
        for name, rows in columns.items()
    }
    table = pa.table(arrays)
    with pa.OSFile(str(folder / "data.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
