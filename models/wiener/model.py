"""Wiener: one affine map from the look-back of all antennas to their horizon, fitted by least squares.

The baseline "Wiener" of Cheng et al., "CSI-4CAST", arXiv 2510.12996: a map for each subcarrier, with the
training means taken out. At 32 antennas and 300 subcarriers it takes 8 · 16 · 4 · 32² · 300 = 0.157 GFLOP.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import Forecast, TaskShape
from tsbench.contracts.model import Fits
from tsbench.training.source import FitReport, TaskSource

from .least_squares import NormalEquations, from_rows, to_rows

FIT_BATCH = 64


@dataclass(frozen=True)
class Hyperparameters:
    """Of the Wiener filter.

    Attributes:
        ridge: added to the diagonal of the Gram matrix, as a share of its mean diagonal.
        shared: one map for all subcarriers in place of one for each. A channel has the same statistics at
            each of them, so that a small training set gives the better map this way.
    """

    ridge: float = 1e-6
    shared: bool = False

    def __post_init__(self) -> None:
        """A negative ridge would blow the map up."""
        if self.ridge < 0:
            raise ValueError(f"ridge must not be negative, not {self.ridge}")


class Wiener(nn.Module):
    """forecast = W context + b over (time, antenna), complex, by the normal equations in complex128."""

    fits: ClassVar[Fits] = "task"
    uses: ClassVar[frozenset[str]] = frozenset({"context"})
    views: ClassVar[tuple[str, ...]] = ("csi",)
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__()
        chosen = hyperparameters or Hyperparameters()
        self.ridge = chosen.ridge
        self.antennas = shape.sizes["antenna"]
        self.maps = 1 if chosen.shared else shape.sizes["subcarrier"]
        features, outputs = shape.context * self.antennas, shape.horizon * self.antennas
        # Real and imaginary parts lie along the last dimension.
        self.weight = nn.Parameter(torch.zeros(self.maps, outputs, features, 2), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(self.maps, outputs, 2), requires_grad=False)

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, complex, shape (sample, antenna, lead_time, subcarrier)."""
        return Forecast(self(batch["context"]))

    def forward(self, context: torch.Tensor) -> torch.Tensor:
        """Forecast of `context`, complex, shape (sample, antenna, time, subcarrier)."""
        weight, bias = torch.view_as_complex(self.weight), torch.view_as_complex(self.bias)
        rows = to_rows(context, self.maps) @ weight.mT + bias[:, None]  # (map, row, lead_time × antenna)
        return from_rows(rows, context.shape[0], self.antennas)

    def fit(self, source: TaskSource, init: Any = None) -> FitReport:
        """Solve for the maps; there is no randomness."""
        outputs, features = self.weight.shape[1:3]
        equations = NormalEquations(self.maps, features, outputs)
        for batch in source.train.batches(FIT_BATCH):
            equations.add(to_rows(batch["context"], self.maps), to_rows(batch["target"], self.maps))
        weight, bias = equations.solve(self.ridge)
        self.weight.copy_(torch.view_as_real(weight.resolve_conj()))
        self.bias.copy_(torch.view_as_real(bias))
        return FitReport(validation_loss=squared_error(self, source))


def squared_error(model: nn.Module, source: TaskSource) -> float:
    """Mean squared magnitude of the error over the validation part."""
    total, count = 0.0, 0
    for batch in source.validation.batches(FIT_BATCH):
        error = (model(batch["context"]) - batch["target"]).abs()
        total, count = total + float(error.square().sum(dtype=torch.float64)), count + error.numel()
    return total / count
