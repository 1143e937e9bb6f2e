"""The power model of base stations: standby and radiated power by type of radio unit, less what is saved.

The linear form of EARTH (Auer et al., "How much energy is needed to run a wireless network?", IEEE Wireless
Communications 18(5), 2011) and of 3GPP TR 38.864: P = P0 + Δ · P_out · load for each transmitter, here with
a standby that grows with the antennas and is lowered by the share of the hour in each energy-saving mode.
It is fitted by least squares of the relative error, with coefficients of each type of radio unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits
from tsbench.training.source import FitReport, TaskSource

from ..layers.station_sums import BATCH, validation_error

NEEDED = ("load", "Antennas", "TXpower", "RUType")
SMALLEST = 1e-3


@dataclass(frozen=True)
class Hyperparameters:
    """Of the power model.

    Attributes:
        ridge: by which the coefficients of a type are drawn to those that all types share, as a share of the
            mean diagonal of the normal equations. A type that nobody has trained on has the shared ones.
    """

    ridge: float = 1e-4

    def __post_init__(self) -> None:
        """Without a ridge, shared and own coefficients could not be told apart."""
        if self.ridge <= 0:
            raise ValueError(f"ridge must be positive, not {self.ridge}")


class EnergyPhysical(nn.Module):
    """energy = constant + Σ over cells of standby, radiated and saved power, linear in its coefficients.

    Raises:
        InputError: where cells lack a load, antennas, a power or a type of radio unit.
    """

    fits: ClassVar[Fits] = "task"
    uses: ClassVar[frozenset[str]] = frozenset({"context", "entity", "entity_mask"})
    views: ClassVar[tuple[str, ...]] = ("panel",)
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__()
        chosen = hyperparameters or Hyperparameters()
        if lacking := [name for name in NEEDED if name not in shape.entity_features]:
            raise InputError(f"energy_physical needs {', '.join(lacking)} of each cell")
        self.names, self.ridge = shape.entity_features, chosen.ridge
        self.modes = [name for name in self.names if name.startswith("ESMode")]
        self.types = shape.entity_categories["RUType"]
        # A constant, the terms that all types share, and what each type differs by.
        size = 1 + self.terms * (1 + self.types)
        self.coefficients = nn.Parameter(torch.zeros(size, dtype=torch.float64), requires_grad=False)

    @property
    def terms(self) -> int:
        """Of a cell: a constant, its antennas, its radiated power, and antennas in each saving mode."""
        return 3 + len(self.modes)

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, 1, 1)."""
        return Forecast((self.inputs(batch) @ self.coefficients).to(batch["context"])[:, None, None])

    def fit(self, source: TaskSource, init: Any = None) -> FitReport:
        """Solve the ridge regression of relative errors; there is no randomness."""
        size = len(self.coefficients)
        gram = torch.zeros(size, size, dtype=torch.float64)
        moment = torch.zeros(size, dtype=torch.float64)
        for batch in source.train.batches(BATCH):
            energy = batch["target"][:, 0, 0].double()
            rows = self.inputs(batch)[energy > 0] / energy[energy > 0].clamp_min(SMALLEST)[:, None]
            gram += rows.T @ rows
            moment += rows.sum(dim=0)
        # Terms differ in size by orders of magnitude: each counts in units of its own spread.
        size_of_term = gram.diagonal().sqrt().clamp_min(1e-12)
        scaled = gram / size_of_term[:, None] / size_of_term
        penalty = torch.full_like(moment, self.ridge)
        penalty[: 1 + self.terms] = 1e-9
        solution = torch.linalg.solve(scaled + torch.diag(penalty), moment / size_of_term)
        self.coefficients.copy_(torch.where(gram.diagonal() > 0, solution / size_of_term, 0.0))
        return FitReport(validation_loss=validation_error(self, source))

    def inputs(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Rows of the regression, float64, shape (sample, coefficient)."""
        entity, there = batch["entity"].double(), batch["entity_mask"]
        of = {name: entity[..., place] for place, name in enumerate(self.names)}
        antennas = of["Antennas"]
        terms = torch.stack(
            [
                torch.ones_like(antennas),
                antennas,
                of["TXpower"] * of["load"],
                *(-antennas * of[mode] for mode in self.modes),
            ],
            dim=-1,
        )  # (sample, cell, term)
        terms = torch.where(there[..., None], terms, 0.0)
        shared = terms.sum(dim=1)
        kind = nn.functional.one_hot(of["RUType"].long() * there, self.types).double()
        by_type = torch.einsum("sct,sck->skt", terms, kind).flatten(1)  # (sample, type × term)
        return torch.cat([torch.ones_like(shared[:, :1]), shared, by_type], dim=1)
