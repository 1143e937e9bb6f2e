"""The U-Net of Geo2SigMap, as a set of layers and what an image goes through: one class serves both stages.

Li et al., "Geo2SigMap", DySPAN 2024 (arXiv 2312.14303). Layer structure, parameter names and torch's default
initialisation are those of the published code: skip first in each concatenation, odd sizes padded less at the
top and left.
"""

from typing import Protocol

import torch
from torch import nn
from torch.nn import functional

LEVELS = 4


class DoubleConv(nn.Module):
    """Twice: 3×3 convolution without bias, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(*_layers(inputs, outputs), *_layers(outputs, outputs))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (sample, outputs, y, x) of (sample, inputs, y, x)."""
        return self.double_conv(image)


class Down(nn.Module):
    """Half the size, then a double convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(inputs, outputs))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (sample, outputs, y // 2, x // 2) of (sample, inputs, y, x)."""
        return self.maxpool_conv(image)


class Up(nn.Module):
    """Twice the size and half the maps, beside what came down at that size; then a double convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, inputs // 2, kernel_size=2, stride=2)
        self.conv = DoubleConv(inputs, outputs)

    def forward(self, image: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Shape (sample, outputs, y, x) of `skip`, shape (sample, inputs // 2, y, x)."""
        return self.conv(torch.cat([skip, padded_to(self.up(image), skip)], dim=1))


class OutConv(nn.Module):
    """A 1×1 convolution with bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel_size=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (sample, outputs, y, x) of (sample, inputs, y, x)."""
        return self.conv(image)


class Layers(Protocol):
    """What holds the layers of a U-Net under their published names."""

    inc: DoubleConv
    down1: Down
    down2: Down
    down3: Down
    down4: Down
    up1: Up
    up2: Up
    up3: Up
    up4: Up
    outc: OutConv


def add_layers(module: nn.Module, inputs: int, base_width: int) -> None:
    """Give a module the layers of a U-Net.

    Args:
        module: that will hold them under their published names.
        inputs: channels of the image.
        base_width: maps at full size; 64 as published.
    """
    widths = [base_width * 2**level for level in range(LEVELS + 1)]
    module.inc = DoubleConv(inputs, widths[0])
    for level in range(LEVELS):
        module.add_module(f"down{level + 1}", Down(widths[level], widths[level + 1]))
    for level in reversed(range(LEVELS)):
        module.add_module(f"up{LEVELS - level}", Up(widths[level + 1], widths[level]))
    module.outc = OutConv(widths[0], 1)


def plain(layers: Layers, image: torch.Tensor) -> torch.Tensor:
    """What the layers make of an image, one after another.

    Args:
        layers: of a U-Net.
        image: shape (sample, inputs, y, x), at least 16 cells each way.

    Returns:
        Shape (sample, 1, y, x).
    """
    first = layers.inc(image)
    second = layers.down1(first)
    third = layers.down2(second)
    fourth = layers.down3(third)
    image = layers.up1(layers.down4(fourth), fourth)
    image = layers.up2(image, third)
    image = layers.up3(image, second)
    return layers.outc(layers.up4(image, first))


class UNet(nn.Module):
    """The network by itself, as the stages of the cascade hold it.

    Args:
        inputs: channels of the image.
        base_width: maps at full size.
    """

    def __init__(self, inputs: int, base_width: int) -> None:
        super().__init__()
        add_layers(self, inputs, base_width)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (sample, 1, y, x) of (sample, inputs, y, x)."""
        return plain(self, image)  # type: ignore[arg-type]


def padded_to(image: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The image with zeros around it to the size of another: the smaller half at the top and left."""
    rows, columns = (like.shape[axis] - image.shape[axis] for axis in (2, 3))
    if not rows and not columns:
        return image
    return functional.pad(image, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])


def _layers(inputs: int, outputs: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
