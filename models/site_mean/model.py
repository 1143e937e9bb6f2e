"""The mean of each station's training hours: no hour, no load."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits
from tsbench.training.build import NoHyperparameters
from tsbench.training.source import FitReport, TaskSource

from ..layers.station_sums import BATCH, SiteSums, validation_error
from ..layers.stations import known_or_refused


class SiteMean(nn.Module):
    """Mean energy of each station.

    Raises:
        InputError: where the task does not say which station a sample is of.
    """

    fits: ClassVar[Fits] = "task"
    uses: ClassVar[frozenset[str]] = frozenset({"context", "categorical"})
    views: ClassVar[tuple[str, ...]] = ("panel",)
    Hyperparameters: ClassVar[type] = NoHyperparameters
    trained: torch.Tensor

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__()
        if not shape.categories:
            raise InputError("site_mean reads which station a sample is of; this task does not say")
        stations = next(iter(shape.categories.values()))
        self.mean = nn.Parameter(torch.zeros(stations, dtype=torch.float64), requires_grad=False)
        self.register_buffer("trained", torch.zeros(stations, dtype=torch.bool))

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, 1, 1).

        Raises:
            InputError: for a station that was not in the training part.
        """
        codes = batch["categorical"][:, 0]
        known_or_refused(codes, self.trained, "site_mean", "choose a model that reads the cells instead")
        return Forecast(self.mean[codes].to(batch["context"])[:, None, None])

    def fit(self, source: TaskSource, init: Any = None) -> FitReport:
        """Average; there is no randomness."""
        sums = SiteSums(len(self.mean), columns=1)
        for batch in source.train.batches(BATCH):
            energy = batch["target"][:, 0, 0]
            sums.add(batch["categorical"][:, 0], torch.ones_like(energy)[:, None], energy)
        self.mean.copy_(sums.solve()[:, 0])
        self.trained.copy_(sums.seen)
        return FitReport(validation_loss=validation_error(self, source))
