"""Reads a prepared store of series of different length: a flat array of values, and where each begins.

The layout is a contiguous ragged array (CF 1.11, section 9.3.3): `value(observation)` or `value(observation,
channel)` and `row_size(series)`. Beside them a store may hold `start(series)`, the first time stamp of each
series (with the attribute `step` of the store, an ISO 8601 duration), `known_covariates(observation,
known_covariate)`, `past_covariates(observation, past_covariate)`, `static(series, feature)` and
`categorical(series, attribute)`. Further coordinates of `series` are labels, such as its part. A store
of one time series is a collection of one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from tsbench.contracts import InputError

from . import prepare, store
from .adapter import Size
from .series import SeriesTable, read_series
from .steps import irregularities, stamps_at, step_seconds

LAYOUT = {
    "row_size": ("series",),
    "train_size": ("series",),
    "start": ("series",),
    "known_covariates": ("observation", "known_covariate"),
    "past_covariates": ("observation", "past_covariate"),
    "static": ("series", "feature"),
    "categorical": ("series", "attribute"),
}
"""Array beside `value` → its dimensions."""


@dataclass(frozen=True)
class Columns:
    """Named columns of numbers.

    Attributes:
        values: shape (row, column).
        names: of the columns.
    """

    values: np.ndarray
    names: tuple[str, ...]


@dataclass(frozen=True)
class SeriesCollection:
    """Series of different length.

    Attributes:
        name: the data set.
        values: all values, series after series, float64, shape (observation, channel); NaN where missing.
        channels: names of the channels.
        sizes: number of values of each series, int64, shape (series,), each above 0.
        series: names of the series.
        train_sizes: where the publisher says that the training part of each series ends, shape (series,), or
            None.
        starts: time stamp of each series' first value, datetime64[us], shape (series,), or None.
        step: time step as an ISO 8601 duration, or None.
        known: covariates that are known ahead, float32, NaN-free, one row an observation.
        past: covariates that are known up to the present only, likewise.
        static: numbers of each series, float32, one row a series.
        categorical: categories of each series, int64, counted from 0, one row a series.
        recipe: hash of how the store was made.
        content: hash of its decoded values.
        parts: coordinate → label that it gives each series, shape (series,).
    """

    name: str
    values: np.ndarray
    channels: tuple[str, ...]
    sizes: np.ndarray
    series: tuple[str, ...]
    train_sizes: np.ndarray | None
    starts: np.ndarray | None
    step: str | None
    known: Columns
    past: Columns
    static: Columns
    categorical: Columns
    recipe: str
    content: str
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def first(self) -> np.ndarray:
        """Row of each series' first value, int64, shape (series,)."""
        return np.cumsum(self.sizes) - self.sizes

    @property
    def dated(self) -> bool:
        """Whether every value has a time stamp."""
        return self.starts is not None and self.step is not None

    def stamp(self, series: int, position: int) -> str:
        """ISO 8601 text of the time of a value, or its position in its series."""
        if self.starts is None or self.step is None:
            return str(position)
        moment = stamps_at(self.starts[series : series + 1], np.array([position]), self.step)
        return np.datetime_as_string(moment[0], unit="s")

    def columns(self, names: tuple[str, ...] | str) -> list[int]:
        """Positions of the named channels; `all` for all of them.

        Raises:
            InputError: where the data have no such channel.
        """
        if names == "all":
            return list(range(len(self.channels)))
        for name in names:
            if name not in self.channels:
                raise InputError(f"'{self.name}' has no variable '{name}'; it has {', '.join(self.channels)}")
        return [self.channels.index(name) for name in names]

    def select(self, names: tuple[str, ...] | str) -> "SeriesCollection":
        """The same series with some of their channels.

        Raises:
            InputError: where the data have no such channel.
        """
        if names == "all":
            return self
        columns = self.columns(names)
        chosen = tuple(self.channels[column] for column in columns)
        return replace(self, values=np.ascontiguousarray(self.values[:, columns]), channels=chosen)


def read_collection(name: str, size: Size = "full") -> SeriesCollection:
    """Read the store of data set `name` in that size, preparing it first where it is missing.

    Raises:
        InputError: where the store cannot be prepared, is damaged, or does not hold series.
    """
    path = prepare.ensure(name, size)
    opened, provenance = store.open_store(path), store.read_provenance(path)
    if "row_size" not in opened:
        return of_table(read_series(name, size))
    return of_dataset(opened, name, provenance.recipe, provenance.content)


