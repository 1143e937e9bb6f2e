"""The network of LLM4CP: channel responses in delay and frequency, made tokens of a language model.

Liu et al., "LLM4CP: Adapting Large Language Models for Channel Prediction", 2024 (arXiv 2406.14440), section
III. Parameter names are those of its code.
"""

import torch
from torch import nn
from torch.nn import functional

from ..csi_cnn.model import from_image, to_image
from ..layers.positions import SinusoidalPositions
from .gpt2 import Decoder

PATCH = 4
"""Steps that are mixed with each other before anything else."""
CALENDAR = 4
"""Inputs of the embedding of time that comes with the code, and is never used."""
SMALLEST = 1e-6
"""Least deviation that the port of CSI-4CAST divides by."""


class Network(nn.Module):
    """Normalisation, two branches, tokens, backbone, and linear maps to the forecast.

    Args:
        channels: real and imaginary part of each subcarrier in turn, an even number.
        context: look-back in steps, a multiple of `PATCH`.
        horizon: steps to forecast.
        backbone: decoder on the tokens; None: they go on as they are.
        width: of a token, at most that of the backbone, which sees zeros beyond.
        residual_width: maps of the convolutions of each branch.
        residual_blocks: of each branch.
        dropout: of the tokens, in training.
        original: the form of the authors' code (no bias in the convolution to tokens, unbiased deviation);
            otherwise that of its port in CSI-4CAST.
        compat: in the delay branch, as both codes: real parts, then imaginary parts, are read as pairs.
    """

    def __init__(
        self,
        channels: int,
        context: int,
        horizon: int,
        backbone: Decoder | None,
        width: int,
        residual_width: int,
        residual_blocks: int,
        dropout: float = 0.1,
        original: bool = False,
        compat: bool = True,
    ) -> None:
        super().__init__()
        self.original, self.compat = original, compat
        self.enc_embedding1 = Embedding(channels, width, dropout, bias=not original)
        self.patch_layer = nn.Linear(PATCH, PATCH)
        # The official code builds this one too, and mixes both branches with the other.
        self.patch_layer_fre = nn.Linear(PATCH, PATCH)
        self.predict_linear_pre = nn.Linear(context, context)
        self.gpt2 = backbone
        self.out_layer_dim = nn.Linear(width, channels)
        self.output_layer_time = nn.Sequential(nn.Linear(context, horizon))
        self.RB_e = branch(residual_width, residual_blocks)
        self.RB_f = branch(residual_width, residual_blocks)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, channel), of `series`, shape (sample, time, channel).

        Mean and deviation are those of the whole batch, so that a forecast depends on the samples beside it.
        """
        mean, deviation = self.moments(series)
        tokens = self.tokens((series - mean) / deviation)
        hidden = self.out_layer_dim(self.states(tokens))  # (sample, time, channel)
        return over_time(self.output_layer_time, hidden) * deviation + mean

    def moments(self, series: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of all values of a batch."""
        if self.original:
            return series.mean(), series.std()
        return series.mean(), series.std(correction=0).clamp_min(SMALLEST)

    def tokens(self, series: torch.Tensor) -> torch.Tensor:
        """Tokens of a normalised batch, one a step, shape (sample, time, width)."""
        image = self.RB_f(to_image(self.mixed(self.to_delay(series))))
        image = image + self.RB_e(to_image(self.mixed(series)))  # (sample, 2, time, subcarrier)
        return over_time(self.predict_linear_pre, self.enc_embedding1(from_image(image)))

    def to_delay(self, series: torch.Tensor) -> torch.Tensor:
        """Inverse Fourier transform over the subcarriers, shape (sample, time, channel).

        With `compat` the real parts of all delays come first and the imaginary ones after them; otherwise
        they alternate as those of the subcarriers do.
        """
        response = torch.view_as_complex(series.unflatten(2, (-1, 2)).contiguous())
        delays = torch.fft.ifft(response)  # (sample, time, delay)
        if self.compat:
            return torch.cat([delays.real, delays.imag], dim=2)
        return torch.view_as_real(delays).flatten(2)

    def mixed(self, series: torch.Tensor) -> torch.Tensor:
        """Each patch of steps through one linear layer, shape (sample, time, channel)."""
        patches = series.unflatten(1, (-1, PATCH))  # (sample, patch, step, channel)
        return over_time(self.patch_layer, patches).flatten(1, 2)

    def states(self, tokens: torch.Tensor) -> torch.Tensor:
        """What the backbone makes of tokens; shape (sample, time, width)."""
        if self.gpt2 is None:
            return tokens
        width = tokens.shape[2]
        wide = functional.pad(tokens, (0, self.gpt2.configuration.width - width))
        return self.gpt2(wide)[..., :width]


class Embedding(nn.Module):
    """A circular convolution over three steps and sinusoidal positions.

    Args:
        channels: of a step.
        width: of a token.
        dropout: in training.
        bias: of the convolution.
    """

    def __init__(self, channels: int, width: int, dropout: float, bias: bool) -> None:
        super().__init__()
        self.value_embedding = nn.Module()
        self.value_embedding.tokenConv = nn.Conv1d(
            channels, width, kernel_size=3, padding=1, padding_mode="circular", bias=bias
        )
        nn.init.kaiming_normal_(
            self.value_embedding.tokenConv.weight, mode="fan_in", nonlinearity="leaky_relu"
        )
        self.position_embedding = SinusoidalPositions(width)
        self.temporal_embedding = nn.Module()
        self.temporal_embedding.embed = nn.Linear(CALENDAR, width, bias=False)
        self.dropout = dropout

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """Tokens, shape (sample, time, width), of `series`, shape (sample, time, channel)."""
        convolution = self.value_embedding.get_submodule("tokenConv")
        tokens = convolution(series.transpose(1, 2)).transpose(1, 2)
        tokens = tokens + self.position_embedding(series.shape[1])
        return functional.dropout(tokens, self.dropout, self.training)


def branch(width: int, blocks: int) -> nn.Sequential:
    """Convolutions over time and subcarriers from real and imaginary part and back to them."""
    first = nn.Conv2d(2, width, kernel_size=3, padding=1)
    last = nn.Conv2d(width, 2, kernel_size=3, padding=1)
    return nn.Sequential(first, *(ResidualBlock(width) for _ in range(blocks)), last)


class ResidualBlock(nn.Module):
    """x + a · y, where y is x after two convolutions and a the attention of its maps."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.ca = MapAttention(width)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (sample, map, time, subcarrier)."""
        made = self.conv2(functional.relu(self.conv1(image)))
        return image + self.ca(made) * made


class MapAttention(nn.Module):
    """A factor for each map from its mean and its largest value."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, width, kernel_size=1, bias=False)
        self.fc2 = nn.Conv2d(width, width, kernel_size=1, bias=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Factors between 0 and 1, shape (sample, map, 1, 1)."""
        mean, largest = image.mean(dim=(2, 3), keepdim=True), image.amax(dim=(2, 3), keepdim=True)
        each = [self.fc2(functional.relu(self.fc1(one))) for one in (mean, largest)]
        return torch.sigmoid(each[0] + each[1])


def over_time(layer: nn.Module, series: torch.Tensor) -> torch.Tensor:
    """A layer along the last but one axis, which is time."""
    return layer(series.transpose(-1, -2)).transpose(-1, -2)
