"""Residual MLP: blocks of fully connected layers, each on what the blocks before it left unexplained.

The generic form of Oreshkin, Carpov, Chapados and Bengio, "N-BEATS: Neural basis expansion analysis for
interpretable time series forecasting", ICLR 2020 (arXiv 1905.10437), sections 3.1 and 3.2. The
default sizes are those of the study of compositional reasoning (arXiv 2502.06037) at its budget of about
0.9 million parameters. Channels never mix.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from einops import rearrange
from torch import nn

from tsbench.contracts import TaskShape
from tsbench.training.module import NeuralForecaster

from ..layers.window_norm import window_statistics


@dataclass(frozen=True)
class Hyperparameters:
    """Of the residual MLP.

    Attributes:
        stacks: groups of blocks.
        blocks: in a stack.
        layers: fully connected layers with ReLU in a block.
        width: of these layers.
        norm: normalise each window by its own mean and standard deviation, and undo it on the forecast.
            Without it a forecast of a sum can be the sum of forecasts; with it scale and level never matter.
    """

    stacks: int = 3
    blocks: int = 3
    layers: int = 4
    width: int = 128
    norm: bool = True

    def __post_init__(self) -> None:
        """Counts are positive."""
        for name in ("stacks", "blocks", "layers", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")


class ResidualMLP(NeuralForecaster):
    """Doubly residual: backcasts are taken off the window from block to block, forecasts are added up."""

    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = hyperparameters or Hyperparameters()
        self.norm = chosen.norm
        self.stacks = nn.ModuleList(
            nn.ModuleList(
                Block(shape.context, shape.horizon, chosen.width, chosen.layers) for _ in range(chosen.blocks)
            )
            for _ in range(chosen.stacks)
        )

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, target)."""
        series = batch["context"]
        if self.shape.targets != self.shape.channels:
            series = series[..., list(self.shape.target_index)]
        if not self.norm:
            return self.of_series(series)
        mean, spread = window_statistics(series)
        return self.of_series((series - mean) / spread) * spread + mean

    def of_series(self, series: torch.Tensor) -> torch.Tensor:
        """Forecast (sample, lead_time, target) in the scale of the series (sample, time, target)."""
        forecasts = self.of_stacks(rearrange(series, "b time n -> (b n) time"))
        return rearrange(torch.stack(forecasts).sum(dim=0), "(b n) lead -> b lead n", b=len(series))

    def of_stacks(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """What each stack adds to the forecast, (row, lead_time) each, of rows (row, time)."""
        forecasts = []
        for stack in self.stacks:
            assert isinstance(stack, nn.ModuleList)
            forecast = rows.new_zeros(len(rows), self.shape.horizon)
            for block in stack:
                backcast, ahead = block(rows)
                rows, forecast = rows - backcast, forecast + ahead
            forecasts.append(forecast)
        return forecasts


class Block(nn.Module):
    """Fully connected layers with ReLU, then one linear map each to the backcast and to the forecast."""

    def __init__(self, context: int, horizon: int, width: int, layers: int) -> None:
        super().__init__()
        widths = [context, *[width] * layers]
        self.layers = nn.Sequential()
        for inputs, outputs in pairwise(widths):
            self.layers.extend([nn.Linear(inputs, outputs), nn.ReLU()])
        self.backcast = nn.Linear(width, context)
        self.forecast = nn.Linear(width, horizon)

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Backcast (row, time) and forecast (row, lead_time) of rows (row, time)."""
        hidden = self.layers(rows)
        return self.backcast(hidden), self.forecast(hidden)
