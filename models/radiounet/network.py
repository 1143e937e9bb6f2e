"""RadioWNet: two U-Nets in a row, the second of which reads the map that the first one made.

Levie, Yapar, Kutyniok and Caire, "RadioUNet", IEEE Transactions on Wireless Communications 2021. Layer
structure, parameter names (the second U-Net's begin with W) and torch's default initialisation are those of
the published code. What was upsampled comes first in each concatenation, and the input joins before the last
two layers.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from tsbench.contracts import InputError

Phase = Literal["firstU", "secondU"]
DOWN = ("layer00", "layer0", "layer1", "layer10", "layer2", "layer20", "layer3", "layer4", "layer5")
DOWN_KERNELS = (3, 5, 5, 5, 5, 3, 5, 5, 5)
POOLS = (1, 2, 2, 1, 2, 1, 2, 2, 2)
SMALLEST = 64
"""Rows and columns must be multiples of this: six of the pools halve them."""


@dataclass(frozen=True)
class Widths:
    """Maps of a U-Net's layers.

    Attributes:
        down: of `layer00`, `layer0`, `layer1`, `layer10`, `layer2`, `layer20`, `layer3`, `layer4`, `layer5`.
        last: of `conv_up0` and `conv_up00`.
    """

    down: tuple[int, ...]
    last: int

    def divided(self, divisor: int) -> "Widths":
        """That many times narrower, with 2 maps at least."""
        return Widths(tuple(max(2, width // divisor) for width in self.down), max(2, self.last // divisor))


SECOND = Widths((20, 30, 40, 50, 60, 70, 90, 110, 150), 20)


def first_widths(inputs: int) -> Widths:
    """Of the first U-Net: more maps at full size where it reads more than three channels."""
    return Widths((6 if inputs <= 3 else 10, 40, 50, 60, 100, 100, 150, 300, 500), 20)


class RadioWNet(nn.Module):
    """Both U-Nets, of which one learns at a time.

    Args:
        inputs: channels of the image.
        phase: which U-Net learns: `firstU` or `secondU`.
        first: widths of the first U-Net, by default those published.
        second: of the second.
    """

    def __init__(
        self,
        inputs: int,
        phase: Phase = "firstU",
        first: Widths | None = None,
        second: Widths = SECOND,
    ) -> None:
        super().__init__()
        add_layers(self, inputs, first or first_widths(inputs), second)
        choose_phase(self, phase)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both maps, each of shape (sample, 1, y, x), of an image (sample, inputs, y, x)."""
        return both(self, image)


def add_layers(module: nn.Module, inputs: int, first: Widths, second: Widths) -> None:
    """Give a module the layers of both U-Nets under their published names."""
    _add_unet(module, "", inputs, first)
    _add_unet(module, "W", inputs + 1, second)


def choose_phase(module: nn.Module, phase: Phase) -> None:
    """Let one U-Net learn and freeze the other."""
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name.startswith("W") == (phase == "secondU"))
        parameter.grad = None


def both(module: nn.Module, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The maps of both U-Nets; no gradient flows from the second into the first.

    Args:
        module: with the layers of `add_layers`.
        image: shape (sample, inputs, y, x).

    Raises:
        InputError: where rows or columns are no multiple of 64.
    """
    if any(size % SMALLEST for size in image.shape[2:]):
        raise InputError(
            f"RadioUNet halves a map six times, so its rows and columns must be multiples of {SMALLEST}; "
            f"this one has {image.shape[2]} × {image.shape[3]}"
        )
    first = unet(module, "", image)
    return first, unet(module, "W", torch.cat([first, image], dim=1).detach())


def unet(module: nn.Module, prefix: str, image: torch.Tensor) -> torch.Tensor:
    """One of the U-Nets.

    Args:
        module: with its layers.
        prefix: of their names.
        image: shape (sample, inputs, y, x).

    Returns:
        Shape (sample, 1, y, x), no value below 0.
    """
    layers, found = dict(module.named_children()), [image]
    for name in DOWN:
        found.append(layers[prefix + name](found[-1]))
    _, full, half, quarter, fourth, eighth, last, sixteenth, deep, deepest = found

    def up(name: str, *images: torch.Tensor) -> torch.Tensor:
        return layers[f"{prefix}conv_up{name}"](torch.cat(images, dim=1))

    made = up("5", deepest)
    made = up("4", made, deep)
    made = up("3", made, sixteenth)
    made = up("20", made, last)
    made = up("2", made, eighth)
    made = up("10", made, fourth)
    made = up("1", made, quarter)
    made = up("0", made, half)
    made = up("00", made, full, image)
    return up("000", made, image)


def _add_unet(module: nn.Module, prefix: str, inputs: int, widths: Widths) -> None:
    before = inputs
    for name, width, kernel, pool in zip(DOWN, widths.down, DOWN_KERNELS, POOLS, strict=True):
        module.add_module(prefix + name, _convolution(before, width, kernel, pool))
        before = width
    full, half, quarter, fourth, eighth, last, sixteenth, deep, deepest = widths.down
    up = {
        "5": _upward(deepest, deep, 4),
        "4": _upward(2 * deep, sixteenth, 4),
        "3": _upward(2 * sixteenth, last, 4),
        "20": _convolution(2 * last, eighth, 3),
        "2": _upward(2 * eighth, fourth, 6),
        "10": _convolution(2 * fourth, quarter, 5),
        "1": _upward(2 * quarter, half, 6),
        "0": _upward(2 * half, widths.last, 6),
        "00": _convolution(widths.last + full + inputs, widths.last, 5),
        "000": _convolution(widths.last + inputs, 1, 5),
    }
    for name, layer in up.items():
        module.add_module(f"{prefix}conv_up{name}", layer)


def _convolution(inputs: int, outputs: int, kernel: int, pool: int = 1) -> nn.Sequential:
    layers = [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, *([nn.MaxPool2d(pool)] if pool > 1 else []))


def _upward(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Twice the size."""
    padding = kernel // 2 - 1
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, kernel, stride=2, padding=padding), nn.ReLU(inplace=True)
    )
