"""TPGN: look-back folded into periods × phases, a parallel gated network, one linear head.

Jia, Lin, Yu, Wang, Liu and Wan, "PGN: The RNN's New Successor is Effective for Long-Range Time Series
Forecasting", NeurIPS 2024 (arXiv 2409.17703), section 3. Parameter names are the official ones. Channels
never mix: every layer is grouped by channel.

Symbols in shapes: row = period of the look-back, phase = step inside it, width = `d_model`. Features come
first and (sample, phase) last, so that every matrix product and every gate runs over long contiguous rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from einops import rearrange
from torch import nn

from tsbench.contracts import InputError, TaskShape
from tsbench.data.calendar import PREFIX
from tsbench.training.module import NeuralForecaster

from ...cuda_ops import pgn_gate, pgn_history

EPSILON = 1e-5


@dataclass(frozen=True)
class Hyperparameters:
    """Of TPGN.

    Attributes:
        d_model: width of the hidden layers.
        norm: normalise each window by its own mean and standard deviation, and undo it on the forecast.
    """

    d_model: int = 8
    norm: bool = True


class TPGN(NeuralForecaster):
    """Temporal parallel gated network, univariate or channel by channel.

    Raises:
        InputError: where the look-back is not a whole number of periods, at least two. The official code
            fails on the former and has an empty convolution with one period.
    """

    uses = frozenset({"context", "past_covariates"})
    stackable = True
    whole_periods = True
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = hyperparameters or Hyperparameters()
        rows, rest = divmod(shape.context, shape.period)
        if rest or rows < 2:
            raise InputError(
                f"tpgn needs a context of at least two whole periods of {shape.period} steps, "
                f"not {shape.context}"
            )
        names = shape.past_covariates
        self.mark_index = [index for index, name in enumerate(names) if name.startswith(PREFIX)]
        self.only_marks = len(self.mark_index) == len(names)
        self.norm = chosen.norm
        self.TPGN = Network(
            channels=len(shape.targets),
            inputs=1 + len(self.mark_index),
            width=chosen.d_model,
            rows=rows,
            period=shape.period,
            horizon=shape.horizon,
        )

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, target)."""
        series, marks = batch["context"], batch["past_covariates"]
        if self.shape.targets != self.shape.channels:
            series = series[..., list(self.shape.target_index)]
        if not self.only_marks:
            marks = marks[..., self.mark_index]
        if not self.norm:
            return self.TPGN(series, marks)
        mean = series.mean(dim=1, keepdim=True)
        centred = series - mean
        spread = (centred.square().mean(dim=1, keepdim=True) + EPSILON).sqrt()
        return self.TPGN(centred / spread, marks) * spread + mean


