"""Inverse distance weighting: each cell is the mean of the samples, the nearer the heavier.

Shepard, "A two-dimensional interpolation function for irregularly-spaced data", ACM National Conference 1968.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from tsbench.contracts import TaskShape

from ..layers.sparse import Samples, SparseForecaster, interpolated


@dataclass(frozen=True)
class Hyperparameters:
    """Of the weights.

    Attributes:
        power: of the distance by which a sample is divided.
    """

    power: float = 2.0

    def __post_init__(self) -> None:
        """A negative power would let the farthest sample weigh most."""
        if self.power <= 0:
            raise ValueError(f"power must be positive, not {self.power}")


class InverseDistance(SparseForecaster):
    """value = Σ vᵢ dᵢ^(−power) / Σ dᵢ^(−power); a sampled cell keeps its sample."""

    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, "inverse_distance")
        self.power = (hyperparameters or Hyperparameters()).power

    def maps(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Maps in units, float64, shape (sample, y, x)."""

        def weighted(squared: torch.Tensor, samples: Samples) -> torch.Tensor:
            return weighted_mean(squared, samples, self.power)

        return interpolated(batch, self.shape, self.channel, weighted, self.mean)


def weighted_mean(squared: torch.Tensor, samples: Samples, power: float) -> torch.Tensor:
    """Shape (sample, cell), by squared distances (sample, cell, point); never outside the samples' range."""
    nearest, place = squared.min(dim=2, keepdim=True)
    # Relative to the nearest one, no weight leaves the range of numbers; there it is 1. In a sampled cell it
    # is 0 / 0, and not asked for.
    weights = nearest / squared
    if power != 2:
        weights = weights.pow_(power / 2)
    mean = (weights @ samples.values[..., None])[..., 0] / weights.sum(dim=2)
    return torch.where(nearest[..., 0] > 0, mean, samples.values.gather(1, place[..., 0]))
