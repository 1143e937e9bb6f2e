"""A U-Net that rolls a state of the atmosphere out, padded around the globe and over the poles.

Ronneberger, Fischer and Brox, "U-Net", MICCAI 2015; as a forecaster of weather by increments of 6 hours after
Weyn, Durran and Caruana, "Improving data-driven global weather prediction using deep convolutional neural
networks on a cubed sphere", JAMES 12 (2020).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from tsbench.contracts import InputError, TaskShape

from ..layers.grid import GridForecaster, GridHyperparameters, SphereConv, stacked


@dataclass(frozen=True)
class Hyperparameters(GridHyperparameters):
    """Of the U-Net.

    Attributes:
        width: channels at the finest level, doubled at each coarser one.
        levels: coarser levels, each half as fine as the one before.
    """

    width: int = 32
    levels: int = 2


class UNetGrid(GridForecaster):
    """Two convolutions a level down and up, with what was there before at each level.

    Raises:
        InputError: where the grid cannot be halved so often.
    """

    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, hyperparameters)
        width, levels = self.chosen.width, self.chosen.levels
        if any(size % 2**levels for size in shape.sizes.values()):
            raise InputError(f"unet_grid halves the grid {levels} times; {dict(shape.sizes)} cannot be")
        channels = len(shape.channels)
        widths = [width * 2**level for level in range(levels + 1)]
        inputs = [shape.context * channels + len(shape.static), *widths[:-1]]
        self.down = nn.ModuleList(_Block(*pair) for pair in zip(inputs, widths, strict=True))
        self.up = nn.ModuleList(
            _Block(fine + coarse, fine) for fine, coarse in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.head = nn.Conv2d(width, channels, kernel_size=1)

    def increment(self, state: torch.Tensor, static: torch.Tensor) -> torch.Tensor:
        """Change of the state in one step, in units of `spread`."""
        image, kept = stacked(state, static), []
        for level, block in enumerate(self.down):
            image = block(image if level == 0 else functional.avg_pool2d(image, 2))
            kept.append(image)
        for block, fine in zip(self.up, kept[-2::-1], strict=True):
            image = block(torch.cat([functional.interpolate(image, scale_factor=2.0), fine], dim=1))
        return self.head(image)


class _Block(nn.Sequential):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            SphereConv(inputs, outputs),
            nn.GroupNorm(8, outputs),
            nn.GELU(),
            SphereConv(outputs, outputs),
            nn.GroupNorm(8, outputs),
            nn.GELU(),
        )
