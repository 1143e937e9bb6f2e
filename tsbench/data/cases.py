"""Cases of a split: whatever can be gathered into batches by case index, and the batches in their order."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol

import torch

from .batch import Batch

SEQUENCES = 256
"""Sequences in a batch where nobody chose its size."""


class Scored(Protocol):
    """What knows the space in which forecasts are scored: the task's data, where all cases have one scale."""

    def to_metric_space(self, forecast: torch.Tensor) -> torch.Tensor:
        """A forecast in model space, in the space where the task is scored."""
        ...

    def from_units(self, forecast: torch.Tensor) -> torch.Tensor:
        """A forecast in physical units, in the space where the task is scored."""
        ...

    def seasonal_difference(self, power: int) -> torch.Tensor:
        """Mean of |seasonal difference|^power of the training part there, float64, shape (target,)."""
        ...


class Cases(ABC):
    """The cases of a split, each with a context and a target.

    Attributes:
        context: look-back in steps.
        horizon: steps to forecast.
        width: sequences that a case holds; batches of wide cases are made of fewer.
        scored: what knows the space in which forecasts are scored; None where nobody scores.
    """

    context: int
    horizon: int
    width: int = 1
    scored: Scored | None = None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def using(self, *names: str) -> "Cases":
        """The same cases with these reserved names gathered."""

    @abstractmethod
    def gather(self, cases: torch.Tensor) -> Batch:
        """The batch of some cases in model space; `cases`: int64, shape (sample,)."""

    @abstractmethod
    def gather_truth(self, cases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Scored values in the metric space, in the shape of the target, and their mask or None."""

    def to_metric_space(self, values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Forecasts of some cases in model space, in the space where the task is scored.

        Args:
            values: in the shape of the target, also with further dimensions before it.
            index: the cases, int64, shape (sample,).
        """
        return self._scored().to_metric_space(values)

    def from_units(self, values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Forecasts of some cases in physical units, in the space where the task is scored."""
        return self._scored().from_units(values)

    def seasonal_error(self, index: torch.Tensor, power: int = 1) -> torch.Tensor:
        """Scale of MASE of some cases in metric space; with `power` 2 that of RMSSE.

        Args:
            index: the cases, int64, shape (sample,).
            power: of the absolute seasonal differences whose mean is taken.

        Returns:
            float64, to be broadcast to (sample, lead_time, channel); NaN where undefined.
        """
        return self._scored().seasonal_difference(power)

    def _scored(self) -> Scored:
        if self.scored is None:
            raise ValueError(
                "these cases belong to no task, so nothing says where their forecasts are scored"
            )
        return self.scored

    @property
    def seeded(self) -> bool:
        """Whether what is gathered in training depends on the seed of the run."""
        return False

    def drawn(self, seed: int) -> "Cases":
        """The cases that training by gradient goes through in each epoch; `seed`: of the run.

        All of them, unless the task says that some are drawn anew for each epoch.
        """
        return self

    def at_epoch(self, epoch: int) -> "Cases":
        """The cases as an epoch of training sees them."""
        return self

    def order(self, generator: torch.Generator) -> torch.Tensor:
        """Every case once, in an order drawn from the generator."""
        return torch.randperm(len(self), generator=generator)

    def batches(self, size: int, *, drop_last: bool = False) -> Iterator[Batch]:
        """Batches of about `size` sequences in the order of the cases."""
        yield from Batches(self, batch_size_for(self, size), drop_last=drop_last)


def batch_size_for(cases: Cases, sequences: int = SEQUENCES) -> int:
    """Cases in a batch of about that many sequences."""
    return max(1, sequences // cases.width)


class Batches:
    """Batches of cases, shuffled anew each epoch where a seed is given; `len` is the number of batches.

    The order depends on (seed, epoch) alone. `sampler` and `batch_sampler` make Lightning announce the epoch.
    """

    def __init__(self, cases: Cases, size: int, *, seed: int | None = None, drop_last: bool = False) -> None:
        self.cases, self.size, self.seed, self.drop_last = cases, size, seed, drop_last
        self.epoch = 0
        self.sampler, self.batch_sampler = self, None

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration takes."""
        self.epoch = epoch

    def __len__(self) -> int:
        cases = len(self.cases)
        return cases // self.size if self.drop_last else -(-cases // self.size)

    def __iter__(self) -> Iterator[Batch]:
        order, cases = self.order(), self.cases.at_epoch(self.epoch)
        for start in range(0, len(self) * self.size, self.size):
            yield cases.gather(order[start : start + self.size])

    def order(self) -> torch.Tensor:
        """Every case once, in the order of the epoch."""
        if self.seed is None:
            return torch.arange(len(self.cases))
        # Mixed so that (seed 0, epoch 1) and (seed 1, epoch 0) are different orders.
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.epoch) % 2**63)
        return self.cases.order(generator)
