"""TPGN: look-back folded into periods × phases, a parallel gated network, one linear head.

Jia, Lin, Yu, Wang, Liu and Wan, "PGN: The RNN's New Successor is Effective for Long-Range Time Series
Forecasting", NeurIPS 2024 (arXiv 2409.17703), section 3. Parameter names are the official ones. Channels
never mix: every layer is grouped by channel.

Symbols in shapes: row = period of the look-back, phase = step inside it, width = `d_model`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional

from tsbench.contracts import InputError, TaskShape
from tsbench.data.calendar import PREFIX
from tsbench.training.module import NeuralForecaster

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
    Hyperparameters = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Hyperparameters | None = None) -> None:
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
        series = batch["context"]
        if self.shape.targets != self.shape.channels:
            series = series[..., list(self.shape.target_index)]
        marks = batch["past_covariates"][..., self.mark_index]
        if not self.norm:
            return self.TPGN(series, marks)
        mean = series.mean(dim=1, keepdim=True)
        spread = (series.var(dim=1, keepdim=True, correction=0) + EPSILON).sqrt()
        return self.TPGN((series - mean) / spread, marks) * spread + mean


class Network(nn.Module):
    """The network behind the optional window normalisation.

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
        self.channels, self.period, self.horizon = channels, period, horizon
        self.LNN_dim = LongBranch(channels, inputs, width, rows)
        self.s_t_p_e = ShortBranch(channels, inputs, width, rows, period)
        periods = -(-horizon // period)
        self.fc = nn.Conv1d(channels * 2 * width, channels * periods, 1, groups=channels)

    def forward(self, series: torch.Tensor, marks: torch.Tensor) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, channel), from series (sample, time, channel) and marks."""
        grid = self.fold(series, marks)
        long = self.LNN_dim(grid)  # (sample, phase, channel, width)
        short = self.s_t_p_e(grid)[:, None].expand_as(long)
        both = rearrange(torch.cat([short, long], dim=-1), "b phase n d -> b (n d) phase")
        steps = rearrange(self.fc(both), "b (n q) phase -> b (q phase) n", n=self.channels)
        return steps[:, : self.horizon]

    def fold(self, series: torch.Tensor, marks: torch.Tensor) -> torch.Tensor:
        """Value and marks of each step, shape (sample, row, phase, channel, input), value first."""
        copied = marks[:, :, None].expand(-1, -1, self.channels, -1)
        steps = torch.cat([series[..., None], copied], dim=-1)  # (sample, time, channel, input)
        return rearrange(steps, "b (row phase) n i -> b row phase n i", phase=self.period)


class LongBranch(nn.Module):
    """History of each row in one convolution, mixed with the present by a gate; then one vector a phase."""

    def __init__(self, channels: int, inputs: int, width: int, rows: int) -> None:
        super().__init__()
        self.channels, self.rows = channels, rows
        self.hidden_MLP = nn.Conv1d(channels * inputs, channels * width, rows - 1, groups=channels)
        self.gate = nn.Conv1d(channels * (inputs + width), channels * 2 * width, 1, groups=channels)
        self.fc = nn.Conv1d(channels * width, channels * width, rows, groups=channels)

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        """Shape (sample, phase, channel, width)."""
        gated = self.mix(grid, self.history(grid))
        columns = rearrange(gated, "b row phase n d -> (b phase) (n d) row")
        return rearrange(self.fc(columns), "(b phase) (n d) 1 -> b phase n d", b=len(grid), n=self.channels)

    def history(self, grid: torch.Tensor) -> torch.Tensor:
        """Eq. 4: row r from rows before r only; row 0 is the bias. (sample, row, phase, channel, width)."""
        columns = rearrange(grid, "b row phase n i -> (b phase) (n i) row")
        past = functional.pad(columns[..., :-1], (self.rows - 1, 0))
        return rearrange(
            self.hidden_MLP(past), "(b phase) (n d) row -> b row phase n d", b=len(grid), n=self.channels
        )

    def mix(self, grid: torch.Tensor, history: torch.Tensor) -> torch.Tensor:
        """Eqs. 5-7: s·history + (1 − s)·t; the first half is s. (sample, row, phase, channel, width)."""
        joined = torch.cat([grid, history], dim=-1)
        positions = rearrange(joined, "b row phase n i -> (b phase) (n i) row")
        gates = rearrange(
            self.gate(positions), "(b phase) (n d) row -> b row phase n d", b=len(grid), n=self.channels
        )
        share, present = gates.chunk(2, dim=-1)
        share = share.sigmoid()
        return share * history + (1 - share) * present.tanh()


class ShortBranch(nn.Module):
    """One vector a window from whole periods: linear over each row, then linear over the rows."""

    def __init__(self, channels: int, inputs: int, width: int, rows: int, period: int) -> None:
        super().__init__()
        self.channels = channels
        self.fc_row = nn.Conv1d(channels * inputs, channels * width, period, groups=channels)
        self.fc_col = nn.Conv1d(channels * width, channels * width, rows, groups=channels)

    def forward(self, grid: torch.Tensor) -> torch.Tensor:
        """Shape (sample, channel, width)."""
        periods = rearrange(grid, "b row phase n i -> (b row) (n i) phase")
        rows = rearrange(self.fc_row(periods), "(b row) nd 1 -> b nd row", b=len(grid))
        return rearrange(self.fc_col(rows), "b (n d) 1 -> b n d", n=self.channels)
