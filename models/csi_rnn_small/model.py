"""A small csi_rnn for few antennas and subcarriers on a processor."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tsbench.contracts import TaskShape

from ..csi_rnn.model import CsiRnn


@dataclass(frozen=True)
class Hyperparameters:
    """Of the small recurrent forecaster.

    Attributes:
        hidden: width of each recurrent layer.
        layers: number of recurrent layers.
    """

    hidden: int = 256
    layers: int = 2

    def __post_init__(self) -> None:
        """There is no recurrence without a layer."""
        for name in ("hidden", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


class CsiRnnSmall(CsiRnn):
    """csi_rnn with two layers of 256."""

    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, hyperparameters or Hyperparameters())
