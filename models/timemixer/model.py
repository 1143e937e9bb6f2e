"""TimeMixer: a look-back at several resolutions, mixed by season and by trend, one linear forecast for each.

Wang, Wu, Shi, Hu, Luo, Ma, Zhang and Zhou, "TimeMixer: Decomposable Multiscale Mixing for Time Series
Forecasting", ICLR 2024 (arXiv 2405.14616), section 3. Parameter names are the official ones. Channels go
through one network each on its own, or (channel-dependent variant) enter it as the features of a step.

Inside the network tensors have the shape (width, row, time), where a row is a channel of a sample, or a
sample in the channel-dependent variant: maps over the width are then one matrix product, maps over time
another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from einops import rearrange, repeat
from torch import nn
from torch.nn import functional

from tsbench.contracts import InputError, TaskShape
from tsbench.training.module import NeuralForecaster

from ..dlinear.model import moving_average
from ..layers.calendar_marks import mark_columns, marks_of
from ..layers.window_norm import EPSILON, window_statistics
from .mixing import PastDecomposableMixing, StepEmbedding, over_width

POOLING = {"avg": functional.avg_pool1d, "max": functional.max_pool1d}


@dataclass(frozen=True)
class Hyperparameters:
    """Of TimeMixer.

    Attributes:
        d_model: width of a step's vector.
        d_ff: inner width of the maps over it.
        e_layers: blocks of past-decomposable mixing.
        down_sampling_layers: coarser resolutions beside the look-back itself.
        down_sampling_window: steps that become one from each resolution to the next.
        down_sampling_method: how they do.
        moving_average: width of the average that gives the trend, odd.
        dropout: of the embedded steps.
        channel_independent: one network for each channel on its own; false: the channel-dependent variant.
        norm: normalise each window by its own mean and standard deviation, with a learned affine map, and
            undo it on the forecast.
        marks: embed the calendar of each step beside its value.
        future_marks: add the embedded marks of the forecast steps before the projection.
        minute_mark: read the minute of the hour too, where the task has it; the official scripts read
            quarter-hours and ten minutes with the marks of hourly data.
        official_mark_order: parity with the official code, which gives the channels of a sample the marks of
            other samples of the batch.
    """

    d_model: int = 16
    d_ff: int = 32
    e_layers: int = 2
    down_sampling_layers: int = 3
    down_sampling_window: int = 2
    down_sampling_method: Literal["avg", "max"] = "avg"
    moving_average: int = 25
    dropout: float = 0.1
    channel_independent: bool = True
    norm: bool = True
    marks: bool = True
    future_marks: bool = False
    minute_mark: bool = True
    official_mark_order: bool = False

    def __post_init__(self) -> None:
        """Sizes are positive, the moving average is odd, dropout is a share."""
        for name in ("d_model", "d_ff", "e_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.down_sampling_layers < 0:
            raise ValueError(f"down_sampling_layers must not be negative, not {self.down_sampling_layers}")
        if self.down_sampling_window < 2:
            raise ValueError(f"down_sampling_window must be at least 2, not {self.down_sampling_window}")
        if self.future_marks and not self.marks:
            raise ValueError("future_marks needs marks")
        if self.moving_average % 2 == 0 or self.moving_average < 1:
            raise ValueError(f"moving_average must be odd and positive, not {self.moving_average}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")


class TimeMixer(NeuralForecaster):
    """Past-decomposable mixing of the resolutions, then the sum of one linear forecast for each.

    Raises:
        InputError: where the down-sampling does not divide the look-back into whole steps.
    """

    uses = frozenset({"context", "past_covariates"})
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        self.chosen = chosen = hyperparameters or Hyperparameters()
        lengths = resolutions(shape.context, chosen)
        self.mark_index = mark_columns(shape.past_covariates, chosen.minute_mark) if chosen.marks else []
        if chosen.future_marks:
            _check_same_marks(shape)
            self.uses = self.uses | {"future_covariates"}  # type: ignore[misc]
        channels = len(shape.targets if chosen.channel_independent else shape.channels)
        inputs, outputs = (1, 1) if chosen.channel_independent else (channels, len(shape.targets))
        self.pdm_blocks = nn.ModuleList(
            PastDecomposableMixing(
                lengths, chosen.d_model, chosen.d_ff, chosen.moving_average, chosen.channel_independent
            )
            for _ in range(chosen.e_layers)
        )
        self.enc_embedding = StepEmbedding(inputs, len(self.mark_index), chosen.d_model, chosen.dropout)
        self.predict_layers = nn.ModuleList(nn.Linear(length, shape.horizon) for length in lengths)
        self.projection_layer = nn.Linear(chosen.d_model, outputs)
        if not chosen.channel_independent:
            self.out_res_layers = nn.ModuleList(nn.Linear(length, length) for length in lengths)
            self.regression_layers = nn.ModuleList(nn.Linear(length, shape.horizon) for length in lengths)
        # Held also where nothing is normalised, as in the official weights.
        self.normalize_layers = nn.ModuleList(AffineWindowNorm(channels) for _ in lengths)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, target)."""
        independent, index = self.chosen.channel_independent, list(self.shape.target_index)
        series = batch["context"]
        if independent and self.shape.targets != self.shape.channels:
            series, index = series[..., index], list(range(len(index)))
        marks = marks_of(batch, "past_covariates", self.mark_index)
        ahead = marks_of(batch, "future_covariates", self.mark_index) if self.chosen.future_marks else None
        scales = self.scales(series)
        if not self.chosen.norm:
            return self.of_scales(scales, marks, ahead)
        normed = [norm(one) for norm, one in zip(self.normalize_layers, scales, strict=True)]
        forecast = self.of_scales(normed, marks, ahead)
        finest = self.normalize_layers[0]
        assert isinstance(finest, AffineWindowNorm)
        return finest.undo(forecast, series, index)

    def scales(self, series: torch.Tensor) -> list[torch.Tensor]:
        """The series (sample, time, channel) at each resolution, the finest first; section 3.1."""
        pool = POOLING[self.chosen.down_sampling_method]
        finer = [series.transpose(1, 2)]
        for _ in range(self.chosen.down_sampling_layers):
            finer.append(pool(finer[-1], self.chosen.down_sampling_window))
        return [one.transpose(1, 2) for one in finer]

    def of_scales(
        self, scales: list[torch.Tensor], marks: torch.Tensor | None, ahead: torch.Tensor | None
    ) -> torch.Tensor:
        """Forecast in the scale of the series.

        Args:
            scales: the series at each resolution, shapes (sample, time, channel).
            marks: of the look-back, shape (sample, time, mark), or None.
            ahead: of the forecast steps, shape (sample, lead_time, mark), or None.

        Returns:
            Shape (sample, lead_time, target).
        """
        pattern = "b t n -> 1 (b n) t" if self.chosen.channel_independent else "b t n -> n b t"
        seasons, trends = [rearrange(one, pattern) for one in scales], []
        if not self.chosen.channel_independent:
            trends = [moving_average(one, self.chosen.moving_average) for one in seasons]
            seasons = [one - trend for one, trend in zip(seasons, trends, strict=True)]
        mixed = []
        for number, season in enumerate(seasons):
            step = self.chosen.down_sampling_window**number
            of_marks = None if marks is None else self._rows_of(marks[:, ::step], scales[0].shape[2])
            mixed.append(self.enc_embedding(season, of_marks))  # (width, row, time)
        for block in self.pdm_blocks:
            mixed = block(mixed)
        parts = [self._projected(number, one) for number, one in enumerate(mixed)]
        parts += [self._of_trend(number, trend) for number, trend in enumerate(trends)]
        if ahead is not None:
            of_ahead = self._rows_of(ahead, scales[0].shape[2])
            parts.append(len(mixed) * over_width(of_ahead, self.projection_layer.weight))
        forecast = torch.stack(parts).sum(dim=0)  # (output, row, lead_time)
        if self.chosen.channel_independent:
            return rearrange(forecast, "1 (b n) lead -> b lead n", b=len(scales[0]))
        return rearrange(forecast, "n b lead -> b lead n")

    def _rows_of(self, marks: torch.Tensor, channels: int) -> torch.Tensor:
        """Embedded marks for each row, shape (width, row, step), of marks (sample, step, mark)."""
        embedded = self.enc_embedding.marks(marks)  # (width, sample, step)
        if not self.chosen.channel_independent:
            return embedded
        # Rows count the channels of one sample, then of the next; the official order of marks does not.
        order = "d (n b) t" if self.chosen.official_mark_order else "d (b n) t"
        return repeat(embedded, f"d b t -> {order}", n=channels)

    def _projected(self, number: int, mixed: torch.Tensor) -> torch.Tensor:
        """Future-multipredictor mixing, eq. 6, of one resolution; (output, row, lead_time).

        The projection over the width and the prediction over time commute up to the biases; this order takes
        as many fewer products as the width is larger than the outputs.
        """
        predict, project = self.predict_layers[number], self.projection_layer
        assert isinstance(predict, nn.Linear)
        bias = torch.outer(project.weight.sum(dim=1), predict.bias) + project.bias[:, None]
        return functional.linear(over_width(mixed, project.weight), predict.weight) + bias[:, None]

    def _of_trend(self, number: int, trend: torch.Tensor) -> torch.Tensor:
        """Share of the series' own trend (channel, sample, time): (target, sample, lead_time)."""
        regress = self.regression_layers[number]
        return regress(self.out_res_layers[number](trend[list(self.shape.target_index)]))


