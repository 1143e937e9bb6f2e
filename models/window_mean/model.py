"""Window mean: the mean of each target over the look-back, repeated over the horizon."""

from collections.abc import Mapping
from typing import Any

import torch

from tsbench.contracts import Forecast, TaskShape
from tsbench.contracts.model import Fits


class WindowMean:
    """Repeats the mean of the context."""

    fits: Fits = "none"
    uses = frozenset({"context"})

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        self.shape = shape

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, lead_time, target)."""
        mean = batch["context"][..., list(self.shape.target_index)].mean(dim=1, keepdim=True)
        return Forecast(mean.expand(-1, self.shape.horizon, -1))
