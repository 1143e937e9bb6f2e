"""Cases of a store of maps: one sample is one transmitter in one scene."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from tsbench.contracts import InputError
from tsbench.contracts.field import NO_SIGNAL, FieldLayout
from tsbench.data.batch import Batch
from tsbench.data.cases import Cases, Scored
from tsbench.data.disturbances import case_generators
from tsbench.data.samples import SHUFFLED_CHUNKS, Rows
from tsbench.data.views import dimensions

from .maps import Maps
from .sampling import draw
from .scale import FieldScale
from .turning import SYMMETRIES, turn

CELLS = 512
"""Cells of a map that weigh as much as a sequence where the size of a batch is chosen."""


@dataclass(frozen=True)
class FieldCases(Cases):
    """Maps of one part of a store.

    Attributes:
        arrays: name → rows of the store, in units; with the masks that the store has.
        position: of the transmitter of each row of the store, shape (row, 3).
        environment: of each row of the store, shape (row, feature).
        rows: of the store, one a case, int64, ascending.
        layout: what the task reads.
        scale: units to model space.
        key: of the draws of samples, with the row of the store.
        counts: least and most samples of a case.
        names: reserved names that are gathered.
        scored: the task's data, which know the space in which forecasts are scored.
        seed: of the run, where cases are drawn anew in each epoch of training; None elsewhere.
        epoch: of training.
    """

    arrays: Mapping[str, Rows]
    position: torch.Tensor
    environment: torch.Tensor
    rows: torch.Tensor
    layout: FieldLayout
    scale: FieldScale
    key: str
    counts: tuple[int, int] = (0, 0)
    context: int = 1
    horizon: int = 1
    names: frozenset[str] = frozenset({"context", "target"})
    scored: Scored | None = field(default=None, repr=False, compare=False)
    seed: int | None = None
    epoch: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def width(self) -> int:  # type: ignore[override]
        """Large maps make small batches."""
        return max(1, int(np.prod(self.scale.frame.shape)) // CELLS)

    def using(self, *names: str) -> "FieldCases":
        """The same maps with these reserved names gathered.

        Raises:
            InputError: where the task hides the transmitter and its position is asked for.
        """
        if "position" in names and not self.layout.position:
            raise InputError("the task does not say where the transmitter is, and the model asks for it")
        return replace(self, names=frozenset(names))

    def gather(self, cases: torch.Tensor) -> Batch:
        """The batch of some cases, in the form that `tsbench.contracts.field` describes."""
        maps, generators = self._maps(cases)
        given, noise = self._sampled(maps, generators)
        channels, observed = [], []
        for name in self.layout.context:
            values, mask = maps.channel(name), torch.ones_like(given)
            if name == self._sparse:
                # A sample at the code's own value would be none.
                values = torch.where(given, (values + noise).clamp_min(NO_SIGNAL + 1), NO_SIGNAL)
                mask = given
            channels.append(values)
            observed.append(mask)
        tensors = {"context": self.scale.to_model(torch.stack(channels, dim=1)), "index": cases}
        if "observed" in self.names:
            tensors["observed"] = torch.stack(observed, dim=1)
        if "target" in self.names:
            valid = self._valid(maps, given)
            truth = torch.stack([maps.channel(name) for name in self.layout.target], dim=1)
            learnt = self.scale.targets_to_model(truth)
            tensors["target"] = torch.where(valid, learnt, 0.0)
            tensors["valid"] = valid
        # Whether asked for or not: what disturbs the position has to know it.
        if self.layout.position:
            tensors["position"] = maps.position
        if self.layout.environment:
            tensors["environment"] = maps.environment
        own = dimensions(self.layout.view)
        return Batch({**own, "observed": own["context"], "valid": own["target"]}, **tensors)

    def gather_truth(self, cases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Truth in units as `Maps.truth` has it, float64, and what of it is scored: no given cell.

        Outdoor cells that no path reaches are among those that are scored: metrics of values leave them out,
        metrics of coverage do not.
        """
        maps, generators = self._maps(cases)
        given, _ = self._sampled(maps, generators)
        truth = torch.stack([maps.truth(name) for name in self.layout.target], dim=1).double()
        scored = truth.isfinite() & ~given[:, None]
        if "held_out" in maps.arrays:
            scored &= maps.arrays["held_out"][:, None]
        return truth, scored

    @property
    def seeded(self) -> bool:
        """Whether training draws samples or symmetries from the seed of the run."""
        return self.layout.sparse is not None or self.layout.turned

    def drawn(self, seed: int) -> "FieldCases":
        """The same maps, with samples and symmetries drawn anew in each epoch."""
        return replace(self, seed=seed) if self.seeded else self

    def at_epoch(self, epoch: int) -> "FieldCases":
        """With the draws of that epoch."""
        return self if self.seed is None else replace(self, epoch=epoch)

    def order(self, generator: torch.Generator) -> torch.Tensor:
        """A permutation; where rows are read from disk, of chunks, then of cases among a few chunks."""
        chunk = next(iter(self.arrays.values())).chunk
        if chunk is None:
            return super().order(generator)
        lengths = torch.unique_consecutive(self.rows // chunk, return_counts=True)[1].tolist()
        chunks = torch.arange(len(self)).split(lengths)
        shuffled = [chunks[number] for number in torch.randperm(len(chunks), generator=generator)]
        blocks = [
            torch.cat(shuffled[start : start + SHUFFLED_CHUNKS])
            for start in range(0, len(shuffled), SHUFFLED_CHUNKS)
        ]
        return torch.cat([block[torch.randperm(len(block), generator=generator)] for block in blocks])

    def maps(self, cases: torch.Tensor) -> Maps:
        """What the store holds of some cases, in units, neither turned nor sampled."""
        rows = self.rows[cases]
        arrays = {name: of_rows.take(rows) for name, of_rows in self.arrays.items()}
        return Maps(arrays, self.position[rows], self.environment[rows], self.scale.frame)

    @property
    def _sparse(self) -> str | None:
        return self.layout.sparse.array if self.layout.sparse else None

    def _maps(self, cases: torch.Tensor) -> tuple[Maps, Sequence[np.random.Generator]]:
        """Maps as training or evaluation sees them, and the generators that draw their samples."""
        maps = self.maps(cases)
        key = self.key if self.seed is None else f"{self.key}|{self.seed}|{self.epoch}"
        generators = case_generators(key, "", self.rows[cases]) if self.seeded else []
        if self.seed is None or not self.layout.turned:
            return maps, generators
        symmetry = torch.tensor([int(one.integers(SYMMETRIES)) for one in generators])
        return turn(maps, symmetry, self.layout.environment), generators

    def _sampled(
        self, maps: Maps, generators: Sequence[np.random.Generator]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Which cells the context holds samples of, and their noise."""
        sparse = self.layout.sparse
        if sparse is None:
            nothing = torch.zeros(len(maps.position), *maps.frame.shape)
            return nothing.bool(), nothing
        available = maps.reached(sparse.array)
        if "held_out" in maps.arrays:
            return available & ~maps.arrays["held_out"], torch.zeros(available.shape)
        return draw(available, generators, self.counts, sparse.noise)

    def _valid(self, maps: Maps, given: torch.Tensor) -> torch.Tensor:
        reached = torch.stack([maps.reached(name) for name in self.layout.target], dim=1)
        return reached & ~given[:, None]
