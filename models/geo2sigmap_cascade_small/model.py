"""A small geo2sigmap_cascade for maps of few cells on a processor."""

from dataclasses import dataclass
from typing import ClassVar

from ..geo2sigmap_cascade import model


@dataclass(frozen=True)
class Hyperparameters(model.Hyperparameters):
    """As of geo2sigmap_cascade, a quarter as wide.

    Attributes:
        base_width: maps at full size, of both stages.
    """

    base_width: int = 16


class Geo2SigMapCascadeSmall(model.Geo2SigMapCascade):
    """geo2sigmap_cascade with 16 maps at full size in each stage."""

    Hyperparameters: ClassVar[type] = Hyperparameters
