"""3GPP path loss of an urban micro cell: TR 38.901, table 7.4.1-1, UMi, by distance and sight."""

from collections.abc import Mapping
from typing import Any

import torch

from tsbench.contracts import TaskShape

from ..layers.formula import FormulaForecaster
from ..layers.links import Links, carrier, tr38901_gain


class UMiPathLoss(FormulaForecaster):
    """gain = −loss with or without line of sight, by a straight line over the raster of buildings."""

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, hyperparameters, "umi_path_loss")

    def gain(
        self, batch: Mapping[str, torch.Tensor], links: Links, sight: torch.Tensor | None
    ) -> torch.Tensor:
        """Path gain in dB, float64, shape (sample, y, x)."""
        return tr38901_gain(links, carrier(batch, self.shape, self.who, links.slant), sight, "umi")
