"""Parts of TimeMixer: the embedding of steps, and the block that mixes the resolutions of the past.

Tensors have the shape (width, row, time), see model.py.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from einops import rearrange
from torch import nn

from ..dlinear.model import moving_average
from ..layers.positions import SinusoidalPositions

HOURLY_MARKS = 4


class StepEmbedding(nn.Module):
    """Each step with its two neighbours, the window closed to a ring, plus its calendar marks.

    Args:
        inputs: values of a step.
        marks: calendar marks of a step; the layer of the official weights, for hourly data, is held where
            there are none.
        width: of a step's vector.
        dropout: share dropped of the sum.
    """

    def __init__(self, inputs: int, marks: int, width: int, dropout: float) -> None:
        super().__init__()
        convolution = nn.Conv1d(inputs, width, 3, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_in", nonlinearity="leaky_relu")
        self.value_embedding = nn.ModuleDict({"tokenConv": convolution})
        self.position_embedding = SinusoidalPositions(width)  # held by the official weights, never used
        self.temporal_embedding = nn.ModuleDict(
            {"embed": nn.Linear(marks or HOURLY_MARKS, width, bias=False)}
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: torch.Tensor, marks: torch.Tensor | None) -> torch.Tensor:
        """Shape (width, row, time), of values (input, row, time) and embedded marks (width, row, time)."""
        ring = torch.stack([values.roll(1, -1), values, values.roll(-1, -1)], dim=1)  # (input, 3, row, time)
        kernel = self.value_embedding["tokenConv"].weight
        assert isinstance(kernel, torch.Tensor)
        embedded = over_width(ring.flatten(0, 1), kernel.flatten(1))
        return self.dropout(embedded if marks is None else embedded + marks)

    def marks(self, marks: torch.Tensor) -> torch.Tensor:
        """Embedded marks, shape (width, sample, time), of marks (sample, time, mark)."""
        weight = self.temporal_embedding["embed"].weight
        assert isinstance(weight, torch.Tensor)
        return over_width(rearrange(marks, "b t m -> m b t"), weight)


class PastDecomposableMixing(nn.Module):
    """Season from fine to coarse, trend from coarse to fine, then a map over the width; eqs. 3-5.

    Args:
        lengths: steps at each resolution, the finest first.
        width: of a step's vector.
        inner: width inside the maps over it.
        average: width of the moving average that gives the trend.
        channel_independent: whether a row is one channel. Where it is a sample, season and trend pass a map
            over the width before they are mixed in place of the residual one behind.
    """

    def __init__(
        self, lengths: Sequence[int], width: int, inner: int, average: int, channel_independent: bool
    ) -> None:
        super().__init__()
        self.average, self.channel_independent = average, channel_independent
        self.layer_norm = nn.LayerNorm(width)  # held by the official weights, never used
        if not channel_independent:
            self.cross_layer = two_layers(width, inner, width)
        self.mixing_multi_scale_season = SeasonMixing(lengths)
        self.mixing_multi_scale_trend = TrendMixing(lengths)
        self.out_cross_layer = two_layers(width, inner, width)

    def forward(self, scales: list[torch.Tensor]) -> list[torch.Tensor]:
        """The resolutions (width, row, time), mixed; same shapes."""
        trends = [moving_average(one, self.average) for one in scales]
        seasons = [one - trend for one, trend in zip(scales, trends, strict=True)]
        if not self.channel_independent:
            seasons = [two_over_width(one, self.cross_layer) for one in seasons]
            trends = [two_over_width(one, self.cross_layer) for one in trends]
        seasons, trends = self.mixing_multi_scale_season(seasons), self.mixing_multi_scale_trend(trends)
        both = [season + trend for season, trend in zip(seasons, trends, strict=True)]
        if not self.channel_independent:
            return both
        return [
            one + two_over_width(mixed, self.out_cross_layer)
            for one, mixed in zip(scales, both, strict=True)
        ]  # fmt: skip


class SeasonMixing(nn.Module):
    """Each resolution receives what the next finer one has become; eq. 4."""

    def __init__(self, lengths: Sequence[int]) -> None:
        super().__init__()
        self.down_sampling_layers = nn.ModuleList(
            two_layers(fine, coarse, coarse) for fine, coarse in pairwise(lengths)
        )

    def forward(self, seasons: list[torch.Tensor]) -> list[torch.Tensor]:
        """Same shapes, the finest first."""
        mixed = seasons[:1]
        for layer, coarser in zip(self.down_sampling_layers, seasons[1:], strict=True):
            mixed.append(coarser + layer(mixed[-1]))
        return mixed


class TrendMixing(nn.Module):
    """Each resolution receives what the next coarser one has become; eq. 5. Layer 0 is the coarsest step."""

    def __init__(self, lengths: Sequence[int]) -> None:
        super().__init__()
        self.up_sampling_layers = nn.ModuleList(
            two_layers(coarse, fine, fine) for coarse, fine in pairwise(lengths[::-1])
        )

    def forward(self, trends: list[torch.Tensor]) -> list[torch.Tensor]:
        """Same shapes, the finest first."""
        mixed = trends[-1:]
        for layer, finer in zip(self.up_sampling_layers, trends[-2::-1], strict=True):
            mixed.append(finer + layer(mixed[-1]))
        return mixed[::-1]


def two_layers(inputs: int, inner: int, outputs: int) -> nn.Sequential:
    """Linear, GELU, linear."""
    return nn.Sequential(nn.Linear(inputs, inner), nn.GELU(), nn.Linear(inner, outputs))


def two_over_width(values: torch.Tensor, layers: nn.Sequential) -> torch.Tensor:
    """`two_layers` over the first axis of values (width, row, time)."""
    first, between, last = layers
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    return over_width(between(over_width(values, first.weight, first.bias)), last.weight, last.bias)


def over_width(values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """A linear map over the first axis: (width, row, time) to (output, row, time), as one matrix product."""
    flat = values.flatten(1)
    mapped = weight @ flat if bias is None else torch.addmm(bias[:, None], weight, flat)
    return mapped.unflatten(1, values.shape[1:])
