"""AR: a vector autoregression over the antennas, fitted by least squares and fed its own forecast.

The baseline "AR" of Cheng et al., "CSI-4CAST", arXiv 2510.12996: matrices for each subcarrier, with the
training mean taken out. The published 0.108 GFLOP = 8 · 4 · order · 32² · 300 gives the order 11.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits
from tsbench.training.source import FitReport, TaskSource

from ..wiener.least_squares import NormalEquations, from_rows, to_rows
from ..wiener.model import FIT_BATCH, squared_error


@dataclass(frozen=True)
class Hyperparameters:
    """Of the autoregression.

    Attributes:
        order: steps that the next one is computed from.
        ridge: added to the diagonal of the Gram matrix, as a share of its mean diagonal.
        shared: one set of matrices for all subcarriers in place of one for each. A channel has the same
            statistics at each of them, so that a small training set gives the better matrices this way.
    """

    order: int = 11
    ridge: float = 1e-6
    shared: bool = False

    def __post_init__(self) -> None:
        """An autoregression of order 0 is a constant; a negative ridge would blow the matrices up."""
        if self.order < 1:
            raise ValueError(f"order must be at least 1, not {self.order}")
        if self.ridge < 0:
            raise ValueError(f"ridge must not be negative, not {self.ridge}")


class AR(nn.Module):
    """h_t = A_1 h_{t−1} + … + A_order h_{t−order} + b, with h_t the antennas at a subcarrier.

    Raises:
        InputError: where the look-back is shorter than the order.
    """

    fits: ClassVar[Fits] = "task"
    uses: ClassVar[frozenset[str]] = frozenset({"context"})
    views: ClassVar[tuple[str, ...]] = ("csi",)
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__()
        chosen = hyperparameters or Hyperparameters()
        if shape.context < chosen.order:
            raise InputError(f"ar of order {chosen.order} needs as long a context, not {shape.context}")
        self.order, self.ridge, self.horizon = chosen.order, chosen.ridge, shape.horizon
        self.antennas = shape.sizes["antenna"]
        self.maps = 1 if chosen.shared else shape.sizes["subcarrier"]
        # Oldest step first; real and imaginary parts lie along the last dimension.
        matrices = torch.zeros(self.maps, self.antennas, self.order * self.antennas, 2)
        self.weight = nn.Parameter(matrices, requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(self.maps, self.antennas, 2), requires_grad=False)

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, complex, shape (sample, antenna, lead_time, subcarrier)."""
        return Forecast(self(batch["context"]))

    def forward(self, context: torch.Tensor) -> torch.Tensor:
        """Forecast of `context`, complex, shape (sample, antenna, time, subcarrier)."""
        weight, bias = torch.view_as_complex(self.weight), torch.view_as_complex(self.bias)
        past, steps = to_rows(context[:, :, -self.order :], self.maps), []
        for _ in range(self.horizon):
            steps.append(past @ weight.mT + bias[:, None])  # (map, row, antenna)
            past = torch.cat([past[..., self.antennas :], steps[-1]], dim=-1)
        return from_rows(torch.cat(steps, dim=-1), context.shape[0], self.antennas)

    def fit(self, source: TaskSource, init: Any = None) -> FitReport:
        """Solve for the matrices over every step of look-back and horizon; there is no randomness."""
        equations = NormalEquations(self.maps, self.order * self.antennas, self.antennas)
        for batch in source.train.batches(FIT_BATCH):
            rows = to_rows(torch.cat([batch["context"], batch["target"]], dim=2), self.maps)
            for start in range(0, rows.shape[2] - self.weight.shape[2], self.antennas):
                stop = start + self.weight.shape[2]
                equations.add(rows[..., start:stop], rows[..., stop : stop + self.antennas])
        weight, bias = equations.solve(self.ridge)
        self.weight.copy_(torch.view_as_real(weight.resolve_conj()))
        self.bias.copy_(torch.view_as_real(bias))
        return FitReport(validation_loss=squared_error(self, source))
