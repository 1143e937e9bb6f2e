"""What tests of metrics share: values by the way that a run takes, and random data with ties, zeros and gaps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from tsbench.contracts import Forecast, Scenario
from tsbench.contracts.forecast import DECILES
from tsbench.evaluation.metrics import metric
from tsbench.evaluation.tally import Tally

SCENARIO = Scenario(key="regular", condition="regular", dataset="made")


@dataclass(frozen=True)
class Made:
    """Random data.

    Attributes:
        truth: shape (sample, lead_time, channel), NaN where missing; small integers, so that there are ties.
        members: shape (realization, sample, lead_time, channel), integers too.
        past: history of each sample, shape (sample, time, channel).
        seasonal: power → mean seasonal difference of the past, shape (sample, 1, channel).
    """

    truth: np.ndarray
    members: np.ndarray
    past: np.ndarray
    period: int = 3

    @property
    def seasonal(self) -> dict[int, torch.Tensor]:
        difference = np.abs(self.past[:, self.period :] - self.past[:, : -self.period])
        return {power: torch.from_numpy((difference**power).mean(axis=1, keepdims=True)) for power in (1, 2)}

    def quantiles(self, levels: Sequence[float]) -> np.ndarray:
        """Shape (quantile, sample, lead_time, channel)."""
        return np.quantile(self.members, levels, axis=0)


@pytest.fixture(params=range(3))
def made(request) -> Made:
    random = np.random.default_rng(request.param)
    samples, steps, channels = 11, 4, 3
    truth = random.integers(-4, 5, (samples, steps, channels)).astype(float)
    members = random.integers(-4, 5, (20, samples, steps, channels)).astype(float)
    truth[random.random(truth.shape) < 0.15] = np.nan
    members[:, 0, 0] = 0.0
    truth[0, 0] = 0.0
    past = random.integers(-3, 4, (samples, 10, channels)).astype(float)
    past[4] = 1.0  # a constant series has no seasonal error
    return Made(truth, members, past)


@pytest.fixture(scope="session")
def score() -> Callable[..., float | None]:
    """Value of a metric by the way that a run takes: `score(name, Forecast, truth)`; NaN in `truth` is masked."""

    def run(
        name: str,
        forecast: Forecast,
        truth: np.ndarray | torch.Tensor,
        seasonal: dict[int, torch.Tensor] | None = None,
        levels: Sequence[float] = DECILES,
        batch: int = 4,
    ) -> float | None:
        observed = torch.as_tensor(truth)
        cases, steps, channels = observed.shape
        names = tuple(f"channel{number}" for number in range(channels))
        tally = Tally(SCENARIO, [metric(name)], name, names, steps, cases, 1, quantiles=levels)
        scales = seasonal or {1: torch.ones(channels), 2: torch.ones(channels)}
        for part in torch.arange(cases).split(batch):
            values = forecast.values[part] if forecast.kind == "point" else forecast.values[:, part]
            scale = {power: one[part] if one.ndim == 3 else one for power, one in scales.items()}
            tally.update(
                Forecast(values, forecast.kind, forecast.quantiles),
                observed[part].nan_to_num(),
                ~observed[part].isnan(),
                scale.__getitem__,
                part,
            )
        return tally.values()[name]

    return run
