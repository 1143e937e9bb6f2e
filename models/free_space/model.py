"""Free space: Friis' path loss of the straight path, its delay and its direction; nothing is in the way."""

from collections.abc import Mapping
from typing import Any

import torch

from tsbench.contracts import TaskShape
from tsbench.radio.path_loss import free_space_loss

from ..layers.formula import FormulaForecaster
from ..layers.links import Links, by_formula, carrier


class FreeSpace(FormulaForecaster):
    """gain = −20 log₁₀(4π d f / c) between isotropic antennas."""

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, hyperparameters, "free_space")

    def gain(
        self, batch: Mapping[str, torch.Tensor], links: Links, sight: torch.Tensor | None
    ) -> torch.Tensor:
        """Path gain in dB, float64, shape (sample, y, x)."""
        slant = links.slant
        return -by_formula(free_space_loss, slant, carrier(batch, self.shape, self.who, slant))

    def _sight(self, batch: Mapping[str, torch.Tensor], links: Links) -> torch.Tensor | None:
        return None
