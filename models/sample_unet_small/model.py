"""A small sample_unet for maps of few cells on a processor."""

from dataclasses import dataclass
from typing import ClassVar

from ..sample_unet import model


@dataclass(frozen=True)
class Hyperparameters(model.Hyperparameters):
    """As of sample_unet, a quarter as wide.

    Attributes:
        width: maps at full size; each level has twice as many.
    """

    width: int = 16


class SampleUNetSmall(model.SampleUNet):
    """sample_unet with 16 maps at full size."""

    Hyperparameters: ClassVar[type] = Hyperparameters
