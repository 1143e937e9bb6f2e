"""A straight line of each station: its energy by the sum of the loads of its cells, by least squares."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits
from tsbench.training.build import NoHyperparameters
from tsbench.training.source import FitReport, TaskSource

from ..layers.station_sums import BATCH, SiteSums, total_load, validation_error
from ..layers.stations import known_or_refused


class SiteLinear(nn.Module):
    """energy = a + b · load, with a and b of the station.

    Raises:
        InputError: where the task does not say which station a sample is of, or cells have no load.
    """

    fits: ClassVar[Fits] = "task"
    uses: ClassVar[frozenset[str]] = frozenset({"context", "entity", "entity_mask", "categorical"})
    views: ClassVar[tuple[str, ...]] = ("panel",)
    Hyperparameters: ClassVar[type] = NoHyperparameters
    trained: torch.Tensor

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__()
        if not shape.categories:
            raise InputError("site_linear reads which station a sample is of; this task does not say")
        if "load" not in shape.entity_features:
            raise InputError("site_linear reads the `load` of each cell; the cells of this task have none")
        self.column = shape.entity_features.index("load")
        stations = next(iter(shape.categories.values()))
        self.coefficients = nn.Parameter(torch.zeros(stations, 2, dtype=torch.float64), requires_grad=False)
        self.register_buffer("trained", torch.zeros(stations, dtype=torch.bool))

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, 1, 1).

        Raises:
            InputError: for a station that was not in the training part.
        """
        codes = batch["categorical"][:, 0]
        known_or_refused(codes, self.trained, "site_linear", "choose a model that reads the cells instead")
        values = (self._inputs(batch) * self.coefficients[codes]).sum(dim=1)
        return Forecast(values.to(batch["context"])[:, None, None])

    def fit(self, source: TaskSource, init: Any = None) -> FitReport:
        """Solve for every station's line; there is no randomness."""
        sums = SiteSums(len(self.coefficients), columns=2)
        for batch in source.train.batches(BATCH):
            sums.add(batch["categorical"][:, 0], self._inputs(batch), batch["target"][:, 0, 0])
        self.coefficients.copy_(sums.solve())
        self.trained.copy_(sums.seen)
        return FitReport(validation_loss=validation_error(self, source))

    def _inputs(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """1 and the load, float64, shape (sample, 2)."""
        load = total_load(batch, self.column).double()
        return torch.stack([torch.ones_like(load), load], dim=1)
