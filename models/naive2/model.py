"""Naive 2: the last seasonally adjusted value, with its season put back on (M4, Makridakis et al. 2020)."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from tsbench.contracts import Forecast, TaskShape
from tsbench.contracts.model import Fits

CRITICAL = 1.645
"""Of the test for a season: 90 % of a normal distribution lies within so many deviations."""


class Naive2:
    """Repeats the last value of a series without its season, which is the task's period.

    A series is adjusted where its autocorrelation at the period is significant, by a classical multiplicative
    decomposition; both as in the R code of the competition (Benchmarks and Evaluation.R), which takes the
    autocorrelations up to lag 10 log10(n) only. A series with values that are not above 0 is not adjusted.
    """

    fits: Fits = "none"
    uses = frozenset({"context", "length"})

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        self.shape = shape

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, lead_time, target)."""
        context = batch["context"][..., list(self.shape.target_index)]
        samples, steps, targets = context.shape
        series = context.transpose(1, 2).reshape(-1, steps).double()  # (sample × target, time)
        lengths = torch.full((samples,), steps, device=context.device)
        lengths = batch.get("length", lengths).repeat_interleave(targets)
        season = self._season(series, lengths)  # (sample × target, phase)
        period = season.shape[1]
        ahead = torch.arange(self.shape.horizon, device=context.device)
        last = series[:, -1:] / season.gather(1, ((lengths - 1) % period)[:, None])
        forecast = last * season.gather(1, (lengths[:, None] + ahead) % period)
        return Forecast(forecast.reshape(samples, targets, -1).transpose(1, 2).to(context))

    def _season(self, series: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Seasonal index of each phase, counted from a series' first value; 1 where there is no season."""
        period = self.shape.period
        index = torch.ones(len(series), period, dtype=series.dtype, device=series.device)
        if period == 1:
            return index
        own = torch.arange(series.shape[1], device=series.device) >= series.shape[1] - lengths[:, None]
        positive = (series > 0).logical_or(~own).all(dim=1)
        seasonal = positive & is_seasonal(series, own, period)
        if seasonal.any():
            index[seasonal] = seasonal_index(series[seasonal], own[seasonal], period)
        return index


def is_seasonal(series: torch.Tensor, own: torch.Tensor, period: int) -> torch.Tensor:
    """Whether the autocorrelation at the period is significant at 90 %.

    Its limit is Bartlett's: 1.645 / √n · √(1 + 2 Σ r_k²) over the lags k below the period. False for series
    shorter than three periods, for constant ones, and where the period is above lag 10 log10(n).

    Args:
        series: shape (series, time), float64.
        own: which steps belong to each series, the last ones, same shape.
        period: in steps.

    Returns:
        Mask of shape (series,).
    """
    if period >= series.shape[1]:
        return torch.zeros(len(series), dtype=torch.bool, device=series.device)
    count = own.sum(dim=1)
    mean = torch.where(own, series, 0.0).sum(dim=1) / count
    centred = torch.where(own, series - mean[:, None], 0.0)
    power = centred.square().sum(dim=1)
    products = [(centred[:, lag:] * centred[:, :-lag]).sum(dim=1) for lag in range(1, period + 1)]
    correlation = torch.stack(products, dim=1) / power[:, None]  # (series, lag), NaN for constant series
    limit = CRITICAL * ((1 + 2 * correlation[:, :-1].square().sum(dim=1)) / count).sqrt()
    # A period of n is beyond the last lag from n = 10^(period / 10) down.
    long_enough = (count >= 3 * period) & (count >= math.ceil(10 ** (period / 10) * (1 - 1e-12)))
    return long_enough & (correlation[:, -1].abs() > limit)


def seasonal_index(series: torch.Tensor, own: torch.Tensor, period: int) -> torch.Tensor:
    """Index of each phase by classical multiplicative decomposition, with mean 1.

    The trend is a centred moving average over a period; where the period is even, over one step more with
    half weights at its ends. The index is the mean ratio of series to trend at each phase.

    Args:
        series: shape (series, time), float64, above 0 where `own`.
        own: which steps belong to each series, the last ones, at least two periods, same shape.
        period: in steps.

    Returns:
        Shape (series, phase); phase 0 is that of a series' first value.
    """
    weights = series.new_ones(period + 1 - period % 2)
    if period % 2 == 0:
        weights[0] = weights[-1] = 0.5
    half = len(weights) // 2
    trend = functional.conv1d(series[:, None], weights[None, None] / period)[:, 0]
    # A moving average is defined where its first step is one of the series.
    defined = own[:, : trend.shape[1]]
    ratio = torch.where(defined, series[:, half : half + trend.shape[1]] / trend, 0.0)
    before = (~own).sum(dim=1, keepdim=True)
    phase = (torch.arange(trend.shape[1], device=series.device) + half - before) % period
    sums, counts = (torch.zeros(len(series), period, dtype=series.dtype, device=series.device) for _ in "ab")
    sums.scatter_add_(1, phase, ratio)
    counts.scatter_add_(1, phase, defined.to(series))
    index = sums / counts
    return index / index.mean(dim=1, keepdim=True)
