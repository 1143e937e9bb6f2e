"""Recurrent forecaster of CSI: reads the look-back step by step, then its own forecast.

The baseline "RNN" of Cheng et al., "CSI-4CAST", arXiv 2510.12996. Parameter names are the official ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import TaskShape
from tsbench.training.module import NeuralForecaster


@dataclass(frozen=True)
class Hyperparameters:
    """Of the recurrent forecaster.

    Attributes:
        hidden: width of each recurrent layer.
        layers: number of recurrent layers.
    """

    hidden: int = 1200
    layers: int = 4

    def __post_init__(self) -> None:
        """There is no recurrence without a layer."""
        for name in ("hidden", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


class CsiRnn(NeuralForecaster):
    """A linear layer, stacked tanh recurrences and a linear layer that says the next step, fed back."""

    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = hyperparameters or Hyperparameters()
        self.model = FedBack(len(shape.channels), chosen.hidden, chosen.layers, shape.horizon)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, target)."""
        forecast = self.model(batch["context"])
        if self.shape.targets == self.shape.channels:
            return forecast
        return forecast[..., list(self.shape.target_index)]


class FedBack(nn.Module):
    """Feeds a recurrent unit with the look-back and then with its own output.

    Args:
        channels: of the series.
        hidden: width of each recurrent layer.
        layers: number of recurrent layers.
        horizon: steps to forecast.
    """

    def __init__(self, channels: int, hidden: int, layers: int, horizon: int) -> None:
        super().__init__()
        self.horizon = horizon
        self.model = RecurrentUnit(channels, hidden, layers)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, channel), of `series`, shape (sample, time, channel)."""
        step, state = self.model(series)
        steps = [step]
        for _ in range(self.horizon - 1):
            step, state = self.model(step, state)
            steps.append(step)
        return torch.cat(steps, dim=1)


class RecurrentUnit(nn.Module):
    """Linear layer, stacked tanh recurrences, linear layer."""

    def __init__(self, channels: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(channels, channels))
        self.rnn = nn.RNN(channels, hidden, layers, batch_first=True)
        self.decoder = nn.Sequential(nn.Linear(hidden, channels))

    def forward(
        self, series: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Read a piece of the series in one call, and say the step after it.

        Args:
            series: shape (sample, time, channel).
            state: after what came before, shape (layer, sample, hidden), or None at the beginning.

        Returns:
            The next step, shape (sample, 1, channel), and the state after the piece.
        """
        hidden, after = self.rnn(self.encoder(series), state)
        # Only the last step is decoded: earlier ones would say what the look-back holds already.
        return self.decoder(hidden[:, -1:]), after
