"""A Forecast: what a model says about the horizon, with its kind."""

from dataclasses import dataclass
from typing import Any, Literal

ForecastKind = Literal["point", "quantiles", "samples"]
DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""The levels of GIFT-Eval and of most probabilistic leaderboards."""


@dataclass(frozen=True)
class Forecast:
    """Point, quantile or sample forecast of a batch.

    Attributes:
        values: array or tensor, floating or complex. `point`: (sample, lead_time, channel), or the shape of
            the target in another view; `quantiles`: (quantile, sample, lead_time, channel); `samples`:
            (realization, sample, lead_time, channel).
        kind: which of the three.
        quantiles: the levels in (0, 1), ascending, for kind `quantiles`.
    """

    values: Any
    kind: ForecastKind = "point"
    quantiles: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check that kind, rank and levels agree."""
        rank = 3 if self.kind == "point" else 4
        if self.values.ndim < rank:
            raise ValueError(f"a {self.kind} forecast has {rank} dimensions, not {self.values.ndim}")
        if (self.kind == "quantiles") != bool(self.quantiles):
            raise ValueError("quantile levels belong to a quantile forecast, and only to it")
        if self.quantiles and len(self.quantiles) != self.values.shape[0]:
            raise ValueError(f"{len(self.quantiles)} quantile levels for {self.values.shape[0]} quantiles")
