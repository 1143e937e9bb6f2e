"""Sequences of a corpus as cases: windows into one flat tensor, split into look-back and horizon."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch

from .batch import Batch
from .cases import Cases


@dataclass(frozen=True)
class HeldSequences:
    """What sequences are gathered from.

    Attributes:
        values: normalised and filled, float32, shape (step,); block after block.
        observed: mask of `values`, or None where nothing is missing.
        ends: step after the last of each block, int64, shape (block,); no sequence crosses a border.
        context, horizon: steps of a sequence.
    """

    values: torch.Tensor
    observed: torch.Tensor | None
    ends: torch.Tensor
    context: int
    horizon: int

    @property
    def length(self) -> int:
        """Steps of a sequence."""
        return self.context + self.horizon

    @cached_property
    def begins(self) -> torch.Tensor:
        """First step of each block, int64, shape (block,)."""
        return torch.cat([self.ends.new_zeros(1), self.ends[:-1]])

    @cached_property
    def padded(self) -> bool:
        """Whether a block is shorter than a sequence."""
        return bool((self.ends - self.begins < self.length).any())

    def starts(self, first: int, last: int, moves: float) -> torch.Tensor:
        """Where the sequences of the blocks first ≤ b < last may begin, int64, ascending.

        A block that is shorter than a sequence has one, which begins before it and is padded there.
        """
        found = [
            torch.arange(min(begin, end - self.length), end - self.length + 1)
            if end - begin >= self.length
            else torch.tensor([end - self.length])
            for begin, end in zip(
                self.begins[first:last].tolist(), self.ends[first:last].tolist(), strict=True
            )
        ]
        every = torch.cat(found) if found else torch.empty(0, dtype=torch.int64)
        return every[self.moving(every, moves)]

    def moving(self, starts: torch.Tensor, moves: float) -> torch.Tensor:
        """Whether the look-back of each sequence deviates by more than `moves`, bool, shape (sequence,)."""
        ends = starts + self.context
        begins = torch.minimum(torch.maximum(starts, self._begin_of(starts)), ends - 1)
        count = (ends - begins).double()
        first, second = (
            total[ends.clamp_min(0)] - total[begins.clamp(0, len(self.values))] for total in self._sums
        )
        mean = first / count
        return (second / count - mean.square()).clamp_min(0).sqrt() > moves

    def gather(self, starts: torch.Tensor) -> dict[str, torch.Tensor]:
        """Look-back and horizon, each (sample, step, 1), with masks where anything is missing or padded."""
        steps = starts[:, None] + torch.arange(self.length)
        rows = steps.clamp(0, len(self.values) - 1)
        values = self.values[rows]
        mask = self.observed[rows] if self.observed is not None else None
        if self.padded:
            own = steps >= self._begin_of(starts)[:, None]
            values = values.masked_fill(~own, 0.0)
            mask = own if mask is None else mask & own
        parts = {"context": values[:, : self.context], "target": values[:, self.context :]}
        if mask is not None:
            parts |= {"observed": mask[:, : self.context], "valid": mask[:, self.context :]}
        return {name: part[..., None] for name, part in parts.items()}

    def _begin_of(self, starts: torch.Tensor) -> torch.Tensor:
        """First step of the block in which each sequence ends."""
        last = (starts + self.length - 1).clamp(0, max(len(self.values) - 1, 0))
        return self.begins[torch.searchsorted(self.ends, last, right=True)]

    @cached_property
    def _sums(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Sums of values and squares of all steps before each, float64, shape (step + 1,)."""
        wide = self.values.double()
        zero = wide.new_zeros(1)
        return torch.cat([zero, wide.cumsum(0)]), torch.cat([zero, wide.square().cumsum(0)])


class CorpusCases(Cases):
    """Cases that are gathered from held sequences; nobody scores them."""

    def __init__(self, held: HeldSequences) -> None:
        self.held, self.context, self.horizon = held, held.context, held.horizon

    def __len__(self) -> int:
        raise NotImplementedError

    def using(self, *names: str) -> "CorpusCases":
        """The same: there is nothing but look-back, horizon and their masks."""
        return self

    def gather(self, cases: torch.Tensor) -> Batch:
        """The batch of some sequences; `cases`: as `order` gives them."""
        return Batch(index=cases, **self.held.gather(self._starts(cases)))

    def gather_truth(self, cases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Targets and their mask or None."""
        found = self.held.gather(self._starts(cases))
        return found["target"], found.get("valid")

    def _starts(self, cases: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class RandomSequences(CorpusCases):
    """Sequences drawn with replacement: first the member by its weight, then where the sequence begins.

    Args:
        held: what is gathered from.
        starts: of each member, int64.
        weights: of the members, float64, shape (member,).
        epoch: sequences that an epoch draws.
    """

    def __init__(
        self, held: HeldSequences, starts: tuple[torch.Tensor, ...], weights: torch.Tensor, epoch: int
    ) -> None:
        super().__init__(held)
        self.starts, self.weights, self.epoch = starts, weights, epoch

    def __len__(self) -> int:
        return self.epoch

    def order(self, generator: torch.Generator) -> torch.Tensor:
        """Numbers of the sequences of an epoch, among all of all members, int64, shape (epoch,)."""
        drawn = torch.multinomial(self.weights, self.epoch, replacement=True, generator=generator)
        order = torch.empty(self.epoch, dtype=torch.int64)
        for member, (first, starts) in enumerate(self._numbered()):
            places = (drawn == member).nonzero()[:, 0]
            order[places] = first + torch.randint(len(starts), (len(places),), generator=generator)
        return order

    @cached_property
    def _all(self) -> torch.Tensor:
        return torch.cat(self.starts)

    def _numbered(self) -> Iterator[tuple[int, torch.Tensor]]:
        first = 0
        for starts in self.starts:
            yield first, starts
            first += len(starts)

    def _starts(self, cases: torch.Tensor) -> torch.Tensor:
        return self._all[cases]


class FixedSequences(CorpusCases):
    """The same sequences in every epoch.

    Args:
        held: what is gathered from.
        starts: of the sequences, int64.
    """

    def __init__(self, held: HeldSequences, starts: torch.Tensor) -> None:
        super().__init__(held)
        self.starts = starts

    def __len__(self) -> int:
        return len(self.starts)

    def _starts(self, cases: torch.Tensor) -> torch.Tensor:
        return self.starts[cases]
