"""A perceptron of a station's cells and the hour, which does not know the station.

What models of base stations were before the energy fingerprint (arXiv 2406.16929): the features of all cells
side by side. It shows what the station is worth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from tsbench.contracts import TaskShape

from ..layers.stations import Loss, StationForecaster


@dataclass(frozen=True)
class Hyperparameters:
    """Of the perceptron.

    Attributes:
        loss: `relative` error, or `log_huber`.
    """

    loss: Loss = "relative"


class EnergyMLP(StationForecaster):
    """256, 128 and 64 units on numbers and one-hot kinds of every cell, and the hour."""

    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, (hyperparameters or Hyperparameters()).loss)
        of_cell = len(self.numbers) + sum(shape.entity_categories.values())
        size = len(shape.channels) + shape.sizes["entity"] * of_cell
        self.layers = nn.Sequential(
            nn.Linear(size, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(),
            nn.Linear(64, 1),
        )  # fmt: skip

    def positive(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Energy in units of the scale, before it is made positive, shape (sample,)."""
        features, there = self.features(batch), batch["entity_mask"][..., None]
        kinds = [
            functional.one_hot(self.kind(batch, name), count).to(features) * there
            for name, count in self.shape.entity_categories.items()
        ]
        cells = torch.cat([features, *kinds], dim=-1).flatten(1)
        return self.layers(torch.cat([batch["context"][:, -1], cells], dim=1))[:, 0]
