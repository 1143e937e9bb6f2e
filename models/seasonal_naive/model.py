"""Seasonal naive: the last whole season of each target, repeated over the horizon."""

from collections.abc import Mapping
from typing import Any

import torch

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits


class SeasonalNaive:
    """Repeats the last `period` context steps; the period is the task's.

    Where a padded context holds less than a period of its series, it repeats the mean of what there is, as
    GluonTS's seasonal naive predictor does.

    Raises:
        InputError: where the look-back is shorter than a period.
    """

    fits: Fits = "none"
    uses = frozenset({"context", "length"})

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
        if "length" in batch:
            # What is padded is 0, so that the sum is that of the steps of the series.
            length = batch["length"][:, None, None]
            mean = season.sum(dim=1, keepdim=True) / length
            season = torch.where(length < self.shape.period, mean, season)
        return Forecast(season[:, phase])
