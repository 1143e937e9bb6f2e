"""iTransformer: each channel's look-back is one token, and attention mixes the channels.

Liu, Hu, Zhang, Wu, Wang, Ma and Long, "iTransformer: Inverted Transformers Are Effective for Time Series
Forecasting", ICLR 2024 (arXiv 2310.06625), section 3. Parameter names are those of Time-Series-Library.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import TaskShape
from tsbench.training.module import NeuralForecaster

from ..layers.calendar_marks import mark_columns, marks_of
from ..layers.encoder import Encoder
from ..layers.window_norm import window_statistics


@dataclass(frozen=True)
class Hyperparameters:
    """Of iTransformer.

    Attributes:
        d_model: width of a token.
        d_ff: width of the feed-forward part.
        e_layers: encoder layers.
        n_heads: of the attention; they divide `d_model`.
        dropout: of tokens, attention weights and both branches of a layer.
        norm: normalise each window by its own mean and standard deviation, and undo it on the forecast.
        minute_mark: give the minute of the hour a token too, where the task has it; the official scripts
            read quarter-hours and ten minutes with the marks of hourly data.
        marks: give calendar marks tokens at all; the official scripts read none of the Solar data.
    """

    d_model: int = 128
    d_ff: int = 128
    e_layers: int = 2
    n_heads: int = 8
    dropout: float = 0.1
    norm: bool = True
    minute_mark: bool = True
    marks: bool = True

    def __post_init__(self) -> None:
        """Sizes are positive, heads divide the width, dropout is a share."""
        for name in ("d_model", "d_ff", "e_layers", "n_heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.d_model % self.n_heads:
            raise ValueError(f"n_heads must divide d_model; {self.n_heads} does not divide {self.d_model}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")


class ITransformer(NeuralForecaster):
    """Channels as tokens; past calendar marks are further tokens, which have no forecast.

    The weights depend on look-back and horizon alone, not on the number of channels or marks.
    """

    uses = frozenset({"context", "past_covariates"})
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = hyperparameters or Hyperparameters()
        width = chosen.d_model
        self.norm = chosen.norm
        self.mark_index = mark_columns(shape.past_covariates, chosen.minute_mark) if chosen.marks else []
        self.enc_embedding = WindowEmbedding(shape.context, width, chosen.dropout)
        self.encoder = Encoder(
            chosen.e_layers, width, chosen.n_heads, chosen.d_ff, chosen.dropout, nn.LayerNorm(width)
        )
        self.projection = nn.Linear(width, shape.horizon)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, target)."""
        series = batch["context"]
        marks = marks_of(batch, "past_covariates", self.mark_index)
        if not self.norm:
            return self.of_targets(series, marks)
        mean, spread = window_statistics(series)
        targets = list(self.shape.target_index)
        forecast = self.of_targets((series - mean) / spread, marks)
        return forecast * spread[..., targets] + mean[..., targets]

    def of_targets(self, series: torch.Tensor, marks: torch.Tensor | None) -> torch.Tensor:
        """Forecast (sample, lead_time, target) in the scale of the series (sample, time, channel)."""
        tokens = self.encoder(self.enc_embedding(series, marks))  # (sample, channel and mark, width)
        return self.projection(tokens[:, list(self.shape.target_index)]).transpose(1, 2)


class WindowEmbedding(nn.Module):
    """One linear map from a look-back to a token, shared by channels and marks."""

    def __init__(self, context: int, width: int, dropout: float) -> None:
        super().__init__()
        self.value_embedding = nn.Linear(context, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, series: torch.Tensor, marks: torch.Tensor | None) -> torch.Tensor:
        """Tokens (sample, channel and mark, width), the channels first."""
        rows = series if marks is None else torch.cat([series, marks], dim=2)
        return self.dropout(self.value_embedding(rows.transpose(1, 2)))
