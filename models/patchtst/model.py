"""PatchTST: patches of a channel's look-back are the tokens of a Transformer; channels never mix.

Nie, Nguyen, Sinthong and Kalagnanam, "A Time Series is Worth 64 Words: Long-term Forecasting with
Transformers", ICLR 2023 (arXiv 2211.14730), section 3, in the form of Time-Series-Library, whose parameter
names it has: fixed sinusoidal positions, normalisation by layer inside the encoder and by batch behind it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from einops import rearrange
from einops.layers.torch import Rearrange
from torch import nn
from torch.nn import functional

from tsbench.contracts import InputError, TaskShape
from tsbench.training.module import NeuralForecaster

from ..layers.encoder import Encoder
from ..layers.positions import SinusoidalPositions
from ..layers.window_norm import window_statistics


@dataclass(frozen=True)
class Hyperparameters:
    """Of PatchTST.

    Attributes:
        patch: steps in a patch.
        stride: steps from patch to patch; as many copies of the last value are put behind the look-back.
        d_model: width of a token.
        d_ff: width of the feed-forward part.
        e_layers: encoder layers.
        n_heads: of the attention; they divide `d_model`.
        dropout: of tokens, attention weights and both branches of a layer.
        head_dropout: of the forecast; None takes `dropout`, as Time-Series-Library does.
        norm: normalise each window by its own mean and standard deviation, and undo it on the forecast.
    """

    patch: int = 16
    stride: int = 8
    d_model: int = 512
    d_ff: int = 2048
    e_layers: int = 2
    n_heads: int = 8
    dropout: float = 0.1
    head_dropout: float | None = None
    norm: bool = True

    def __post_init__(self) -> None:
        """Sizes are positive, heads divide the width, no step falls between patches, dropout is a share."""
        for name in ("patch", "stride", "d_model", "d_ff", "e_layers", "n_heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.stride > self.patch:
            raise ValueError(f"stride must be at most patch ({self.patch}), not {self.stride}")
        if self.d_model % self.n_heads:
            raise ValueError(f"n_heads must divide d_model; {self.n_heads} does not divide {self.d_model}")
        for name in ("dropout", "head_dropout"):
            if not 0 <= (getattr(self, name) or 0) < 1:
                raise ValueError(f"{name} must be in [0, 1), not {getattr(self, name)}")


class PatchTST(NeuralForecaster):
    """One Transformer for all targets, each on its own.

    Raises:
        InputError: where a patch is longer than the look-back.
    """

    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = hyperparameters or Hyperparameters()
        if shape.context < chosen.patch:
            raise InputError(
                f"patchtst needs a context of at least one patch of {chosen.patch} steps, not {shape.context}"
            )
        width = chosen.d_model
        patches = (shape.context + chosen.stride - chosen.patch) // chosen.stride + 1
        head_dropout = chosen.dropout if chosen.head_dropout is None else chosen.head_dropout
        self.norm = chosen.norm
        self.patch_embedding = PatchEmbedding(chosen.patch, chosen.stride, patches, width, chosen.dropout)
        # Over batch and tokens; the official code transposes for it, which gives it its place in the names.
        over_tokens = nn.Sequential(
            Rearrange("row token d -> row d token"),
            nn.BatchNorm1d(width),
            Rearrange("row d token -> row token d"),
        )
        self.encoder = Encoder(
            chosen.e_layers, width, chosen.n_heads, chosen.d_ff, chosen.dropout, over_tokens
        )
        self.head = Head(patches * width, shape.horizon, head_dropout)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, target)."""
        series = batch["context"]
        if self.shape.targets != self.shape.channels:
            series = series[..., list(self.shape.target_index)]
        if not self.norm:
            return self.of_series(series)
        mean, spread = window_statistics(series)
        return self.of_series((series - mean) / spread) * spread + mean

    def of_series(self, series: torch.Tensor) -> torch.Tensor:
        """Forecast (sample, lead_time, target) in the scale of the series (sample, time, target)."""
        rows = rearrange(series, "b time n -> (b n) time")
        tokens = self.encoder(self.patch_embedding(rows))  # (row, patch, width)
        return rearrange(self.head(tokens), "(b n) lead -> b lead n", b=len(series))


class PatchEmbedding(nn.Module):
    """Overlapping patches of a row, a linear map of each without bias, plus its position."""

    def __init__(self, patch: int, stride: int, patches: int, width: int, dropout: float) -> None:
        super().__init__()
        self.patch, self.stride = patch, stride
        self.value_embedding = nn.Linear(patch, width, bias=False)
        self.position_embedding = SinusoidalPositions(width, patches)
        self.dropout = nn.Dropout(dropout)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Tokens (row, patch, width) of rows (row, time)."""
        longer = functional.pad(rows[:, None], (0, self.stride), mode="replicate")[:, 0]
        patches = longer.unfold(1, self.patch, self.stride)  # (row, patch, step)
        tokens = self.value_embedding(patches)
        return self.dropout(tokens + self.position_embedding(tokens.shape[1]))


class Head(nn.Module):
    """One linear map from all tokens of a row to its forecast; a token's numbers lie `patch` apart."""

    def __init__(self, inputs: int, horizon: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, horizon)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Forecast (row, lead_time) of tokens (row, patch, width)."""
        return self.dropout(self.linear(rearrange(tokens, "row patch d -> row (d patch)")))
