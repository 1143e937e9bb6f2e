"""STEM-GNN: a graph over the channels, found by attention, and filters on its spectrum and on that of time.

Cao et al., "Spectral Temporal Graph Neural Network for Multivariate Time-series Forecasting", NeurIPS 2020,
as Cheng et al. use it on channel state information ("CSI-4CAST", arXiv 2510.12996): every real or imaginary
part of a subcarrier is a node. Parameter names are those of the latter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from tsbench.contracts import TaskShape
from tsbench.training.module import NeuralForecaster

from .network import Predictor


@dataclass(frozen=True)
class Hyperparameters:
    """Of STEM-GNN.

    Attributes:
        multi_layer: width of the hidden time axis in look-backs.
        dropout: of the graph's edges in training.
        leaky_rate: slope of the attention's rectifier below zero.
        compat: as the published code computes it: Chebyshev terms that begin with zeros, and a Fourier
            transform over these terms. Otherwise as in the paper: they begin with the identity, and the
            transform is over time.
    """

    multi_layer: int = 5
    dropout: float = 0.5
    leaky_rate: float = 0.2
    compat: bool = True

    def __post_init__(self) -> None:
        """Refuse a hidden axis of no width, and a graph that would lose every edge."""
        if self.multi_layer < 1:
            raise ValueError(f"multi_layer must be at least 1, not {self.multi_layer}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, not {self.dropout}")


class StemGnn(NeuralForecaster):
    """Forecasts all channels together from one graph of a whole batch.

    The graph is the mean over the samples of a batch, so a call that is to be repeated holds one group.
    """

    couples: ClassVar[bool] = True
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = hyperparameters or self.Hyperparameters()
        self.predictor = Predictor(
            nodes=len(shape.channels),
            context=shape.context,
            horizon=shape.horizon,
            multiple=chosen.multi_layer,
            dropout=chosen.dropout,
            leak=chosen.leaky_rate,
            compat=chosen.compat,
        )

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, target)."""
        forecast = self.predictor(batch["context"])
        if self.shape.targets == self.shape.channels:
            return forecast
        return forecast[..., list(self.shape.target_index)]
