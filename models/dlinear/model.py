"""DLinear: a moving average splits the look-back into trend and season; a linear map forecasts each.

Zeng, Chen, Zhang and Xu, "Are Transformers Effective for Time Series Forecasting?", AAAI 2023, section 4.
Parameter names are the official ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import InputError, TaskShape
from tsbench.training.module import NeuralForecaster


@dataclass(frozen=True)
class Hyperparameters:
    """Of DLinear.

    Attributes:
        moving_average: width of the average that gives the trend, odd.
        individual: a pair of maps for each target instead of one pair for all.
    """

    moving_average: int = 25
    individual: bool = False

    def __post_init__(self) -> None:
        """An even width would shorten the trend by a step."""
        if self.moving_average % 2 == 0 or self.moving_average < 1:
            raise ValueError(f"moving_average must be odd and positive, not {self.moving_average}")


class DLinear(NeuralForecaster):
    """forecast = W_s (x − trend) + b_s + W_t trend + b_t, by target.

    Raises:
        InputError: where the look-back is shorter than half the moving average.
    """

    stackable = True
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = hyperparameters or Hyperparameters()
        if shape.context <= chosen.moving_average // 2:
            raise InputError(
                f"dlinear needs a context above {chosen.moving_average // 2}, not {shape.context}"
            )
        self.width, self.individual = chosen.moving_average, chosen.individual
        self.Linear_Seasonal = self._maps()
        self.Linear_Trend = self._maps()

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, target)."""
        series = batch["context"].transpose(1, 2)  # (sample, channel, time)
        if self.shape.targets != self.shape.channels:
            series = series[:, list(self.shape.target_index)]
        # Rows of a matrix: the products of several stacked models stay one product a model.
        rows = series.flatten(0, 1)  # (sample × target, time)
        trend = moving_average(rows, self.width)
        season = rows - trend
        if not self.individual:
            forecast = self.Linear_Seasonal(season) + self.Linear_Trend(trend)
            return forecast.unflatten(0, series.shape[:2]).transpose(1, 2)
        season, trend = season.view_as(series), trend.view_as(series)
        pairs = zip(self.Linear_Seasonal, self.Linear_Trend, strict=True)  # type: ignore[arg-type]
        each = [seasonal(season[:, i]) + trended(trend[:, i]) for i, (seasonal, trended) in enumerate(pairs)]
        return torch.stack(each, dim=2)

    def _maps(self) -> nn.Module:
        if not self.individual:
            return self._map()
        return nn.ModuleList([self._map() for _ in self.shape.targets])

    def _map(self) -> nn.Linear:
        linear = nn.Linear(self.shape.context, self.shape.horizon)
        nn.init.constant_(linear.weight, 1 / self.shape.context)
        return linear


def moving_average(series: torch.Tensor, width: int) -> torch.Tensor:
    """Centred moving average of odd width; the edges repeat the first and last value.

    Sums of 1, 2, 4, … steps make up the width: a few passes over the data, several times faster than pooling.

    Args:
        series: shape (..., time).
        width: steps, odd.

    Returns:
        The average, same shape.
    """
    steps, edge = series.shape[-1], [*series.shape[:-1], width // 2]
    sums = torch.cat([series[..., :1].expand(edge), series, series[..., -1:].expand(edge)], dim=-1)
    total, start, length = sums[..., :steps], 1, 1  # the width is odd
    while 2 * length <= width:
        sums = sums[..., :-length] + sums[..., length:]
        length *= 2
        if width & length:
            total = total + sums[..., start : start + steps]
            start += length
    return total / width
