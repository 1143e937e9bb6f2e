"""Persistence: the last state of the fields, at every lead time."""

from collections.abc import Mapping
from typing import Any

import torch

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits


class PersistenceGrid:
    """Repeats the last state of each target.

    Raises:
        InputError: where a target is no channel of the context.
    """

    fits: Fits = "none"
    uses = frozenset({"context"})
    views = ("grid",)

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        if unseen := [name for name in shape.targets if name not in shape.channels]:
            raise InputError(
                f"persistence_grid repeats what it reads; the context has no {', '.join(unseen)}"
            )
        self.shape = shape

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, lead_time, channel, latitude, longitude)."""
        last = batch["context"][:, -1:, list(self.shape.target_index)]
        return Forecast(last.expand(-1, self.shape.horizon, -1, -1, -1))
