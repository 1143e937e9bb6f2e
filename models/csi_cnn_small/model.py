"""A small csi_cnn for few antennas and subcarriers on a processor."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tsbench.contracts import TaskShape

from ..csi_cnn.model import CsiCnn


@dataclass(frozen=True)
class Hyperparameters:
    """Of the small convolutional forecaster.

    Attributes:
        filters: number of widths, as of csi_cnn.
    """

    filters: int = 4

    def __post_init__(self) -> None:
        """One width is the image itself."""
        if self.filters < 1:
            raise ValueError(f"filters must be at least 1, not {self.filters}")


class CsiCnnSmall(CsiCnn):
    """csi_cnn with four widths."""

    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, hyperparameters or Hyperparameters())
