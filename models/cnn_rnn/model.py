"""CNN-RNN: convolutions over the weeks of each year and the depths of the soil, an LSTM over the years.

Khaki, Wang and Archontoulis, "A CNN-RNN Framework for Crop Yield Prediction", Frontiers in Plant Science 10,
1750 (2020), with the widths of the published code (soybean). Where the data differ from theirs (six depths of
soil instead of ten, past yields of the county instead of the mean over counties) the card says what is ours.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import InputError, TaskShape
from tsbench.training.module import NeuralForecaster

SOIL = re.compile(r"(.+)_mean_(.+cm)")
"""Name of a property of the soil at a depth."""
WEATHER_FILTERS, SOIL_FILTERS = ((8, 9), (12, 3), (16, 3), (20, 3)), ((4, 3), (8, 3), (12, 2))
"""Filters and kernel of each convolution."""
MERGED = 40
"""Width of what is made of weather, and of soil."""


@dataclass(frozen=True)
class Hyperparameters:
    """Of the CNN-RNN.

    Attributes:
        hidden: width of the LSTM.
        layers: of the LSTM.
        dropout: of what the LSTM gives, in training.
    """

    hidden: int = 64
    layers: int = 1
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        if min(self.hidden, self.layers) < 1 or not 0 <= self.dropout < 1:
            raise ValueError("hidden and layers must be at least 1, dropout from 0 to below 1")


class CnnRnn(NeuralForecaster):
    """One convolutional net for all weather variables, one for all properties of the soil, one LSTM.

    Raises:
        InputError: for a look-back that is no whole number of years, or years too short for the convolutions.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"context", "past_covariates", "static"})
    views: ClassVar[tuple[str, ...]] = ("panel",)
    probabilistic: ClassVar[bool] = False
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = hyperparameters or Hyperparameters()
        if shape.context % shape.period or shape.period < 52:
            raise InputError(
                f"cnn_rnn reads whole years of at least 52 weeks, not {shape.context} steps of {shape.period}"
            )
        if not shape.past_covariates:
            raise InputError("cnn_rnn reads the targets of past periods, which the task does not give")
        self.years = shape.context // shape.period
        self.soil, self.further = soil_columns(shape.static)
        self.weather_cnn = weather_convolutions()
        with torch.no_grad():
            wide = self.weather_cnn(torch.zeros(1, 1, shape.period)).numel()
        self.weather_fc = nn.Linear(wide * len(shape.channels), MERGED)
        width = MERGED + len(self.further) + 1
        if self.soil:
            self.soil_cnn = soil_convolutions()
            with torch.no_grad():
                deep = self.soil_cnn(torch.zeros(1, 1, len(self.soil[0]))).numel()
            self.soil_fc = nn.Linear(deep * len(self.soil), MERGED)
            width += MERGED
        self.rnn = nn.LSTM(width, chosen.hidden, chosen.layers, batch_first=True)
        self.dropout = nn.Dropout(chosen.dropout)
        self.out = nn.Linear(chosen.hidden, 1)
        self.apply(_glorot)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Yield in model space, shape (sample, 1, 1)."""
        samples = len(batch["context"])
        weeks = batch["context"].unflatten(1, (self.years, -1))  # (sample, year, week, variable)
        lines = weeks.permute(0, 1, 3, 2).flatten(0, 2)[:, None]  # (sample · year · variable, 1, week)
        weather = self.weather_cnn(lines).flatten(1).reshape(samples, self.years, -1)
        parts = [self.weather_fc(weather).relu()]
        static = batch["static"] if "static" in batch else batch["context"].new_zeros(samples, 0)
        if self.soil:
            depths = static[:, [column for one in self.soil for column in one]]
            lines = depths.reshape(samples * len(self.soil), 1, -1)
            soil = self.soil_fc(self.soil_cnn(lines).reshape(samples, -1)).relu()
            parts.append(soil[:, None].expand(-1, self.years, -1))
        parts.append(static[:, self.further][:, None].expand(-1, self.years, -1))
        parts.append(batch["past_covariates"])
        states, _ = self.rnn(torch.cat(parts, dim=-1))  # (sample, year, hidden)
        return self.out(self.dropout(states[:, -1:]))


def weather_convolutions() -> nn.Sequential:
    """Four convolutions over the weeks of a year, each halved by an average, without padding."""
    layers: list[nn.Module] = []
    width = 1
    for filters, kernel in WEATHER_FILTERS:
        layers += [nn.Conv1d(width, filters, kernel), nn.ReLU(), nn.AvgPool1d(2)]
        width = filters
    return nn.Sequential(*layers)


def soil_convolutions() -> nn.Sequential:
    """Three convolutions over the depths of the soil, without padding; six depths end in one."""
    layers: list[nn.Module] = []
    width = 1
    for filters, kernel in SOIL_FILTERS:
        layers += [nn.Conv1d(width, filters, kernel), nn.ReLU()]
        width = filters
    return nn.Sequential(*layers)


def soil_columns(names: tuple[str, ...]) -> tuple[list[list[int]], list[int]]:
    """Columns of the depths of each property of the soil, and all other columns.

    Properties at fewer than six depths are among the others, since the convolutions need six.

    Example:
        >>> soil_columns(("clay_mean_0-5cm", "P_1"))
        ([], [0, 1])
    """
    found: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        if match := SOIL.fullmatch(name):
            found.setdefault(match[1], []).append(column)
    most = max((len(one) for one in found.values()), default=0)
    soil = [one for one in found.values() if len(one) == most >= 6]
    taken = {column for one in soil for column in one}
    return soil, [column for column in range(len(names)) if column not in taken]


def _glorot(module: nn.Module) -> None:
    """Uniform weights of Glorot and Bengio (2010) and no bias, as the published code starts from."""
    if isinstance(module, nn.Conv1d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
