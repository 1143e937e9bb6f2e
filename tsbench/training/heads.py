"""Heads: what the outputs of a neural model mean, chosen by the loss alone. A model need not know of them.

A model with a probabilistic loss is built with a longer horizon and gives several numbers for each step, each
on the scale of the series, so that a model's own normalisation of the window stays right. The head turns them
into quantiles or into the parameters of a distribution: locations as they are, everything else from
differences of two outputs in units of the look-back's standard deviation. So forecasts shift and scale with
the series.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch.distributions import Categorical, Distribution, MixtureSameFamily, Normal, StudentT
from torch.nn import functional

from tsbench.contracts import Forecast, TaskShape

COMPONENTS = 3
LEAST_FREEDOM = 2.0
BISECTIONS = 40
TABLE = 4096
FLOOR = 1e-2


@dataclass(frozen=True)
class Head(ABC):
    """Numbers of a model → loss and forecast.

    Attributes:
        shape: the task's, not widened.
        whole_periods: round the steps of each number up to whole periods, for a model that forecasts in them.
    """

    shape: TaskShape
    whole_periods: bool = False

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Numbers for each step."""

    @abstractmethod
    def loss(self, numbers: torch.Tensor, target: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Loss of each value.

        Args:
            numbers: shape (output, sample, lead_time, target).
            target: shape (sample, lead_time, target).
            spread: of the look-back, shape (sample, 1, target).

        Returns:
            Same shape as `target`.
        """

    @abstractmethod
    def forecast(
        self,
        numbers: torch.Tensor,
        spread: torch.Tensor,
        realizations: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Forecast:
        """Quantiles at the task's levels, or samples where realizations are asked for.

        Args:
            numbers: shape (output, sample, lead_time, target).
            spread: of the look-back, shape (sample, 1, target).
            realizations: how many samples.
            generator: where they are drawn from.
        """

    @abstractmethod
    def point(self, numbers: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """One value of each step, shape (sample, lead_time, target), for a model that reads its own forecast.

        Args:
            numbers: shape (output, sample, lead_time, target).
            spread: of the look-back, shape (sample, 1, target).
        """

    @property
    def widened(self) -> TaskShape:
        """The shape that a model is built for, so that it gives every number of every step."""
        return replace(self.shape, horizon=self.outputs * self._steps)

    def split(self, values: torch.Tensor) -> torch.Tensor:
        """A model's values (sample, output × step, target) as numbers (output, sample, lead_time, target)."""
        numbers = values.unflatten(1, (self.outputs, self._steps)).movedim(1, 0)
        return numbers[:, :, : self.shape.horizon]

    def spread(self, context: torch.Tensor, observed: torch.Tensor | None) -> torch.Tensor:
        """Standard deviation of the targets' look-back, (sample, 1, target), with a floor above 0."""
        columns = list(self.shape.target_index)
        series = context[..., columns]
        seen = torch.ones_like(series) if observed is None else observed[..., columns].to(series)
        count = seen.sum(dim=1, keepdim=True).clamp_min(1)
        mean = (series * seen).sum(dim=1, keepdim=True) / count
        variance = ((series - mean).square() * seen).sum(dim=1, keepdim=True) / count
        size = (series * seen).abs().sum(dim=1, keepdim=True) / count
        tiny = torch.finfo(series.dtype).tiny ** 0.5
        return variance.sqrt() + FLOOR * size + tiny

    @property
    def _steps(self) -> int:
        horizon, period = self.shape.horizon, self.shape.period
        return -(-horizon // period) * period if self.whole_periods else horizon


@dataclass(frozen=True)
class QuantileHead(Head):
    """One output a level, trained by the pinball loss (Koenker and Bassett 1978)."""

    @property
    def outputs(self) -> int:
        """One a level."""
        return len(self.shape.quantiles)

    def loss(self, numbers: torch.Tensor, target: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Twice the pinball loss, mean over the levels: the absolute error for the median alone."""
        levels = numbers.new_tensor(self.shape.quantiles).reshape(-1, 1, 1, 1)
        error = target - numbers
        return 2 * torch.maximum(levels * error, (levels - 1) * error).mean(dim=0)

    def forecast(
        self,
        numbers: torch.Tensor,
        spread: torch.Tensor,
        realizations: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Forecast:
        """Quantiles, sorted where they cross (Chernozhukov, Fernández-Val and Galichon 2010)."""
        return Forecast(numbers.sort(dim=0).values, "quantiles", self.shape.quantiles)

    def point(self, numbers: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """The median, between the two levels beside it; the nearest level where there is but one side."""
        levels, sorted_ = self.shape.quantiles, numbers.sort(dim=0).values
        above = sum(level < 0.5 for level in levels)
        if above in (0, len(levels)):
            return sorted_[min(above, len(levels) - 1)]
        share = (0.5 - levels[above - 1]) / (levels[above] - levels[above - 1])
        return torch.lerp(sorted_[above - 1], sorted_[above], share)


class DistributionHead(Head):
    """Parameters of a distribution of each value, trained by its negative log-likelihood."""

    @abstractmethod
    def distribution(self, numbers: torch.Tensor, spread: torch.Tensor) -> Distribution:
        """Distribution of each value, batch shape (sample, lead_time, target)."""

    @abstractmethod
    def quantiles(self, numbers: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Quantiles at the task's levels, shape (quantile, sample, lead_time, target)."""

    def loss(self, numbers: torch.Tensor, target: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Negative log-likelihood of each value."""
        return -self.distribution(numbers, spread).log_prob(target)

    def forecast(
        self,
        numbers: torch.Tensor,
        spread: torch.Tensor,
        realizations: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Forecast:
        """Quantiles of the distribution; samples of it where realizations are asked for."""
        if realizations is None:
            return Forecast(self.quantiles(numbers, spread), "quantiles", self.shape.quantiles)
        with torch.random.fork_rng(devices=[]):
            # torch.distributions draws from the global generator.
            torch.manual_seed(torch.randint(2**62, (), generator=generator).item())
            return Forecast(self.distribution(numbers, spread).sample((realizations,)), "samples")


class StudentTHead(DistributionHead):
    """Student's t with location, scale and degrees of freedom above 2."""

    @property
    def outputs(self) -> int:
        """Location, scale, degrees of freedom."""
        return 3

    def loss(self, numbers: torch.Tensor, target: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Negative log-likelihood of each value; torch's own checks values, which vmap forbids."""
        location, scale, freedom = self._parameters(numbers, spread)
        distance = ((target - location) / scale).square() / freedom
        height = (
            torch.lgamma(freedom / 2) - torch.lgamma((freedom + 1) / 2) + 0.5 * (freedom * torch.pi).log()
        )
        return height + scale.log() + (freedom + 1) / 2 * torch.log1p(distance)

    def distribution(self, numbers: torch.Tensor, spread: torch.Tensor) -> Distribution:
        """Student's t."""
        location, scale, freedom = self._parameters(numbers, spread)
        return StudentT(freedom, location, scale, validate_args=False)

    def quantiles(self, numbers: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Location + scale × quantile of the standard t, read from a table over 1 / degrees of freedom."""
        location, scale, freedom = self._parameters(numbers, spread)
        table = _standard_t(self.shape.quantiles).to(location)  # (quantile, entry)
        place = TABLE * LEAST_FREEDOM / freedom
        left = place.floor().clamp(0, TABLE - 1).long()
        share = place - left
        standard = torch.lerp(table[:, left], table[:, left + 1], share)
        return location + scale * standard

    def point(self, numbers: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """The location, mean and median at once."""
        return numbers[0]

    def _parameters(
        self, numbers: torch.Tensor, spread: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        location = numbers[0]
        scale = _positive((numbers[1] - location) / spread) * spread
        return location, scale, LEAST_FREEDOM + functional.softplus((numbers[2] - location) / spread)


class GaussianMixtureHead(DistributionHead):
    """A mixture of normal distributions."""

    @property
    def outputs(self) -> int:
        """Mean, standard deviation and weight of each component."""
        return 3 * COMPONENTS

    def distribution(self, numbers: torch.Tensor, spread: torch.Tensor) -> Distribution:
        """The mixture."""
        means, scales, logits = self._parameters(numbers, spread)
        return MixtureSameFamily(
            Categorical(logits=logits, validate_args=False),
            Normal(means, scales, validate_args=False),
            validate_args=False,
        )

    def quantiles(self, numbers: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """By bisection: a mixture's quantile lies between those of its components."""
        means, scales, logits = self._parameters(numbers, spread)
        weights = logits.softmax(dim=-1)
        found = []
        for level in self.shape.quantiles:
            of_each = means + scales * _normal_quantile(level)
            low, high = of_each.amin(dim=-1), of_each.amax(dim=-1)
            for _ in range(BISECTIONS):
                middle = (low + high) / 2
                below = (weights * torch.special.ndtr((middle[..., None] - means) / scales)).sum(dim=-1)
                low, high = torch.where(below < level, middle, low), torch.where(below < level, high, middle)
            found.append((low + high) / 2)
        return torch.stack(found)

    def point(self, numbers: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """The mean."""
        means, _, logits = self._parameters(numbers, spread)
        return (logits.softmax(dim=-1) * means).sum(dim=-1)

    def _parameters(
        self, numbers: torch.Tensor, spread: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        means, ends, tilts = (one.movedim(0, -1) for one in numbers.chunk(3))  # (..., component)
        unit = spread[..., None]
        # All components would start in one place and stay there: they start apart, in units of the spread.
        apart = torch.linspace(-0.5, 0.5, COMPONENTS).to(numbers)
        scales = _positive((ends - means) / unit) * unit
        return means + apart * unit, scales, (tilts - means) / unit


HEADS: dict[str, type[Head]] = {
    "quantile": QuantileHead,
    "student_t": StudentTHead,
    "gaussian_mixture": GaussianMixtureHead,
}
"""Loss → head; other losses train a point forecast."""


def _positive(values: torch.Tensor) -> torch.Tensor:
    return functional.softplus(values) + 1e-3


def _normal_quantile(level: float) -> float:
    return float(torch.special.ndtri(torch.tensor(level, dtype=torch.float64)))


@lru_cache(maxsize=8)
def _standard_t(levels: tuple[float, ...]) -> torch.Tensor:
    """Quantiles of the standard t over 1 / df from 0 to 1 / LEAST_FREEDOM, (quantile, entry), float64."""
    import numpy as np
    from scipy.special import stdtrit

    inverse = np.arange(1, TABLE + 1) / (TABLE * LEAST_FREEDOM)
    rows = [np.concatenate([[_normal_quantile(level)], stdtrit(1 / inverse, level)]) for level in levels]
    return torch.from_numpy(np.stack(rows))
