"""Linear: one affine map from look-back to horizon, shared by the targets, fitted by least squares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits
from tsbench.data.batch import Batch
from tsbench.training.source import FitReport, TaskSource

FIT_BATCH = 512


@dataclass(frozen=True)
class Hyperparameters:
    """Of the least-squares map.

    Attributes:
        ridge: added to the diagonal of the mean Gram matrix, as a share of its mean diagonal. The default
            only keeps the system solvable where the look-back is collinear.
    """

    ridge: float = 1e-6


class Linear(nn.Module):
    """forecast = W context + b, by the normal equations in float64 over all training windows and targets."""

    fits: Fits = "task"
    uses = frozenset({"context"})
    Hyperparameters = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Hyperparameters | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.ridge = (hyperparameters or Hyperparameters()).ridge
        self.map = nn.Linear(shape.context, shape.horizon)
        self.requires_grad_(False)

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, lead_time, target)."""
        context = batch["context"][..., list(self.shape.target_index)]
        return Forecast(self.map(context.transpose(1, 2)).transpose(1, 2))

    def fit(self, source: TaskSource, init: Any = None) -> FitReport:
        """Solve for the map; there is no randomness.

        Raises:
            InputError: where every training window lacks a target.
        """
        size = self.shape.context + 1
        gram = torch.zeros(size, size, dtype=torch.float64)
        moment = torch.zeros(size, self.shape.horizon, dtype=torch.float64)
        for batch in source.train.batches(FIT_BATCH):
            inputs, outputs = self._equations(batch)
            gram += inputs.T @ inputs
            moment += inputs.T @ outputs
        if gram[-1, -1] == 0:
            raise InputError("linear needs training windows whose targets are all observed; there are none")
        # A look-back that never varies from 0 (targets that nobody observes) leaves the intercept alone.
        size_of_rows = gram.diagonal()[:-1].mean().item() or 1.0
        penalty = self.ridge * size_of_rows * torch.eye(size, dtype=torch.float64)
        penalty[-1, -1] = 0  # the intercept is not shrunk
        solution = torch.linalg.solve(gram + penalty, moment)  # (context + 1, lead_time)
        with torch.no_grad():
            self.map.weight.copy_(solution[:-1].T)
            self.map.bias.copy_(solution[-1])
        return FitReport(validation_loss=self._validation_loss(source))

    def _equations(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of the system, one a window and target, float64; rows with a missing target are left out."""
        context = batch["context"][..., list(self.shape.target_index)].transpose(1, 2).flatten(0, 1).double()
        target = batch["target"].transpose(1, 2).flatten(0, 1).double()  # (sample × target, lead_time)
        if "valid" in batch:
            whole = batch["valid"].transpose(1, 2).flatten(0, 1).all(dim=1)
            context, target = context[whole], target[whole]
        return torch.cat([context, torch.ones_like(context[:, :1])], dim=1), target

    def _validation_loss(self, source: TaskSource) -> float:
        total = torch.zeros(2, dtype=torch.float64)
        for batch in source.validation.batches(FIT_BATCH):
            inputs, outputs = self._equations(batch)
            error = inputs[:, :-1].float() @ self.map.weight.T + self.map.bias - outputs
            total += torch.stack([error.square().sum(), torch.tensor(error.numel(), dtype=torch.float64)])
        return float(total[0] / total[1])
