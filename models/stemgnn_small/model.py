"""A small stemgnn for few subcarriers on a processor."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tsbench.contracts import TaskShape

from ..stemgnn.model import StemGnn, check


@dataclass(frozen=True)
class Hyperparameters:
    """Of the small STEM-GNN.

    Attributes:
        multi_layer: width of the hidden time axis in look-backs.
        dropout: of the graph's edges in training.
        leaky_rate: slope of the attention's rectifier below zero.
        compat: as of stemgnn.
    """

    multi_layer: int = 1
    dropout: float = 0.5
    leaky_rate: float = 0.2
    compat: bool = True

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        check(self.multi_layer, self.dropout)


class StemGnnSmall(StemGnn):
    """Stemgnn with a hidden time axis as long as the look-back."""

    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape, hyperparameters or Hyperparameters())
