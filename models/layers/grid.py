"""What forecasters of fields share: rolling a state out step by step, and a loss that weighs rows by area."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from tsbench.contracts import InputError, TaskShape
from tsbench.training.module import NeuralForecaster
from tsbench.training.source import CorpusSource, FitReport, TaskSource

FIT_BATCH, FIT_BATCHES = 64, 8
"""Windows, and batches of them, that the spread of increments is taken from."""
LOSSES = {"mse": functional.mse_loss, "mae": functional.l1_loss, "huber": functional.huber_loss}


@dataclass(frozen=True)
class GridHyperparameters:
    """Of every forecaster that rolls a state out.

    Attributes:
        training_steps: of the roll-out that the loss sees.
    """

    training_steps: int = 1

    def __post_init__(self) -> None:
        """A loss needs a step to look at."""
        if self.training_steps < 1:
            raise ValueError(f"training_steps must be at least 1, not {self.training_steps}")


class GridForecaster(NeuralForecaster):
    """Forecasts the next state as the last one plus an increment, again and again up to the horizon.

    Subclasses define `increment(state, static)`: state of shape (sample, time, channel, latitude, longitude),
    increment of shape (sample, channel, latitude, longitude) in units of each channel's own spread of
    increments, which is fitted on the training part.

    Raises:
        InputError: where the task scores other channels than those of the context.
    """

    views: ClassVar[tuple[str, ...]] = ("grid",)
    uses: ClassVar[frozenset[str]] = frozenset({"context", "static"})
    probabilistic: ClassVar[bool] = False
    own_loss: ClassVar[bool] = True
    spread: torch.Tensor

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        self.chosen = hyperparameters or self.Hyperparameters()
        if self.chosen.training_steps > shape.horizon:
            raise InputError(
                f"training_steps is {self.chosen.training_steps}; the horizon has {shape.horizon} steps"
            )
        self.register_buffer("spread", torch.ones(len(shape.channels)))
        if type(self).states_only and shape.targets != shape.channels:
            raise InputError(
                f"{type(self).__name__} rolls out the channels that it reads ({', '.join(shape.channels)}); "
                f"the task asks for {', '.join(shape.targets)}"
            )

    states_only: ClassVar[bool] = True
    """Whether the targets must be the channels of the context."""

    def increment(self, state: torch.Tensor, static: torch.Tensor) -> torch.Tensor:
        """Change of the state in one step, in units of `spread`."""
        raise NotImplementedError

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, channel, latitude, longitude)."""
        return self.roll_out(batch["context"], batch["static"], self.shape.horizon)

    def roll_out(self, state: torch.Tensor, static: torch.Tensor, steps: int) -> torch.Tensor:
        """The states of some steps ahead; `state`: shape (sample, time, channel, latitude, longitude)."""
        ahead = []
        for _ in range(steps):
            ahead.append(self.next(state, static))
            state = torch.cat([state[:, 1:], ahead[-1][:, None]], dim=1)
        return torch.stack(ahead, dim=1)

    def next(self, state: torch.Tensor, static: torch.Tensor) -> torch.Tensor:
        """The state one step ahead, shape (sample, channel, latitude, longitude)."""
        return state[:, -1] + self.increment(state, static) * self.spread[:, None, None]

    def loss(self, batch: Mapping[str, torch.Tensor], reduction: str = "mean") -> torch.Tensor:
        """Error of increments in units of their spread, rows weighing by their area.

        `reduction` sum: over the samples, of means over all else.
        """
        steps = self.chosen.training_steps
        target = batch["target"][:, :steps]
        forecast = self.roll_out(batch["context"], batch["static"], steps)
        return area_loss(forecast, target, self.spread, batch["static"], self.settings.loss, reduction)

    def terms(self, batch: Mapping[str, torch.Tensor]) -> int:
        """How many terms the summed loss of a batch has: samples."""
        return len(batch["context"])

    def fit(
        self, source: TaskSource | CorpusSource, init: Mapping[str, torch.Tensor] | None = None
    ) -> FitReport:
        """Fit the spread of the increments, then train."""
        if self.settings_loss(source) not in LOSSES:
            raise InputError(f"{type(self).__name__} trains with the losses {', '.join(LOSSES)}")
        if init is None:
            self.spread.copy_(spread_of_increments(source))
        return super().fit(source, init)

    @staticmethod
    def settings_loss(source: TaskSource | CorpusSource) -> str:
        """The loss that the fit is asked for."""
        return source.settings.loss