class AffineWindowNorm(nn.Module):
    """A window's z-score over time, then a learned affine map for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.affine_weight = nn.Parameter(torch.ones(channels))
        self.affine_bias = nn.Parameter(torch.zeros(channels))

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """Same shape as the series, (sample, time, channel)."""
        mean, spread = (one.detach() for one in window_statistics(series))
        return (series - mean) / spread * self.affine_weight + self.affine_bias

    def undo(self, forecast: torch.Tensor, series: torch.Tensor, channels: list[int]) -> torch.Tensor:
        """The forecast (sample, lead_time, target) of the named channels, in the units of the series."""
        mean, spread = (one.detach()[..., channels] for one in window_statistics(series))
        # The official guard against a weight of zero.
        weight = self.affine_weight[channels] + EPSILON**2
        return (forecast - self.affine_bias[channels]) / weight * spread + mean


def resolutions(context: int, chosen: Hyperparameters) -> list[int]:
    """Steps at each resolution, the finest first.

    Raises:
        InputError: where one of them would not be a whole number.
    """
    window, layers = chosen.down_sampling_window, chosen.down_sampling_layers
    if context % window**layers:
        raise InputError(
            f"timemixer needs a context that is a multiple of {window**layers} steps ({layers} times down by "
            f"{window}), not {context}"
        )
    return [context // window**number for number in range(layers + 1)]


def _check_same_marks(shape: TaskShape) -> None:
    if shape.past_covariates != shape.future_covariates:
        raise InputError("timemixer needs the same covariates of past and future for its future_marks")
