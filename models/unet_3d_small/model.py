"""A small unet_3d for volumes of few cells on a processor."""

from dataclasses import dataclass
from typing import ClassVar

from ..unet_3d import model


@dataclass(frozen=True)
class Hyperparameters(model.Hyperparameters):
    """As of unet_3d, half as wide and with a level less.

    Attributes:
        width: maps at full size; each level has twice as many.
        levels: sizes, the full one included.
    """

    width: int = 16
    levels: int = 3


class UNet3dSmall(model.UNet3d):
    """unet_3d with 16, 32 and 64 maps."""

    Hyperparameters: ClassVar[type] = Hyperparameters
