"""Seasonal naive: the last whole season of each target, repeated over the horizon."""

from collections.abc import Mapping
from typing import Any

import torch

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits


class SeasonalNaive:
    """Repeats the last `period` context steps; the period is the task's.

    Raises:
        InputError: where the look-back is shorter than a period.
    """

    fits: Fits = "none"
    uses = frozenset({"context"})

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        if shape.context < shape.period:
            raise InputError(
                f"seasonal_naive needs a context of at least the period {shape.period}, not {shape.context}"
            )
        self.shape = shape

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, lead_time, target)."""
        phase = torch.arange(self.shape.horizon, device=batch["context"].device) % self.shape.period
        season = batch["context"][:, -self.shape.period :, list(self.shape.target_index)]
        return Forecast(season[:, phase])
