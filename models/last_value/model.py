"""Last value: the last observed value of each target, repeated over the horizon."""

from collections.abc import Mapping
from typing import Any

import torch

from tsbench.contracts import Forecast, TaskShape
from tsbench.contracts.model import Fits


class LastValue:
    """Repeats the last context step."""

    fits: Fits = "none"
    uses = frozenset({"context"})

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        self.shape = shape

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, lead_time, target)."""
        last = batch["context"][:, -1:, list(self.shape.target_index)]
        return Forecast(last.expand(-1, self.shape.horizon, -1))
