"""A small geo2sigmap_unet for maps of few cells on a processor."""

from dataclasses import dataclass
from typing import ClassVar

from ..geo2sigmap_unet import model


@dataclass(frozen=True)
class Hyperparameters(model.Hyperparameters):
    """As of geo2sigmap_unet, a quarter as wide.

    Attributes:
        base_width: maps at full size.
    """

    base_width: int = 16


class Geo2SigMapUnetSmall(model.Geo2SigMapUnet):
    """geo2sigmap_unet with 16 maps at full size."""

    Hyperparameters: ClassVar[type] = Hyperparameters
