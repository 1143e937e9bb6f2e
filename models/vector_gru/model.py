"""VECTOR's GRU: the next velocities of a drone from its last ones, or positions from positions.

Nacar, Abdelkader, Ghouti, Gabr, Al-Batati and Koubaa, "VECTOR: Velocity-Enhanced GRU Neural Network for
Real-Time 3D UAV Trajectory Prediction", Drones 9(1), 8 (2025). Parameter names are the official ones.
Velocities do not say where the drone is, so that the forecast follows any shift of the track.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from tsbench.contracts import InputError, TaskShape
from tsbench.data.steps import step_seconds
from tsbench.training.module import NeuralForecaster
from tsbench.training.source import CorpusSource, FitReport, TaskSource

from .whitening import Moments, from_units, map_of, smoothing_matrix, to_units

FIT_BATCH = 1024


@dataclass(frozen=True)
class Hyperparameters:
    """Of VECTOR's GRU.

    Attributes:
        hidden: width of each recurrent layer.
        layers: number of recurrent layers, of the encoder and of the decoder each.
        dropout: between layers.
        reads: what goes in and comes out.
        norm: `max` divides by the largest magnitude in the training part; `white` takes its mean out and
            makes its covariance the identity.
        repeat_last: read the last velocity twice, as the published node does in flight.
        smoothing: steps of a quadratic Savitzky-Golay filter over the look-back, odd; 0 for none. Differences
            of positions amplify their noise by √2 / interval.
    """

    hidden: int = 64
    layers: int = 2
    dropout: float = 0.5
    reads: Literal["velocity", "position"] = "velocity"
    norm: Literal["max", "white"] = "max"
    repeat_last: bool = False
    smoothing: int = 0

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        for name in ("hidden", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be from 0 to below 1, not {self.dropout}")
        if self.smoothing and (self.smoothing < 5 or self.smoothing % 2 == 0):
            raise ValueError(f"smoothing must be 0, or odd and at least 5, not {self.smoothing}")


class VectorGRU(NeuralForecaster):
    """An encoder that reads the look-back, and a decoder that starts from its state and reads zeros.

    Trained on squared errors of what comes out, normalised. All channels of the look-back go in and must be
    the targets.

    Raises:
        InputError: where the targets are not all channels, or the look-back is too short.
    """

    own_loss: ClassVar[bool] = True
    probabilistic: ClassVar[bool] = False
    input_mean: torch.Tensor
    L_matrix: torch.Tensor
    smoother: torch.Tensor
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = self.chosen = hyperparameters or Hyperparameters()
        if shape.targets != shape.channels:
            raise InputError("vector_gru forecasts every channel that it reads; the task has fewer targets")
        if shape.context < max(3, chosen.smoothing):
            raise InputError(
                f"vector_gru needs a context of at least {max(3, chosen.smoothing)}, not {shape.context}"
            )
        size, dropout = len(shape.channels), chosen.dropout if chosen.layers > 1 else 0.0
        self.interval = step_seconds(shape.step) or 1.0
        self.gru1 = nn.GRU(size, chosen.hidden, chosen.layers, batch_first=True, dropout=dropout)
        self.gru2 = nn.GRU(chosen.hidden, chosen.hidden, chosen.layers, batch_first=True, dropout=dropout)
        self.fc = nn.Linear(chosen.hidden, size)
        # Fitted with the weights; official files hold none of these.
        self.register_buffer("input_mean", torch.zeros(size))
        self.register_buffer("L_matrix", torch.eye(size))
        if chosen.smoothing:
            matrix = smoothing_matrix(shape.context, chosen.smoothing)
            self.register_buffer("smoother", matrix, persistent=False)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Positions, shape (sample, lead_time, target)."""
        context = self._smooth(batch["context"])
        ahead = to_units(self._normalised(context), self.input_mean, self.L_matrix)
        if self.chosen.reads == "position":
            return ahead
        return context[:, -1:] + self.interval * ahead.cumsum(dim=1)

    def network(self, values: torch.Tensor) -> torch.Tensor:
        """Normalised outputs, shape (sample, lead_time, channel), of inputs (sample, time, channel)."""
        _, state = self.gru1(values)
        zeros = values.new_zeros(len(values), self.shape.horizon, self.chosen.hidden)
        hidden, _ = self.gru2(zeros, state)
        return self.fc(hidden)

    def loss(self, batch: Mapping[str, torch.Tensor], reduction: str = "mean") -> torch.Tensor:
        """Squared error of normalised velocities or positions, over steps whose targets are observed."""
        context = self._smooth(batch["context"])
        wanted, valid = self._wanted(context, batch)
        error = self._normalised(context) - from_units(wanted, self.input_mean, self.L_matrix)
        total = torch.where(valid, error.square(), 0.0).sum()
        return total if reduction == "sum" else total / valid.sum().clamp_min(1)

    def terms(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """How many terms the summed loss of a batch has."""
        return self._wanted(batch["context"], batch)[1].sum()

    def fit(
        self, source: TaskSource | CorpusSource, init: Mapping[str, torch.Tensor] | None = None
    ) -> FitReport:
        """Fit the normalisation on the training part, then train; `init` brings its own normalisation."""
        if init is None:
            moments = Moments(len(self.shape.channels))
            for batch in source.train.batches(FIT_BATCH):
                moments.add(self._inputs(self._smooth(batch["context"])))
            mean, matrix = map_of(moments, self.chosen.norm)
            self.input_mean.copy_(mean)
            self.L_matrix.copy_(matrix)
        return super().fit(source, init)

    def _normalised(self, context: torch.Tensor) -> torch.Tensor:
        values = self._inputs(context)
        if self.chosen.repeat_last:
            values = torch.cat([values, values[:, -1:]], dim=1)
        return self.network(from_units(values, self.input_mean, self.L_matrix))

    def _inputs(self, context: torch.Tensor) -> torch.Tensor:
        """Velocities, (sample, time - 1, channel), or the positions themselves."""
        if self.chosen.reads == "position":
            return context
        return context.diff(dim=1) / self.interval

    def _wanted(
        self, context: torch.Tensor, batch: Mapping[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What should come out, in units, and which steps of it are known with all their channels."""
        target = batch["target"]
        valid = batch["valid"] if "valid" in batch else torch.ones_like(target) > 0
        # Whitening mixes the channels: a step counts whole or not at all.
        valid = valid.all(dim=-1, keepdim=True).expand(target.shape)
        if self.chosen.reads == "position":
            return target, valid
        track = torch.cat([context[:, -1:], target], dim=1)
        both = torch.cat([valid[:, :1], valid[:, 1:] & valid[:, :-1]], dim=1)
        return track.diff(dim=1) / self.interval, both

    def _smooth(self, context: torch.Tensor) -> torch.Tensor:
        if not self.chosen.smoothing:
            return context
        return torch.einsum("ts,bsc->btc", self.smoother, context)
