"""Window mean: the mean of each target over the look-back, repeated over the horizon."""

from collections.abc import Mapping
from typing import Any

import torch

from tsbench.contracts import Forecast, TaskShape
from tsbench.contracts.model import Fits


class WindowMean:
    """Repeats the mean of the context, of a padded one the mean of the steps of its series."""

    fits: Fits = "none"
    uses = frozenset({"context", "length"})

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        self.shape = shape

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, lead_time, target)."""
        context = batch["context"][..., list(self.shape.target_index)]
        mean = context.mean(dim=1, keepdim=True)
        if "length" in batch:
            # What is padded is 0 and adds nothing to the sum.
            mean = context.sum(dim=1, keepdim=True) / batch["length"][:, None, None]
        return Forecast(mean.expand(-1, self.shape.horizon, -1))
