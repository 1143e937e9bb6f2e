"""Convolutional forecaster of CSI: look-back and subcarriers as an image whose two colours are re and im.

The baseline "CNN" of Cheng et al., "CSI-4CAST", arXiv 2510.12996. Parameter names are the official ones.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import InputError, TaskShape
from tsbench.training.module import NeuralForecaster


@dataclass(frozen=True)
class Hyperparameters:
    """Of the convolutional forecaster.

    Attributes:
        filters: number of widths 2, 4, 8, …, 2^filters that the image passes on its way in and out.
    """

    filters: int = 7

    def __post_init__(self) -> None:
        """One width is the image itself."""
        if self.filters < 1:
            raise ValueError(f"filters must be at least 1, not {self.filters}")


class CsiCnn(NeuralForecaster):
    """A chain of 3×3 convolutions over (time, subcarrier), then one that maps the times to the horizon.

    Raises:
        InputError: for an odd number of channels, which are pairs of real and imaginary part.
    """

    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        if len(shape.channels) % 2:
            raise InputError(
                "csi_cnn reads channels as pairs of real and imaginary part; "
                f"the task has {len(shape.channels)} context channels, and an even number is needed"
            )
        chosen = hyperparameters or Hyperparameters()
        self.model = Autoencoder(shape.context, shape.horizon, chosen.filters)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, target)."""
        forecast = self.model(batch["context"])
        if self.shape.targets == self.shape.channels:
            return forecast
        return forecast[..., list(self.shape.target_index)]


class Autoencoder(nn.Module):
    """Convolutions with tanh from 2 to 2^filters maps and back to 2, then a linear map of the times.

    Args:
        context: look-back in steps.
        horizon: steps to forecast.
        filters: number of widths.
    """

    def __init__(self, context: int, horizon: int, filters: int) -> None:
        super().__init__()
        self.postprocess = nn.Conv1d(context, horizon, kernel_size=3, padding=1)
        widths = [2**power for power in range(1, filters + 1)]
        self.encoder = nn.ModuleList(_convolution(*pair) for pair in pairwise(widths))
        self.decoder = nn.ModuleList(_convolution(*pair) for pair in pairwise(reversed(widths)))

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, channel), of `series`, shape (sample, time, channel)."""
        image = to_image(series)
        for layer in (*self.encoder, *self.decoder):
            image = torch.tanh(layer(image))  # (sample, width, time, subcarrier)
        return self.postprocess(from_image(image))


def to_image(series: torch.Tensor) -> torch.Tensor:
    """Real and imaginary parts as the maps of an image, without a copy: the maps lie innermost.

    Args:
        series: shape (sample, time, channel), channels re, im of each subcarrier in turn.

    Returns:
        Shape (sample, 2, time, subcarrier).
    """
    return series.unflatten(2, (-1, 2)).permute(0, 3, 1, 2)


def from_image(image: torch.Tensor) -> torch.Tensor:
    """Inverse of `to_image`."""
    return image.permute(0, 2, 3, 1).flatten(2)


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """Weights uniform in ±1/√inputs whatever the kernel, bias 0: the official start."""
    layer = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
    nn.init.uniform_(layer.weight, -1 / math.sqrt(inputs), 1 / math.sqrt(inputs))
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer
