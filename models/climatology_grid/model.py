"""Climatology: the mean of the training part at each location, at every lead time."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import Forecast, TaskShape
from tsbench.contracts.model import Fits
from tsbench.training.source import FitReport, TaskSource

FIT_BATCH = 64


class ClimatologyGrid(nn.Module):
    """The mean of the first step ahead over all training windows, in model space."""

    fits: ClassVar[Fits] = "task"
    uses: ClassVar[frozenset[str]] = frozenset({"context"})
    views: ClassVar[tuple[str, ...]] = ("grid",)

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__()
        self.horizon = shape.horizon
        sizes = len(shape.targets), shape.sizes["latitude"], shape.sizes["longitude"]
        self.mean = nn.Parameter(torch.zeros(sizes), requires_grad=False)

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, lead_time, channel, latitude, longitude)."""
        return Forecast(self.mean.expand(len(batch["context"]), self.horizon, -1, -1, -1))

    def fit(self, source: TaskSource, init: Any = None) -> FitReport:
        """Take the mean; there is no randomness."""
        total, count = torch.zeros(self.mean.shape, dtype=torch.float64), 0
        for index in torch.arange(len(source.train)).split(FIT_BATCH):
            first = source.train.gather(index)["target"][:, 0]
            total, count = total + first.double().sum(dim=0), count + len(first)
        self.mean.copy_(total / count)
        return FitReport()
