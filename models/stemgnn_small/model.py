"""A small stemgnn for few subcarriers on a processor."""

from dataclasses import dataclass
from typing import ClassVar

from ..stemgnn.model import Hyperparameters as PublishedHyperparameters
from ..stemgnn.model import StemGnn


@dataclass(frozen=True)
class Hyperparameters(PublishedHyperparameters):
    """Those of stemgnn, with a hidden time axis as long as the look-back."""

    multi_layer: int = 1


class StemGnnSmall(StemGnn):
    """Stemgnn with a hidden time axis as long as the look-back."""

    Hyperparameters: ClassVar[type] = Hyperparameters
