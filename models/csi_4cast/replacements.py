"""What the published ablations of CSI-4CAST put in the place of its shuffle blocks and its Transformer.

AI4OPT/CSI-4CAST, `models/ablation`; sizes are the defaults there.
"""

import torch
from torch import nn


def perceptron_branch(channels: int, hidden: int, dropout: float) -> nn.Sequential:
    """Three linear layers over the channels of each step."""
    return nn.Sequential(
        *[nn.Linear(channels, hidden), nn.ReLU(), nn.Dropout(dropout)],
        *[nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout)],
        nn.Linear(hidden, channels),
    )


def mobile_branch(maps: int, blocks: int) -> nn.Sequential:
    """Stem, inverted residuals as in MobileNetV3 (Howard et al., 2019), and a convolution back."""
    inner = [InvertedResidual(maps) for _ in range(blocks)]
    return nn.Sequential(Stem(maps), *inner, nn.Conv2d(maps, 2, 3, padding=1))


class Stem(nn.Module):
    """3×3 convolution, normalisation and activation."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.layers = _with_norm(nn.Conv2d(2, maps, 3, padding=1, bias=False))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (sample, map, time, subcarrier) of re and im (sample, 2, time, subcarrier)."""
        return self.layers(image)


class InvertedResidual(nn.Module):
    """1×1 to twice the maps, depthwise 3×3, squeeze and excitation, 1×1 back, and the input added."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        wide = 2 * maps
        self.block = nn.Sequential(
            *_with_norm(nn.Conv2d(maps, wide, 1, bias=False)),
            *_with_norm(nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)),
            SqueezeExcitation(wide),
            nn.Conv2d(wide, maps, 1, bias=False),
            nn.BatchNorm2d(maps),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (sample, map, time, subcarrier) as it came."""
        return image + self.block(image)


class SqueezeExcitation(nn.Module):
    """Maps weighted by what two layers make of their means."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        narrow = max(1, maps // 4)
        self.fc1, self.fc2 = nn.Conv2d(maps, narrow, 1), nn.Conv2d(narrow, maps, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (sample, map, time, subcarrier) as it came."""
        means = image.mean(dim=(2, 3), keepdim=True)
        return image * nn.functional.hardsigmoid(self.fc2(torch.relu(self.fc1(means))))


class RecurrentPredictor(nn.Module):
    """LSTM over the tokens, and a linear layer back to their width."""

    def __init__(self, width: int, layers: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.proj = nn.Linear(hidden, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Shape (sample, time, width) as it came."""
        return self.proj(self.lstm(tokens)[0])


def _with_norm(layer: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), nn.Hardswish())
