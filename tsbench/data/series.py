"""Reads a prepared store of one time series as a plain table: values, variable names, time stamps, step."""

from dataclasses import dataclass

import numpy as np

from tsbench.contracts import InputError

from . import prepare, store
from .adapter import Size


@dataclass(frozen=True)
class SeriesTable:
    """A multivariate time series.

    Attributes:
        name: the data set.
        values: float64, shape (row, variable); NaN where missing.
        variables: name of each column.
        units: CF units of each column.
        time: datetime64[ns], shape (row,), or int64 where the data have no calendar.
        step: nominal step as an ISO 8601 duration, or None.
        recipe: hash of how the store was made.
        content: hash of its decoded values.
    """

    name: str
    values: np.ndarray
    variables: tuple[str, ...]
    units: tuple[str, ...]
    time: np.ndarray
    step: str | None
    recipe: str
    content: str

    def stamp(self, row: int) -> str:
        """ISO 8601 text of a row's time, or its index."""
        moment = self.time[row]
        return np.datetime_as_string(moment, unit="s") if self.time.dtype.kind == "M" else str(moment)

    def columns(self, names: tuple[str, ...] | str) -> list[int]:
        """Positions of the named variables; `all` for all of them.

        Raises:
            InputError: where the data have no such variable.
        """
        if names == "all":
            return list(range(len(self.variables)))
        for name in names:
            if name not in self.variables:
                raise InputError(
                    f"'{self.name}' has no variable '{name}'; it has {', '.join(self.variables)}"
                )
        return [self.variables.index(name) for name in names]


def read_series(name: str, size: Size = "full") -> SeriesTable:
    """Read the store of data set `name` in that size, preparing it first where it is missing.

    Raises:
        InputError: where the store cannot be prepared, is damaged, or does not hold one time series.
    """
    path = prepare.ensure(name, size)
    opened, provenance = store.open_store(path), store.read_provenance(path)
    columns, names, units = [], [], []
    for label, variable in opened.data_vars.items():
        if variable.dims == ("time",):
            columns.append(np.asarray(variable.values, np.float64)[:, None])
            names.append(str(label))
            units.append(str(variable.attrs.get("units", "1")))
        elif variable.dims == ("time", "channel"):
            columns.append(np.asarray(variable.values, np.float64))
            names += [str(channel) for channel in opened["channel"].values]
            units += [str(variable.attrs.get("units", "1"))] * variable.shape[1]
        else:
            raise InputError(
                f"'{name}' holds '{label}' with the dimensions {variable.dims}, not one time series"
            )
    return SeriesTable(
        name=name,
        values=np.concatenate(columns, axis=1),
        variables=tuple(names),
        units=tuple(units),
        time=opened["time"].values,
        step=opened["time"].attrs.get("step"),
        recipe=provenance.recipe,
        content=provenance.content,
    )
