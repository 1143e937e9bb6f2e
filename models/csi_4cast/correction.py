"""The adaptive correction of CSI-4CAST: both domains, frequency and delay, along time and subcarriers.

Cheng et al., "CSI-4CAST", arXiv 2510.12996. Parameter names are the official ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import nn

from .activation import Activation, activation

DROPOUT = 0.1
"""Of the official code, where it is no hyper-parameter."""

Operation = Literal["multiply", "add"]
Apply = Callable[["CorrectionLayer", torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Projection:
    """Sizes of the layers that act along one axis.

    Attributes:
        layers: of the perceptron; up to two mean a single one without hidden layer.
        hidden: width between them.
        corrects: whether the perceptron's output corrects its input, and does not take its place.
        output_activation: after the perceptron.
        operation: how it corrects.
    """

    layers: int
    hidden: int
    corrects: bool
    output_activation: Activation
    operation: Operation


class AdaptiveCorrection(nn.Module):
    """Frequency and delay domain, each through a layer along time, then where asked one along the channels.

    In the official code the channel layer of the delay domain is not told its operation, and multiplies
    whatever the other does; `delay_multiplies=False` mends that.

    Args:
        context: steps of the series.
        channels: of the series, re and im of each subcarrier in turn.
        temporal: layers along time.
        subcarrier: layers along the channels, or None.
        delay: whether there is a delay domain.
        delay_multiplies: whether its channel layer multiplies whatever `subcarrier` says.
    """

    def __init__(
        self,
        context: int,
        channels: int,
        temporal: Projection,
        subcarrier: Projection | None,
        delay: bool,
        delay_multiplies: bool,
    ) -> None:
        super().__init__()
        self.delay, self.along_channels = delay, subcarrier is not None
        self.temporal_proj_freq = CorrectionLayer(context, temporal, temporal.operation)
        if delay:
            self.temporal_proj_delay = CorrectionLayer(context, temporal, temporal.operation)
        if subcarrier is not None:
            self.subcarrier_proj_freq = CorrectionLayer(channels, subcarrier, subcarrier.operation)
            if delay:
                operation = "multiply" if delay_multiplies else subcarrier.operation
                self.subcarrier_proj_delay = CorrectionLayer(channels, subcarrier, operation)

    def forward(
        self, series: torch.Tensor, apply: Apply = lambda layer, rows: layer(rows)
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Both domains.

        Args:
            series: shape (sample, time, channel).
            apply: how a layer is applied to a batch of rows.

        Returns:
            Delay domain, or None, and frequency domain, each of the shape of the series.
        """
        frequency = apply(self.temporal_proj_freq, series.transpose(1, 2)).transpose(1, 2)
        if self.along_channels:
            frequency = apply(self.subcarrier_proj_freq, frequency)
        if not self.delay:
            return None, frequency
        delay = apply(self.temporal_proj_delay, to_delay(series).transpose(1, 2)).transpose(1, 2)
        if self.along_channels:
            delay = apply(self.subcarrier_proj_delay, delay)
        return delay, frequency


class NormalisedDomains(nn.Module):
    """In place of the correction: both domains, normalised or as they are.

    Args:
        context: steps of the series.
        kind: `layer_norm` over the steps of a channel, which the released ablation has; `batch_norm` of each
            step over samples and channels; `none`.
        delay: whether there is a delay domain.
    """

    def __init__(self, context: int, kind: Literal["layer_norm", "batch_norm", "none"], delay: bool) -> None:
        super().__init__()
        self.delay, self.kind = delay, kind
        if kind == "none":
            return
        norm = nn.LayerNorm if kind == "layer_norm" else nn.BatchNorm1d
        self.norm_freq = norm(context)
        if delay:
            self.norm_delay = norm(context)

    def forward(self, series: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Delay domain, or None, and frequency domain, each (sample, time, channel) as the series."""
        delay = to_delay(series) if self.delay else None
        if self.kind == "none":
            return delay, series
        frequency = self._norm(self.norm_freq, series)
        return None if delay is None else self._norm(self.norm_delay, delay), frequency

    def _norm(self, layer: nn.Module, series: torch.Tensor) -> torch.Tensor:
        if self.kind == "batch_norm":
            return layer(series)
        return layer(series.transpose(1, 2)).transpose(1, 2)


class CorrectionLayer(nn.Module):
    """Perceptron over the last axis whose output corrects its input or replaces it; then normalisation.

    Args:
        width: of the last axis.
        projection: sizes of the perceptron.
        operation: how its output corrects its input, where it does.
    """

    def __init__(self, width: int, projection: Projection, operation: Operation) -> None:
        super().__init__()
        self.corrects, self.operation, self.hidden = projection.corrects, operation, projection.hidden
        self.mlp = Perceptron(
            width, width, projection.layers, projection.hidden, activation(projection.output_activation)
        )
        self.layernorm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Shape (..., width) as it came."""
        return self.dropout(self.layernorm(self.combine(self.mlp(rows), rows)))

    def combine(self, made: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """The perceptron's output and its input, as one."""
        if not self.corrects:
            return made
        return made * rows if self.operation == "multiply" else made + rows


class Perceptron(nn.Module):
    """Linear layers with ReLU and dropout between them; a single one where two or fewer are asked for.

    Args:
        inputs: width of the input.
        outputs: width of the output.
        layers: number of linear layers.
        hidden: width between them.
        last: activation of the output.
    """

    def __init__(self, inputs: int, outputs: int, layers: int, hidden: int, last: nn.Module) -> None:
        super().__init__()
        widths = [inputs, *[hidden] * (layers - 1)] if layers > 2 else [inputs]
        parts: list[nn.Module] = []
        for here, there in pairwise(widths):
            parts += [nn.Linear(here, there), nn.ReLU(), nn.Dropout(DROPOUT)]
        self.mlp = nn.Sequential(*parts, nn.Linear(widths[-1], outputs), last)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Shape (..., outputs)."""
        return self.mlp(rows)


def to_delay(series: torch.Tensor) -> torch.Tensor:
    """Inverse Fourier transform over the subcarriers of each snapshot.

    Args:
        series: shape (sample, time, channel), channels re, im of each subcarrier in turn.

    Returns:
        The same shape, re and im of each delay in turn, scaled by 1/subcarriers.
    """
    response = torch.view_as_complex(series.unflatten(2, (-1, 2)).contiguous())
    return torch.view_as_real(torch.fft.ifft(response, dim=2)).flatten(2)
