"""Features of a panel's samples: means over blocks of steps, past targets, place, year, static numbers."""

from collections.abc import Iterator, Mapping
from typing import Literal

import torch

from tsbench.contracts import TaskShape
from tsbench.data.cases import Cases

YEAR = 365.2425 * 86_400 * 1e9
"""Nanoseconds."""
BATCH = 1024
Reads = Literal["all", "past"]


class PanelFeatures:
    """Makes a row of numbers of each sample.

    Args:
        shape: of the task.
        block: steps of a mean.
        reads: `past`: past targets and the year alone.
    """

    uses = frozenset({"context", "past_covariates", "static", "time", "position"})

    def __init__(self, shape: TaskShape, block: int, reads: Reads) -> None:
        self.shape, self.block, self.reads = shape, block, reads

    def __call__(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Float64, shape (sample, feature)."""
        return torch.cat([part.double() for part in self._parts(batch)], dim=1)

    def gathered(self, cases: Cases) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and targets of all cases, float64, shape (case, feature) and (case,)."""
        rows, targets = [], []
        for part in torch.arange(len(cases)).split(BATCH):
            batch = cases.gather(part)
            rows.append(self(batch))
            targets.append(batch["target"][:, 0, 0].double())
        return torch.cat(rows), torch.cat(targets)

    def _parts(self, batch: Mapping[str, torch.Tensor]) -> Iterator[torch.Tensor]:
        if "past_covariates" in batch:
            past = batch["past_covariates"][..., 0]
            yield past
            yield past[:, :-1].mean(dim=1, keepdim=True) if past.shape[1] > 1 else past
        if "time" in batch:
            yield torch.floor(batch["time"][:, -1:].double() / YEAR - 30) / 10
        if self.reads == "past":
            return
        own = batch["context"][:, -self.shape.period :]  # (sample, step, channel)
        for block in own.split(self.block, dim=1):
            yield block.mean(dim=1)
        for name in ("position", "static"):
            if name in batch:
                yield batch[name]