def of_dataset(opened: xr.Dataset, name: str, recipe: str, content: str) -> SeriesCollection:
    """Series of an opened store.

    Raises:
        InputError: where arrays are missing, or have other dimensions or lengths than the layout says.
    """
    _check_layout(opened, name)
    value = opened["value"]
    values = np.asarray(value.values, np.float64)
    sizes = opened["row_size"].values.astype(np.int64)
    if len(sizes) == 0 or (sizes < 1).any() or sizes.sum() != len(values):
        raise InputError(
            f"'{name}': row_size of {len(sizes)} series adds up to {sizes.sum()} values (each at least 1), "
            f"the store holds {len(values)}"
        )
    step = opened.attrs.get("step")
    try:
        step_seconds(step)
    except ValueError as error:
        raise InputError(f"'{name}': the attribute step: {error}") from error
    channels = tuple(map(str, opened["channel"].values)) if value.ndim == 2 else ("value",)
    names = opened["series"].values if "series" in opened.coords else range(len(sizes))
    return SeriesCollection(
        name=name,
        values=values[:, None] if value.ndim == 1 else values,
        channels=channels,
        sizes=sizes,
        series=tuple(map(str, names)),
        train_sizes=opened["train_size"].values.astype(np.int64) if "train_size" in opened else None,
        starts=opened["start"].values.astype("datetime64[us]") if "start" in opened else None,
        step=step,
        known=_columns(opened, "known_covariates", sizes),
        past=_columns(opened, "past_covariates", sizes),
        static=_columns(opened, "static", None),
        categorical=_categories(opened, name),
        recipe=recipe,
        content=content,
        parts=_labels(opened),
    )


def of_table(table: SeriesTable) -> SeriesCollection:
    """One time series as a collection; it has time stamps where its time axis is regular."""
    dated = table.time.dtype.kind == "M" and not irregularities(table.time, table.step)
    none = Columns(np.zeros((len(table.values), 0), np.float32), ())
    return SeriesCollection(
        name=table.name,
        values=table.values,
        channels=table.variables,
        sizes=np.array([len(table.values)], np.int64),
        series=(table.name,),
        train_sizes=None,
        starts=table.time[:1].astype("datetime64[us]") if dated else None,
        step=table.step,
        known=none,
        past=none,
        static=Columns(np.zeros((1, 0), np.float32), ()),
        categorical=Columns(np.zeros((1, 0), np.int64), ()),
        recipe=table.recipe,
        content=table.content,
    )


def fill_rows_forward(values: np.ndarray, sizes: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Replace NaN by the last value before it in the same series.

    Args:
        values: shape (observation, column).
        sizes: number of values of each series, shape (series,).
        start: what stands before the first value of each series, shape (series, column).

    Returns:
        A new array without NaN.
    """
    observed = ~np.isnan(values)
    rows = np.arange(len(values))[:, None]
    last = np.maximum.accumulate(np.where(observed, rows, -1), axis=0)
    before = last < np.repeat(np.cumsum(sizes) - sizes, sizes)[:, None]
    filled = np.take_along_axis(values, np.maximum(last, 0), axis=0)
    return np.where(before, np.repeat(start, sizes, axis=0), filled)


def _check_layout(opened: xr.Dataset, name: str) -> None:
    held = ", ".join(map(str, opened.data_vars))
    if "value" not in opened or opened["value"].dims not in (("observation",), ("observation", "channel")):
        raise InputError(
            f"'{name}' holds no value(observation) or value(observation, channel); it has {held}"
        )
    if opened["value"].dtype.kind not in "fiu":
        raise InputError(f"'{name}': value is {opened['value'].dtype}, not a real number")
    for array, dimensions in LAYOUT.items():
        if array in opened and opened[array].dims != dimensions:
            raise InputError(
                f"'{array}' of '{name}' has the dimensions {opened[array].dims}, not {dimensions}"
            )


def _columns(opened: xr.Dataset, array: str, sizes: np.ndarray | None) -> Columns:
    """Columns of numbers, missing ones filled: in a series with the past, then and elsewhere with 0."""
    if array not in opened:
        rows = opened["row_size"].size if sizes is None else int(sizes.sum())
        return Columns(np.zeros((rows, 0), np.float32), ())
    values = opened[array].values.astype(np.float32)
    if sizes is not None and np.isnan(values).any():
        values = fill_rows_forward(values, sizes, np.zeros((len(sizes), values.shape[1]), np.float32))
    return Columns(np.nan_to_num(values), _names(opened, array))


def _categories(opened: xr.Dataset, name: str) -> Columns:
    if "categorical" not in opened:
        return Columns(np.zeros((opened["row_size"].size, 0), np.int64), ())
    values = opened["categorical"].values
    if values.dtype.kind not in "iu" or (values < 0).any():
        raise InputError(f"'{name}': categorical must hold integers from 0 on")
    return Columns(values.astype(np.int64), _names(opened, "categorical"))


def _labels(opened: xr.Dataset) -> dict[str, np.ndarray]:
    """Coordinates that label the series, their names aside."""
    return {
        str(name): np.array([str(label) for label in one.values])
        for name, one in opened.coords.items()
        if one.dims == ("series",) and name != "series"
    }


def _names(opened: xr.Dataset, array: str) -> tuple[str, ...]:
    dimension = opened[array].dims[1]
    labels = opened[dimension].values if dimension in opened.coords else range(opened[array].shape[1])
    return tuple(map(str, labels))
