"""The arrays of a panel store in memory, in float32, and which rows follow each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import xarray as xr

from tsbench.contracts import InputError, PanelLayout

from ..steps import step_seconds

WIDTHS = {"context": 3, "static": 2, "categorical": 2, "entities": 3}
"""Field of the layout → dimensions of its array."""


@dataclass(frozen=True)
class PanelArrays:
    """What a task reads of a store.

    Attributes:
        name: of the data set.
        opened: the store.
        layout: which arrays.
    """

    name: str
    opened: xr.Dataset
    layout: PanelLayout

    @cached_property
    def context(self) -> torch.Tensor:
        """Float32, shape (row, step, channel); NaN where not observed."""
        return torch.from_numpy(self._array("context").astype(np.float32))

    @cached_property
    def target(self) -> torch.Tensor:
        """Float64, shape (row,); NaN where unknown."""
        label = self.layout.target
        if label not in self.opened:
            raise self._unknown("array", label, self.opened.data_vars)
        if self.opened[label].dims != ("sample",):
            raise InputError(f"'{label}' of '{self.name}' has the dimensions {self.opened[label].dims}")
        return torch.from_numpy(self.opened[label].values.astype(np.float64))

    @cached_property
    def static(self) -> torch.Tensor | None:
        """Float32, shape (row, feature), or None."""
        return self._optional("static")

    @cached_property
    def position(self) -> torch.Tensor | None:
        """Coordinates of the place, float32, shape (row, coordinate), or None."""
        if not self.layout.position:
            return None
        found = [self.coordinate(name).astype(np.float32) for name in self.layout.position]
        return torch.from_numpy(np.stack(found, axis=1))

    @cached_property
    def entities(self) -> torch.Tensor | None:
        """Float32, shape (row, entity, feature), or None; NaN throughout where there is no entity."""
        return self._optional("entities")

    @cached_property
    def categorical(self) -> torch.Tensor | None:
        """Codes, int64, shape (row, feature), or None."""
        if self.layout.categorical is None:
            return None
        codes = self._array("categorical")
        if codes.dtype.kind not in "iu" or (codes < 0).any():
            raise InputError(f"'{self.layout.categorical}' of '{self.name}' must hold codes from 0 on")
        return torch.from_numpy(codes.astype(np.int64))

    @cached_property
    def entity_codes(self) -> list[int]:
        """Columns of `entities` that are codes."""
        names = self.columns("entities")
        for label in self.layout.entity_categorical:
            if label not in names:
                raise self._unknown("feature of its entities", label, names)
        return [names.index(label) for label in self.layout.entity_categorical]

    def columns(self, field: str) -> tuple[str, ...]:
        """Names of the columns of an array; empty where the layout names none."""
        label = getattr(self.layout, field)
        if label is None:
            return ()
        last = self._checked(field).dims[-1]
        if last in self.opened.coords:
            return tuple(str(one) for one in self.opened[last].values)
        return tuple(f"{label}{number}" for number in range(self.opened.sizes[last]))

    def coordinate(self, name: str) -> np.ndarray:
        """A coordinate of the samples, shape (row,).

        Raises:
            InputError: where there is none of that name.
        """
        if name not in self.opened.coords or self.opened[name].dims != ("sample",):
            known = [str(key) for key, one in self.opened.coords.items() if one.dims == ("sample",)]
            raise self._unknown("coordinate of its samples", name, sorted(known))
        return np.asarray(self.opened[name].values)

    @cached_property
    def begin(self) -> np.ndarray | None:
        """Stamp of each row's first step, nanoseconds since 1970, int64, shape (row,), or None."""
        if self.layout.begin is None:
            return None
        return self.coordinate(self.layout.begin).astype("datetime64[ns]").astype(np.int64)

    @property
    def step(self) -> str | None:
        """How far two steps lie apart, an ISO 8601 duration, or None."""
        found = self.opened.attrs.get("step")
        return None if found is None else str(found)

    @property
    def step_nanoseconds(self) -> int:
        """How far two steps lie apart.

        Raises:
            InputError: where the store does not say.
        """
        seconds = step_seconds(self.step)
        if seconds is None:
            raise InputError(f"'{self.name}' has no attribute `step`, which `begin` needs")
        return round(seconds * 1e9)

    def history(self, periods: int) -> tuple[torch.Tensor, np.ndarray]:
        """Rows of the periods up to a row's own, and whether they follow each other without a gap.

        Args:
            periods: how many, the row's own included.

        Returns:
            Rows, int64, shape (row, period), and a mask, shape (row,): false where one is missing.

        Raises:
            InputError: where a place has a period twice, or periods are no whole numbers.
        """
        rows = np.arange(self.opened.sizes["sample"])
        if periods == 1 or self.layout.place is None:
            return torch.from_numpy(rows)[:, None], np.ones(len(rows), bool)
        number = self.coordinate(self.layout.period).astype(np.float64)
        if not np.array_equal(number, np.round(number)):
            raise InputError(f"'{self.name}': `{self.layout.period}` must number periods by whole numbers")
        place = np.unique(self.coordinate(self.layout.place), return_inverse=True)[1]
        # As many periods before the first stay empty as a history reaches back.
        period = (number - number.min()).astype(np.int64) + periods - 1
        table = np.full((place.max() + 1, period.max() + 1), -1, np.int64)
        table[place, period] = rows
        if (table >= 0).sum() < len(rows):
            twice = int(np.flatnonzero(table[place, period] != rows)[0])
            what = f"{self.coordinate(self.layout.place)[twice]}, {self.layout.period} {number[twice]:g}"
            raise InputError(f"'{self.name}' holds {what} twice")
        back = np.arange(periods - 1, -1, -1)
        found = table[place[:, None], period[:, None] - back]  # (row, period)
        return torch.from_numpy(found), np.all(found >= 0, axis=1)

    def _optional(self, field: str) -> torch.Tensor | None:
        if getattr(self.layout, field) is None:
            return None
        return torch.from_numpy(self._array(field).astype(np.float32))

    def _array(self, field: str) -> np.ndarray:
        try:
            return self._checked(field).values
        except ValueError as error:
            raise InputError(f"The store of '{self.name}' is damaged: {error}") from error

    def _checked(self, field: str) -> xr.DataArray:
        label = getattr(self.layout, field)
        if label not in self.opened:
            raise self._unknown("array", label, self.opened.data_vars)
        found = self.opened[label]
        if found.ndim != WIDTHS[field] or found.dims[0] != "sample":
            raise InputError(
                f"'{label}' of '{self.name}' has the dimensions {found.dims}; `{field}` takes "
                f"{WIDTHS[field]}, the first `sample`"
            )
        return found

    def _unknown(self, what: str, name: str, known: Mapping | list | tuple) -> InputError:
        return InputError(f"'{self.name}' has no {what} '{name}'; it has {', '.join(map(str, known))}")
