"""Cases of a store of independent samples: rows of arrays, in memory or read from disk as they are used."""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
import xarray as xr

from .batch import Batch
from .cases import Cases, Scored
from .normalisation import Affine
from .views import dimensions

SHUFFLED_CHUNKS = 16
"""Chunks that are shuffled together where samples are read from disk."""


class Rows(Protocol):
    """Rows of an array of samples."""

    @property
    def chunk(self) -> int | None:
        """Rows that are read fastest together, or None in memory."""
        ...

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        """Some rows, shape (sample, ...)."""
        ...


class RowsInMemory:
    """A part of an array, read once.

    Args:
        values: shape (row, ...).
        first: row of the store that `values` begins with.
    """

    chunk: int | None = None

    def __init__(self, values: torch.Tensor, first: int) -> None:
        self.values, self.first = values, first

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        """Some rows of the store."""
        return self.values[rows - self.first]


class RowsOnDisk:
    """An array that is too large for memory; a run of rows that is asked for again is kept.

    Args:
        variable: opened lazily, first dimension `sample`.
    """

    def __init__(self, variable: xr.DataArray) -> None:
        self.variable = variable
        self.chunk = int(variable.encoding["chunks"][0])

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        """Some rows of the store, read in ascending order."""
        order = rows.argsort()
        values = torch.from_numpy(np.ascontiguousarray(self.variable[rows[order].numpy()].values))
        return values[order.argsort()]

    def keep(self, rows: torch.Tensor) -> RowsInMemory:
        """A run of consecutive rows, read into memory."""
        first, last = int(rows[0]), int(rows[-1])
        return RowsInMemory(torch.from_numpy(self.variable[first : last + 1].values), first)


@dataclass(frozen=True)
class Samples(Cases):
    """Independent samples of one part of a store.

    Attributes:
        contexts, targets: rows of the store in physical units.
        rows: of the store, one a case, int64, ascending.
        scale: physical units to model space.
        view: the task's own shape.
        context, horizon: steps. `gather` gives the whole stored context; `context` says how much of it an
            entry sees.
        width: sequences that a case holds.
        names: reserved names that are gathered.
        scored: the task's data, which know the space in which forecasts are scored.
    """

    contexts: Rows
    targets: Rows
    rows: torch.Tensor
    scale: Affine
    view: str
    context: int
    horizon: int
    width: int = 1
    names: frozenset[str] = frozenset({"context", "target"})
    scored: Scored | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.rows)

    def using(self, *names: str) -> "Samples":
        """The same samples with these reserved names gathered."""
        return replace(self, names=frozenset(names))

    def gather(self, cases: torch.Tensor) -> Batch:
        """The batch of some cases; context (whole, whatever the look-back) and target in model space."""
        rows = self.rows[cases]
        tensors = {"context": self.scale.to_model(self.contexts.take(rows)), "index": cases}
        if "target" in self.names:
            tensors["target"] = self.scale.to_model(self.targets.take(rows))
        return Batch(dimensions(self.view), **tensors)

    def gather_truth(self, cases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Targets in physical units, in the task's own shape; every value counts."""
        return self.targets.take(self.rows[cases]), None

    def order(self, generator: torch.Generator) -> torch.Tensor:
        """A permutation; where rows are read from disk, of chunks, then of cases among a few chunks."""
        if self.contexts.chunk is None:
            return super().order(generator)
        chunks = torch.split(torch.arange(len(self)), _run_lengths(self.rows // self.contexts.chunk))
        shuffled = [chunks[number] for number in torch.randperm(len(chunks), generator=generator)]
        blocks = [
            torch.cat(shuffled[start : start + SHUFFLED_CHUNKS])
            for start in range(0, len(shuffled), SHUFFLED_CHUNKS)
        ]
        return torch.cat([block[torch.randperm(len(block), generator=generator)] for block in blocks])


def _run_lengths(labels: torch.Tensor) -> list[int]:
    return torch.unique_consecutive(labels, return_counts=True)[1].tolist()
