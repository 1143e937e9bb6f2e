"""Nearest sample: each cell takes the value of the sample that is nearest to it."""

from collections.abc import Mapping
from typing import Any

import torch

from tsbench.contracts import TaskShape

from ..layers.sparse import Samples, SparseForecaster, interpolated


class NearestSample(SparseForecaster):
    """Repeats the nearest sample; of several at the same distance, the first in the order of the cells."""

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, "nearest_sample")

    def maps(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Maps in units, float64, shape (sample, y, x)."""
        return interpolated(batch, self.shape, self.channel, nearest, self.mean)


def nearest(squared: torch.Tensor, samples: Samples) -> torch.Tensor:
    """Value of the nearest sample, shape (sample, cell), by squared distances (sample, cell, point)."""
    return samples.values.gather(1, squared.argmin(dim=2))