def area_loss(
    forecast: torch.Tensor,
    target: torch.Tensor,
    spread: torch.Tensor,
    static: torch.Tensor,
    loss: str,
    reduction: str = "mean",
) -> torch.Tensor:
    """Mean error over steps, channels and area; `reduction` sum: summed over the samples.

    Args:
        forecast: shape (sample, lead_time, channel, latitude, longitude).
        target: same shape.
        spread: units of each channel, shape (channel,).
        static: shape (sample, static, latitude, longitude), the sine of the latitude last.
        loss: name of `LOSSES`.
        reduction: `mean` or `sum`.
    """
    units = spread[:, None, None]
    each = LOSSES[loss](forecast / units, target / units, reduction="none")
    weighted = each.mean(dim=(1, 2, 4)) * row_weights(static)
    by_sample = weighted.mean(dim=1)
    return by_sample.sum() if reduction == "sum" else by_sample.mean()


def row_weights(static: torch.Tensor) -> torch.Tensor:
    """Share of the sphere that each row stands for over the mean share, shape (sample, latitude).

    As WeatherBench 2: bounds halfway between rows, from the sine of the latitude, the last static field.
    """
    latitude = torch.asin(static[:, -1, :, 0].clamp(-1, 1))
    pole = torch.full_like(latitude[:, :1], torch.pi / 2)
    bounds = torch.cat([-pole, (latitude[:, 1:] + latitude[:, :-1]) / 2, pole], dim=1)
    shares = torch.sin(bounds).diff(dim=1)
    return shares / shares.mean(dim=1, keepdim=True)


def spread_of_increments(source: TaskSource | CorpusSource) -> torch.Tensor:
    """Standard deviation of one step's change of each channel in the training part, shape (channel,)."""
    cases = source.train
    index = torch.linspace(0, len(cases) - 1, min(len(cases), FIT_BATCH * FIT_BATCHES)).long()
    squares = []
    for part in index.split(FIT_BATCH):
        batch = cases.gather(part)
        change = batch["target"][:, 0] - batch["context"][:, -1]
        squares.append(change.double().square().mean(dim=(-2, -1)))
    return torch.cat(squares).mean(dim=0).sqrt().float()


def pad_sphere(values: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Pad a field around the globe and over the poles, where what lies beyond is half a turn away.

    Args:
        values: shape (..., latitude, longitude); an even number of longitudes.
        rows: of padding on each side.
        columns: of padding on each side.

    Returns:
        Shape (..., latitude + 2 rows, longitude + 2 columns).
    """
    if rows:
        beyond = values.roll(values.shape[-1] // 2, dims=-1)
        south, north = beyond[..., :rows, :].flip(-2), beyond[..., -rows:, :].flip(-2)
        values = torch.cat([south, values, north], dim=-2)
    if columns:
        values = torch.cat([values[..., -columns:], values, values[..., :columns]], dim=-1)
    return values


class SphereConv(nn.Conv2d):
    """A convolution of odd size whose padding goes around the globe and over the poles."""

    def __init__(self, inputs: int, outputs: int, size: int = 3) -> None:
        super().__init__(inputs, outputs, size)
        self.margin = size // 2

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Shape (sample, channel, latitude, longitude)."""
        return super().forward(pad_sphere(input, self.margin, self.margin))


def stacked(state: torch.Tensor, static: torch.Tensor) -> torch.Tensor:
    """Steps and channels of a state and the static fields as channels of an image."""
    return torch.cat([state.flatten(1, 2), static], dim=1)
