"""A small unet_2d for maps of few cells on a processor."""

from dataclasses import dataclass
from typing import ClassVar

from ..unet_2d import model


@dataclass(frozen=True)
class Hyperparameters(model.Hyperparameters):
    """As of unet_2d, a quarter as wide.

    Attributes:
        width: maps at full size; each level has twice as many.
    """

    width: int = 16


class UNet2dSmall(model.UNet2d):
    """unet_2d with 16 maps at full size."""

    Hyperparameters: ClassVar[type] = Hyperparameters
