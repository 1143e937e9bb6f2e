"""Log-distance path loss: a straight line over the logarithm of the distance, fitted to the training maps.

Rappaport, "Wireless Communications", 2002, section 4.9.1: exponent and intercept are those of the data.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import Forecast, TaskShape
from tsbench.contracts.model import Fits
from tsbench.training.source import FitReport, TaskSource

from ..layers.maps import require

CHANNEL = "log_distance"
FIT_BATCH = 64


class LogDistance(nn.Module):
    """target = a + b · log₁₀ d, least squares over the cells that are trained on.

    Raises:
        InputError: for a task without the channel `log_distance`.
    """

    fits: ClassVar[Fits] = "task"
    uses: ClassVar[frozenset[str]] = frozenset({"context"})
    views: ClassVar[tuple[str, ...]] = ("field", "volume")

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__()
        require(shape, "log_distance", CHANNEL)
        self.shape, self.place = shape, shape.channels.index(CHANNEL)
        self.line = nn.Parameter(torch.zeros(len(shape.targets), 2), requires_grad=False)  # intercept, slope

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shaped as the target."""
        return Forecast(self(batch["context"]))

    def forward(self, context: torch.Tensor) -> torch.Tensor:
        """Shape (sample, target, y, x) of a context (sample, channel, y, x)."""
        intercept, slope = (one.reshape(-1, *[1] * (context.ndim - 2)) for one in self.line.unbind(1))
        return intercept + slope * context[:, [self.place]]

    def fit(self, source: TaskSource, init: Any = None) -> FitReport:
        """Solve the normal equations of each target; there is no randomness."""
        targets = len(self.shape.targets)
        moments, products = torch.zeros(targets, 2, 2).double(), torch.zeros(targets, 2).double()
        for batch in source.train.batches(FIT_BATCH):
            distance = batch["context"][:, self.place]
            for number in range(targets):
                valid = batch["valid"][:, number]
                wide = distance[valid].double()
                rows = torch.stack([torch.ones_like(wide), wide])  # (coefficient, cell)
                moments[number] += rows @ rows.T
                products[number] += rows @ batch["target"][:, number][valid].double()
        self.line.copy_(torch.linalg.solve(moments, products))
        return FitReport(validation_loss=self._loss(source))

    def _loss(self, source: TaskSource) -> float:
        """Mean squared error over the validation part."""
        error, count = 0.0, 0
        for batch in source.validation.batches(FIT_BATCH):
            squared = (self(batch["context"]) - batch["target"]).square()
            error += float(squared[batch["valid"]].double().sum())
            count += int(batch["valid"].sum())
        return error / max(count, 1)