class Network(nn.Module):
    """The network behind the optional window normalisation.

    The layers are the official convolutions, whose parameters they hold. Each spans its whole input, so it is
    computed as one matrix product a channel: several times faster than a grouped convolution on a CPU.

    Args:
        channels: number of targets, the groups of every layer.
        inputs: value and calendar features of a step.
        width: of the hidden layers.
        rows: periods in the look-back.
        period: steps in a period.
        horizon: steps to forecast; the head makes whole periods, which are cut.
    """

    def __init__(self, channels: int, inputs: int, width: int, rows: int, period: int, horizon: int) -> None:
        super().__init__()
        self.channels, self.width, self.period, self.horizon = channels, width, period, horizon
        self.LNN_dim = LongBranch(channels, inputs, width, rows)
        self.s_t_p_e = ShortBranch(channels, inputs, width, rows, period)
        periods = -(-horizon // period)
        self.fc = nn.Conv1d(channels * 2 * width, channels * periods, 1, groups=channels)

    def forward(self, series: torch.Tensor, marks: torch.Tensor) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, channel), from series (sample, time, channel) and marks."""
        grid = self.fold(series, marks)
        weight, bias = matrix(self.fc, self.channels)
        # The short vector is the same in every phase: its share of the head is computed once a window.
        of_short = torch.baddbmm(bias, weight[..., : self.width], self.s_t_p_e(grid))
        of_long = torch.bmm(weight[..., self.width :], self.LNN_dim(grid).flatten(2))
        both = of_long.unflatten(2, (len(series), self.period)) + of_short[..., None]
        return rearrange(both, "n q b phase -> b (q phase) n")[:, : self.horizon]

    def fold(self, series: torch.Tensor, marks: torch.Tensor) -> torch.Tensor:
        """Value and marks of each step, shape (channel, input, row, sample, phase), value first."""
        values = rearrange(series, "b (row phase) n -> n 1 row b phase", phase=self.period)
        features = rearrange(marks, "b (row phase) t -> 1 t row b phase", phase=self.period)
        return torch.cat([values, features.expand(self.channels, -1, -1, -1, -1)], dim=1)


class LongBranch(nn.Module):
    """History of each row in one convolution, mixed with the present by a gate; then one vector a phase."""

    def __init__(self, channels: int, inputs: int, width: int, rows: int) -> None:
        super().__init__()
        self.channels = channels
        self.hidden_MLP = nn.Conv1d(channels * inputs, channels * width, rows - 1, groups=channels)
        self.gate = nn.Conv1d(channels * (inputs + width), channels * 2 * width, 1, groups=channels)
        self.fc = nn.Conv1d(channels * width, channels * width, rows, groups=channels)

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        """Shape (channel, width, sample, phase)."""
        gated = self.mix(grid, self.history(grid))
        weight, bias = matrix(self.fc, self.channels)
        columns = rearrange(gated, "n d row b phase -> n (d row) (b phase)")
        return torch.baddbmm(bias, weight, columns).unflatten(2, grid.shape[3:])

    def history(self, grid: torch.Tensor) -> torch.Tensor:
        """Eq. 4: row r from rows before r only; row 0 is the bias. (channel, width, row, sample, phase)."""
        kernel = rearrange(self.hidden_MLP.weight, "(n d) i k -> n d i k", n=self.channels)
        bias = bias_of(self.hidden_MLP, self.channels)[..., 0]
        return pgn_history(grid.flatten(3), kernel, bias).unflatten(3, grid.shape[3:])

    def mix(self, grid: torch.Tensor, history: torch.Tensor) -> torch.Tensor:
        """Eqs. 5-7: s·history + (1 − s)·t; the first half is s. (channel, width, row, sample, phase)."""
        weight, bias = matrix(self.gate, self.channels)
        return pgn_gate(grid.flatten(2), history.flatten(2), weight, bias[..., 0]).view_as(history)


class ShortBranch(nn.Module):
    """One vector a window from whole periods: linear over each row, then linear over the rows."""

    def __init__(self, channels: int, inputs: int, width: int, rows: int, period: int) -> None:
        super().__init__()
        self.channels = channels
        self.fc_row = nn.Conv1d(channels * inputs, channels * width, period, groups=channels)
        self.fc_col = nn.Conv1d(channels * width, channels * width, rows, groups=channels)

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        """Shape (channel, width, sample)."""
        weight, bias = matrix(self.fc_row, self.channels)
        periods = rearrange(grid, "n i row b phase -> n (i phase) (row b)")
        rows = torch.baddbmm(bias, weight, periods)
        weight, bias = matrix(self.fc_col, self.channels)
        return torch.baddbmm(bias, weight, rearrange(rows, "n d (row b) -> n (d row) b", row=grid.shape[2]))


def matrix(layer: nn.Conv1d, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (channel, output, input × step) and bias (channel, output, 1) of a spanning convolution."""
    return rearrange(layer.weight, "(n o) i k -> n o (i k)", n=channels), bias_of(layer, channels)


def bias_of(layer: nn.Conv1d, channels: int) -> torch.Tensor:
    """Bias of a grouped convolution, shape (channel, output, 1)."""
    assert layer.bias is not None
    return rearrange(layer.bias, "(n o) -> n o 1", n=channels)
