"""What neural models of base stations share: columns of cells, scales, relative error, known stations.

Cells arrive in physical units. Numbers are z-scored by the training part, but for shares: what lies between 0
and 1 in all of it stays as it is.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch.nn import functional

from tsbench.contracts import InputError, TaskShape
from tsbench.training.module import NeuralForecaster
from tsbench.training.source import CorpusSource, FitReport, TaskSource

FIT_BATCH = 4096
SMALLEST = 1e-3
"""Energy below which a relative error counts as one of that."""


Loss = Literal["relative", "log_huber"]
"""`relative`: |y − f| / y; `log_huber`: Huber's loss of log y, threshold 1."""


class StationForecaster(NeuralForecaster):
    """A model of one positive value from a few cells; a subclass gives `positive(batch)` of shape (sample,).

    Attributes:
        numbers: positions of the numeric features of a cell.
        codes: name of each other feature → its position.
        trained: which codes of stations the training part has, code 0 standing for an unknown one.

    Raises:
        InputError: where the task's samples have no cells, or no station.
    """

    own_loss: ClassVar[bool] = True
    probabilistic: ClassVar[bool] = False
    views: ClassVar[tuple[str, ...]] = ("panel",)
    uses: ClassVar[frozenset[str]] = frozenset({"context", "entity", "entity_mask", "categorical"})
    mean: torch.Tensor
    deviation: torch.Tensor
    energy_scale: torch.Tensor
    trained: torch.Tensor

    def __init__(self, shape: TaskShape, loss: Loss) -> None:
        super().__init__(shape)
        self.error = loss
        who = type(self).__name__
        if not shape.entity_features:
            raise InputError(f"{who} reads the cells of a station; the samples of this task have none")
        if not shape.categories:
            raise InputError(f"{who} reads which station a sample is of; this task does not say")
        names = shape.entity_features
        self.codes = {name: names.index(name) for name in shape.entity_categories}
        self.numbers = [place for place in range(len(names)) if place not in self.codes.values()]
        self.register_buffer("mean", torch.zeros(len(self.numbers)))
        self.register_buffer("deviation", torch.ones(len(self.numbers)))
        self.register_buffer("energy_scale", torch.ones(()))
        stations = next(iter(shape.categories.values()))
        self.register_buffer("trained", torch.zeros(stations, dtype=torch.bool))

    def positive(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Energy in units of the scale, before it is made positive, shape (sample,)."""
        raise NotImplementedError

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Energy, shape (sample, 1, 1)."""
        return (functional.softplus(self.positive(batch)) * self.energy_scale)[:, None, None]

    def features(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Numbers of each cell, scaled, 0 where there is no cell, (sample, cell, number)."""
        scaled = (batch["entity"][..., self.numbers] - self.mean) / self.deviation
        return scaled * batch["entity_mask"][..., None]

    def kind(self, batch: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
        """Codes of one feature of each cell, int64, (sample, cell); 0 where there is no cell."""
        return batch["entity"][..., self.codes[name]].long() * batch["entity_mask"]

    def loss(self, batch: Mapping[str, torch.Tensor], reduction: str = "mean") -> torch.Tensor:
        """The chosen error over samples with a positive energy."""
        forecast, target = self(batch), batch["target"]
        floor = target.clamp_min(SMALLEST)
        if self.error == "relative":
            each = (forecast - target).abs() / floor
        else:
            logarithms = forecast.clamp_min(SMALLEST).log(), floor.log()
            each = functional.huber_loss(*logarithms, reduction="none")
        total = torch.where(target > 0, each, 0.0).sum()
        return total if reduction == "sum" else total / (target > 0).sum().clamp_min(1)

    def terms(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """How many terms the summed loss of a batch has."""
        return (batch["target"] > 0).sum()

    def fit(
        self, source: TaskSource | CorpusSource, init: Mapping[str, torch.Tensor] | None = None
    ) -> FitReport:
        """Take scales and stations from the training part, then train; `init` brings its own."""
        if init is None:
            self._describe(source)
        return super().fit(source, init)

    def _describe(self, source: Any) -> None:
        cells, energy = [], []
        for batch in source.train.batches(FIT_BATCH):
            there = batch["entity_mask"].cpu()
            cells.append(batch["entity"].cpu()[..., self.numbers][there])  # (cell, number)
            energy.append(batch["target"].cpu().flatten())
            self.trained[batch["categorical"][:, 0]] = True
        self.trained[0] = False
        numbers = torch.cat(cells).double()
        shares = ((numbers >= 0) & (numbers <= 1)).all(dim=0)
        deviation = numbers.std(dim=0, unbiased=False)
        deviation = torch.where(deviation > 1e-6 * numbers.abs().mean(dim=0), deviation, 1.0)
        self.mean.copy_(torch.where(shares, 0.0, numbers.mean(dim=0)))
        self.deviation.copy_(torch.where(shares, 1.0, deviation))
        self.energy_scale.fill_(float(torch.cat(energy).median().clamp_min(SMALLEST)))


def known_or_refused(codes: torch.Tensor, trained: torch.Tensor, model: str, remedy: str) -> torch.Tensor:
    """The codes, where all are of stations that were trained on.

    Args:
        codes: of stations, int64, shape (sample,).
        trained: whether the training part has each code, shape (code,).
        model: for the message.
        remedy: what would help, for the message.

    Raises:
        InputError: where a station was not in the training part.
    """
    known = trained[codes.clamp_max(len(trained) - 1)] & (codes < len(trained))
    if not bool(known.all()):
        unknown = int(codes[~known][0])
        raise InputError(f"{model} knows no station {unknown}: it was not in the training part; {remedy}")
    return codes
