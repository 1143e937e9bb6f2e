"""Ridge regression on features of a panel's samples, its penalty chosen on the validation part."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import Forecast, TaskShape
from tsbench.contracts.model import Fits
from tsbench.training.source import FitReport, TaskSource

from .features import PanelFeatures, Reads

PENALTIES = tuple(10.0**power for power in range(-3, 5))
"""That are tried, beside Gram matrices of standardised features over the number of samples."""


@dataclass(frozen=True)
class Hyperparameters:
    """Of the regression.

    Attributes:
        reads: `past`: past targets and the year alone.
        block: steps over which the context is averaged.
    """

    reads: Reads = "all"
    block: int = 4

    def __post_init__(self) -> None:
        """Refuse an empty block."""
        if self.block < 1:
            raise ValueError(f"block must be at least 1, not {self.block}")


class PanelRidge(nn.Module):
    """y = w · (x − mean) / spread + b."""

    fits: ClassVar[Fits] = "task"
    views: ClassVar[tuple[str, ...]] = ("panel",)
    uses: ClassVar[frozenset[str]] = PanelFeatures.uses
    mean: torch.Tensor
    spread: torch.Tensor
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__()
        chosen = hyperparameters or Hyperparameters()
        self.features = PanelFeatures(shape, chosen.block, chosen.reads)
        empty = torch.zeros(0, dtype=torch.float64)
        self._hold(empty, empty, empty, torch.zeros((), dtype=torch.float64))

    def resize(self, sizes: Mapping[str, torch.Size]) -> None:
        """Make room for the features of a file of weights; `sizes`: of its tensors, by name."""
        made = {name: one.new_zeros(sizes.get(name, one.shape)) for name, one in self.state_dict().items()}
        self._hold(made["weight"], made["mean"], made["spread"], made["bias"])

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, 1, 1)."""
        scaled = (self.features(batch) - self.mean) / self.spread
        return Forecast((scaled @ self.weight + self.bias)[:, None, None].float())

    def fit(self, source: TaskSource, init: Any = None) -> FitReport:
        """Solve for each penalty and keep the one with the lowest validation error."""
        rows, target = self.features.gathered(source.train)
        held, truth = self.features.gathered(source.validation)
        mean, spread = rows.mean(dim=0), rows.std(dim=0, unbiased=False)
        spread = torch.where(spread > 1e-9, spread, 1.0)
        scaled, bias = (rows - mean) / spread, target.mean()
        gram, moment = scaled.T @ scaled / len(rows), scaled.T @ (target - bias) / len(rows)
        losses = {}
        for penalty in PENALTIES:
            weight = torch.linalg.solve(gram + penalty * torch.eye(len(gram), dtype=gram.dtype), moment)
            error = (held - mean) / spread @ weight + bias - truth
            losses[penalty] = float(error.square().mean()), weight
        penalty = min(losses, key=lambda one: losses[one][0])
        self._hold(losses[penalty][1], mean, spread, bias)
        return FitReport(
            validation_loss=losses[penalty][0], detail={"penalty": penalty, "features": len(gram)}
        )

    def _hold(
        self, weight: torch.Tensor, mean: torch.Tensor, spread: torch.Tensor, bias: torch.Tensor
    ) -> None:
        self.weight, self.bias = (nn.Parameter(one, requires_grad=False) for one in (weight, bias))
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
