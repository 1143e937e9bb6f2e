"""A small radiounet for maps of few cells on a processor."""

from dataclasses import dataclass
from typing import ClassVar

from ..radiounet import model


@dataclass(frozen=True)
class Hyperparameters(model.Hyperparameters):
    """As of radiounet, a quarter as wide, with inputs of 1 in place of 1/256.

    Attributes:
        input_scale: value of a building and of the transmitter in their channels.
        divisor: by which the published widths are divided.
    """

    input_scale: float = 1.0
    divisor: int = 4


class RadioUnetSmall(model.RadioUnet):
    """radiounet with a quarter of its maps in each layer."""

    Hyperparameters: ClassVar[type] = Hyperparameters
