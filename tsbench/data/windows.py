"""Windows of a split as batches: one gather from one contiguous tensor a batch, no loop over samples."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from .batch import Batch


@dataclass(frozen=True)
class Windows:
    """The forecast windows of one split for one look-back.

    Attributes:
        values: model space, filled, float32, shape (row, channel), contiguous.
        truth: scored values in the task's metric space, float32, shape (row, target); NaN-free.
        observed: mask of `values`, or None where everything was observed.
        past, future: covariates, float32, shape (row, coordinate).
        origins: first row of each target, int64, shape (case,), ascending.
        context, horizon: steps.
        target_index: position of the targets among the channels.
        names: reserved names that are gathered.
    """

    values: torch.Tensor
    truth: torch.Tensor
    observed: torch.Tensor | None
    past: torch.Tensor
    future: torch.Tensor
    origins: torch.Tensor
    context: int
    horizon: int
    target_index: tuple[int, ...]
    names: frozenset[str] = frozenset({"context", "target"})

    def __len__(self) -> int:
        return len(self.origins)

    def using(self, *names: str) -> "Windows":
        """The same windows with these reserved names gathered."""
        return replace(self, names=frozenset(names))

    def gather(self, cases: torch.Tensor) -> Batch:
        """The batch of some cases.

        Args:
            cases: positions in `origins`, int64, shape (sample,).

        Returns:
            A batch; context and target are in model space.
        """
        starts = self.origins[cases] - self.context
        window = _gather(self.values, starts, self.context + self.horizon)  # (sample, time, channel)
        tensors = {"context": window[:, : self.context]}
        if "target" in self.names:
            tensors["target"] = self._targets(window[:, self.context :])
        if self.observed is not None:
            mask = _gather(self.observed, starts, self.context + self.horizon)
            tensors["observed"] = mask[:, : self.context]
            tensors["valid"] = self._targets(mask[:, self.context :])
        if "past_covariates" in self.names:
            tensors["past_covariates"] = _gather(self.past, starts, self.context)
        if "future_covariates" in self.names:
            tensors["future_covariates"] = _gather(self.future, starts + self.context, self.horizon)
        return Batch(index=cases, **tensors)

    def gather_truth(self, cases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Scored values in the metric space and their mask, shape (sample, lead_time, target)."""
        origins = self.origins[cases]
        valid = None
        if self.observed is not None:
            valid = self._targets(_gather(self.observed, origins, self.horizon))
        return _gather(self.truth, origins, self.horizon), valid

    def batches(self, size: int, *, drop_last: bool = False) -> Iterator[Batch]:
        """Batches in the order of the cases."""
        yield from Batches(self, size, drop_last=drop_last)

    def _targets(self, window: torch.Tensor) -> torch.Tensor:
        if self.target_index == tuple(range(window.shape[-1])):
            return window
        return window[..., list(self.target_index)]


class Batches:
    """Batches of windows, shuffled anew each epoch where a seed is given; `len` is the number of batches.

    The order depends on (seed, epoch) alone. `sampler` and `batch_sampler` make Lightning announce the epoch.
    """

    def __init__(
        self, windows: Windows, size: int, *, seed: int | None = None, drop_last: bool = False
    ) -> None:
        self.windows, self.size, self.seed, self.drop_last = windows, size, seed, drop_last
        self.epoch = 0
        self.sampler, self.batch_sampler = self, None

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration takes."""
        self.epoch = epoch

    def __len__(self) -> int:
        cases = len(self.windows)
        return cases // self.size if self.drop_last else -(-cases // self.size)

    def __iter__(self) -> Iterator[Batch]:
        order = self._order()
        for start in range(0, len(self) * self.size, self.size):
            yield self.windows.gather(order[start : start + self.size])

    def _order(self) -> torch.Tensor:
        if self.seed is None:
            return torch.arange(len(self.windows))
        # Mixed so that (seed 0, epoch 1) and (seed 1, epoch 0) are different orders.
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.epoch) % 2**63)
        return torch.randperm(len(self.windows), generator=generator)


def _gather(rows: torch.Tensor, starts: torch.Tensor, length: int) -> torch.Tensor:
    """Windows (sample, length, column) of a contiguous table (row, column), each one run of memory."""
    columns = rows.shape[1]
    view = rows.as_strided((rows.shape[0] - length + 1, length, columns), (columns, columns, 1))
    return view[starts]
