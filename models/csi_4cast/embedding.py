"""The embedding of CSI-4CAST: each domain as an image through shuffle blocks, their sum as one token a step.

Cheng et al., "CSI-4CAST", arXiv 2510.12996. The blocks follow ShuffleNet (Zhang et al., 2018) with channel
attention. Parameter names are the official ones.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from ..csi_cnn.model import from_image, to_image
from ..layers.positions import SinusoidalPositions

MARKS = {"h": 4, "t": 5, "s": 6, "m": 1, "a": 1, "w": 2, "d": 3, "b": 3}
"""Calendar features by step width, of the embedding that has parameters but is never called."""

Attention = Literal["average", "average_and_maximum"]


class Embedding(nn.Module):
    """A branch for each domain, their sum, one token a step, and a linear map of the steps.

    Args:
        context: steps of the series.
        channels: of the series.
        width: of a token.
        branch: makes the layers of a domain.
        names: of the branches for delay and frequency domain.
        as_image: whether branches take images and not series.
        delay: whether there is a delay domain.
        freq: step width of the calendar embedding that is never called.
        dropout: share of the tokens dropped.
    """

    def __init__(
        self,
        context: int,
        channels: int,
        width: int,
        branch: Callable[[], nn.Module],
        names: tuple[str, str],
        as_image: bool,
        delay: bool,
        freq: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.as_image = as_image
        self.names = names if delay else names[1:]
        for name in self.names:
            self.add_module(name, branch())
        self.embedding = Tokens(channels, width, freq, dropout)
        self.predict_linear_pre = nn.Linear(context, context)

    def forward(self, delay: torch.Tensor | None, frequency: torch.Tensor) -> torch.Tensor:
        """Tokens, shape (sample, time, width), of the two domains, each (sample, time, channel)."""
        domains = [frequency] if delay is None else [frequency, delay]
        made = [self._through(*pair) for pair in zip(self.branches(), domains, strict=True)]
        return self.tokens(made[0] if delay is None else made[0] + made[1])

    def branches(self) -> list[nn.Module]:
        """Layers of the frequency and, where there is one, of the delay domain."""
        return [self.get_submodule(name) for name in reversed(self.names)]

    def tokens(self, series: torch.Tensor) -> torch.Tensor:
        """Tokens, shape (sample, time, width), of what the branches made (sample, time, channel)."""
        return self.predict_linear_pre(self.embedding(series).transpose(1, 2)).transpose(1, 2)

    def _through(self, branch: nn.Module, series: torch.Tensor) -> torch.Tensor:
        return from_image(branch(to_image(series))) if self.as_image else branch(series)


class Tokens(nn.Module):
    """One token a step: a convolution over steps that wraps around, plus sinusoidal positions.

    `temporal_embedding` would read calendar marks. The official code is given none and never calls it; its
    parameters count and are loaded all the same.
    """

    def __init__(self, channels: int, width: int, freq: str, dropout: float) -> None:
        super().__init__()
        self.value_embedding = nn.ModuleDict({"tokenConv": _token_convolution(channels, width)})
        self.position_embedding = SinusoidalPositions(width)
        self.temporal_embedding = nn.ModuleDict({"embed": nn.Linear(MARKS[freq], width, bias=False)})
        self.dropout = nn.Dropout(dropout)

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """Shape (sample, time, width) of a series of shape (sample, time, channel)."""
        tokens = self.value_embedding["tokenConv"](series.transpose(1, 2)).transpose(1, 2)
        return self.dropout(tokens + self.position_embedding(series.shape[1]))


def shuffle_branch(maps: int, blocks: int, groups: int, attention: Attention, ratio: int) -> nn.Sequential:
    """Convolution from re and im to maps, shuffle blocks, convolution back.

    Args:
        maps: of the image between.
        blocks: number of shuffle blocks.
        groups: of their pointwise convolutions; they divide the maps.
        attention: what channel attention pools.
        ratio: by which its hidden layer is narrower than the maps.
    """
    inner = [ShuffleBlock(maps, groups, attention, ratio) for _ in range(blocks)]
    return nn.Sequential(nn.Conv2d(2, maps, 3, padding=1), *inner, nn.Conv2d(maps, 2, 3, padding=1))


class ShuffleBlock(nn.Module):
    """Grouped 1×1, shuffle, depthwise 3×3, grouped 1×1, channel attention, and the input added."""

    def __init__(self, maps: int, groups: int, attention: Attention, ratio: int) -> None:
        super().__init__()
        self.g_pw_conv_in = nn.Conv2d(maps, maps, 1, groups=groups, bias=False)
        self.g_pw_conv_in_bn = nn.BatchNorm2d(maps)
        self.shuffle = nn.ChannelShuffle(groups)
        self.dw_conv = nn.Conv2d(maps, maps, 3, padding=1, groups=maps, bias=False)
        self.dw_conv_bn = nn.BatchNorm2d(maps)
        self.g_pw_conv_out = nn.Conv2d(maps, maps, 1, groups=groups, bias=False)
        self.g_pw_conv_out_bn = nn.BatchNorm2d(maps)
        self.ca = (
            AverageAttention(maps, ratio) if attention == "average" else AverageAndMaximumAttention(maps)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (sample, map, time, subcarrier) as it came."""
        inner = self.shuffle(torch.relu(self.g_pw_conv_in_bn(self.g_pw_conv_in(image))))
        inner = self.dw_conv_bn(self.dw_conv(inner))
        inner = self.g_pw_conv_out_bn(self.g_pw_conv_out(inner))
        return torch.relu(image + self.ca(inner) * inner)


class AverageAttention(nn.Module):
    """Weights of the maps from their means: the form of the TDD model."""

    def __init__(self, maps: int, ratio: int) -> None:
        super().__init__()
        self.se = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(maps, maps // ratio, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(maps // ratio, maps, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (sample, map, 1, 1), in (0, 1)."""
        return self.se(image)

    def matrices(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights of its two layers, (hidden, map) and (map, hidden)."""
        return self.se[1].weight[..., 0, 0], self.se[3].weight[..., 0, 0]  # type: ignore[return-value,index]


class AverageAndMaximumAttention(nn.Module):
    """Weights of the maps from their means and maxima through the same layers: the form of the FDD model."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(maps, maps, 1, bias=False)
        self.fc2 = nn.Conv2d(maps, maps, 1, bias=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (sample, map, 1, 1), in (0, 1)."""
        pooled = (image.mean(dim=(2, 3), keepdim=True), image.amax(dim=(2, 3), keepdim=True))
        mean, maximum = (self.fc2(torch.relu(self.fc1(one))) for one in pooled)
        return torch.sigmoid(mean + maximum)

    def matrices(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights of its two layers, (hidden, map) and (map, hidden)."""
        return self.fc1.weight[..., 0, 0], self.fc2.weight[..., 0, 0]


def _token_convolution(channels: int, width: int) -> nn.Conv1d:
    layer = nn.Conv1d(channels, width, 3, padding=1, padding_mode="circular")
    nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="leaky_relu")
    return layer
