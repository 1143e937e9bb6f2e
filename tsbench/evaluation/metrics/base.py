"""The two layers of a metric: statistics for every scored value, and the value of their sums."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

Reads = Literal["point", "quantiles", "samples"]
Statistic = Callable[..., tuple[torch.Tensor, ...]]
"""(forecast, observed, scale) → statistics, whose sums make the value. The forecast is what the metric reads
of it (`tsbench.evaluation.reading`): a point, shaped as the observed values; `Quantiles`, values of shape
(quantile, sample, lead_time, channel) with their levels; or members of shape (realization, sample, lead_time,
channel). All in double precision, in metric space and the task's own shape. Statistics are float64, shape
(sample, lead_time, channel); scale (the seasonal error) is broadcast to that, NaN where undefined. Where
scores are not told apart by variable, the last dimension is whatever the statistic leaves. The last statistic
is the weight: how much was counted. Statistics of disjoint sets add up, over batches as over processes."""
Combine = Callable[[torch.Tensor], torch.Tensor]
"""Sums (statistic, ...) → (...), float64."""
Finish = Literal["mean", "root", "decibel", "median"]
Key = tuple[Statistic, Reads, tuple[float, ...], int, bool]


@dataclass(frozen=True)
class Metric:
    """A named metric: value = finish(sum of numerators / sum of denominators).

    Not every value is such a ratio. A median is none: its statistics are kept one by one for a scenario. Some
    values combine more sums than two (`combine`), and some are means over channels of values of their own
    (`by_channel`). All of these are recorded as (value × weight, weight), so that a row's value is read like
    any other's; rows must not be added.

    Attributes:
        name: as tasks write it.
        title: as pages write it.
        statistic: the first layer.
        source: reference of the definition.
        finish: `mean` (as it is), `root` (square root), `decibel` (10 log10), or `median`.
        better: which direction is good; `nominal`: neither, the value should be near `nominal`.
        view: shape of the tasks that it is for.
        also: further shapes that it is for.
        reads: what the statistic gets of a forecast.
        levels: of the quantiles that it reads; empty: the task's.
        of_quantiles: the statistic of a quantile forecast, read at the task's levels, where the metric reads
            samples; None: quantile forecasts are refused.
        sums: number of statistics.
        combine: what takes the place of numerator / denominator.
        by_channel: mean over channels of their values, each from sums over samples and lead times (as fev);
            otherwise channels are pooled.
        joint: the statistic takes all channels of a step together and leaves one column; a step counts where
            all of its channels were observed.
        power: of the seasonal differences that `scale` is the mean of.
        masked: the statistic takes the mask of what is scored itself, as a fourth argument: shaped as the
            observed values, or None for all.
        apart: values are in the units of each variable, so that several variables have no common value.
        nominal: the value of a calibrated forecast.
    """

    name: str
    title: str
    statistic: Statistic
    source: str
    finish: Finish = "mean"
    better: Literal["lower", "higher", "nominal"] = "lower"
    view: str = "sequence"
    also: tuple[str, ...] = ()
    reads: Reads = "point"
    levels: tuple[float, ...] = ()
    of_quantiles: Statistic | None = None
    sums: int = 2
    combine: Combine | None = None
    by_channel: bool = False
    joint: bool = False
    power: int = 1
    masked: bool = False
    apart: bool = False
    nominal: float | None = None

    @property
    def key(self) -> Key:
        """What the sums depend on: metrics of the same key share them."""
        return self.statistic, self.reads, self.levels, self.power, self.joint

    @property
    def read_as(self) -> Finish:
        """The finish that makes a recorded row's ratio the value."""
        return "mean" if self.by_channel or self.combine is not None else self.finish

    def composed(self, columns: int) -> bool:
        """Whether values of that many channels are recorded as (value × weight, weight).

        The plain ratio of one channel is its own mean over channels, and its sums may be resampled.
        """
        if self.combine is not None:
            return True
        return self.by_channel and (columns > 1 or self.finish != "mean")

    def value(self, numerator: float, denominator: float) -> float | None:
        """Value of a recorded row; None where nothing was counted or the value is not finite.

        Example:
            >>> from tsbench.evaluation.metrics import metric
            >>> metric("rmse").value(8.0, 2.0)
            2.0
        """
        if denominator == 0:
            return None
        mean = numerator / denominator
        if self.read_as == "root":
            return mean**0.5
        if self.read_as == "decibel":
            return 10 * math.log10(mean) if mean > 0 else None
        return mean if math.isfinite(mean) else None

    def compose(self, sums: torch.Tensor) -> torch.Tensor:
        """Values of sums, before any mean over channels.

        Args:
            sums: float64, shape (statistic, ...).

        Returns:
            Shape (...); NaN where nothing was counted or the value is not finite.
        """
        values = sums[0] / sums[1] if self.combine is None else self.combine(sums)
        if self.finish == "root":
            values = values.sqrt()
        return torch.where(values.isfinite() & (sums[-1] > 0), values, torch.nan)
