"""What the tests of training share: a tiny network with dropout, and fits of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tsbench.training.build import build
from tsbench.training.module import NeuralForecaster
from tsbench.training.settings import TrainingSettings
from tsbench.training.source import FitReport, TaskSource


class Tiny(NeuralForecaster):
    """Dropout and one linear map, shared by the channels."""

    def __init__(self, shape, hyperparameters=None) -> None:
        super().__init__(shape)
        self.drop = torch.nn.Dropout(0.2)
        self.map = torch.nn.Linear(shape.context, shape.horizon)

    def forward(self, batch) -> torch.Tensor:
        return self.map(self.drop(batch["context"]).transpose(1, 2)).transpose(1, 2)


@pytest.fixture
def fit_tiny(open_waves) -> Callable[..., tuple[Tiny, FitReport]]:
    """Fits a tiny network: `fit_tiny(seed, folder=..., on_epoch=..., **training settings)`."""
    data = open_waves()

    def fit(
        seed: int = 0,
        folder: Path | None = None,
        on_epoch: Callable[[], None] = lambda: None,
        kind: type[NeuralForecaster] = Tiny,
        **settings,
    ) -> tuple[Tiny, FitReport]:
        chosen = TrainingSettings(**{"epochs": 4, "batch_size": 64, "learning_rate": 0.01} | settings)
        model = build(kind, data.shape(24), None, seed, chosen.loss)
        source = TaskSource(data, 24, seed, settings=chosen, folder=folder, on_epoch=on_epoch)
        return model, model.fit(source)

    return fit
