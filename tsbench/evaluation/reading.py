"""What metrics read of a forecast: its point, its quantiles at given levels, or its members.

The one owner of the conversions between the three kinds of forecast:

| of ↓, read as → | point | quantiles | samples |
|---|---|---|---|
| point | itself | the point at every level | one member |
| quantiles | the level 0.5 | the levels that it has; others are refused | refused |
| samples | the median member | empirical quantiles | itself |

A point forecast is thereby a distribution without spread, so that its CRPS is its absolute error. Empirical
quantiles are linear interpolations between ordered members (definition 7 of Hyndman and Fan 1996, the default
of numpy). Levels are neither interpolated nor extrapolated, and quantiles that cross are kept as they are, as
in fev and GluonTS: ordering them would make a forecast better than it was given. Quantiles of single values
say nothing of how steps and channels go together, so that they are no ensemble; metrics that a quantile
forecast has in a form of its own (CRPS) say so themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from tsbench.contracts import Forecast, InputError
from tsbench.cuda_ops import ordered_members

TOLERANCE = 1e-9
"""Levels closer than this are the same: 1 − 0.9 and 0.1."""


@dataclass(frozen=True)
class Quantiles:
    """Quantiles as a metric reads them.

    Attributes:
        values: floating, shape (quantile, sample, lead_time, channel).
        levels: one for each quantile, ascending.
    """

    values: torch.Tensor
    levels: tuple[float, ...]


class Reading:
    """A forecast as metrics read it; what several metrics ask for is computed once.

    Args:
        forecast: of any kind, usually in metric space and double precision.
    """

    def __init__(self, forecast: Forecast) -> None:
        self.forecast = forecast
        self._quantiles: dict[tuple[float, ...], Quantiles] = {}

    @cached_property
    def point(self) -> torch.Tensor:
        """Shape (sample, lead_time, channel), or that of the target in another view.

        Of complex members the medians of real and imaginary parts.

        Raises:
            InputError: where a quantile forecast lacks the level 0.5.
        """
        values = self.forecast.values
        if self.forecast.kind == "point":
            return values
        if self.forecast.kind == "samples" and values.is_complex():
            return torch.view_as_complex(_interpolated(torch.view_as_real(values).sort(dim=0).values, 0.5))
        return self.quantiles((0.5,), "A point").values[0]

    def quantiles(self, levels: Sequence[float], who: str = "The metric") -> Quantiles:
        """Quantiles at some levels.

        Args:
            levels: in (0, 1), ascending.
            who: needs them; the message begins with it.

        Raises:
            InputError: where a quantile forecast lacks one of the levels; names those that it lacks.
        """
        wanted = tuple(levels)
        if wanted not in self._quantiles:
            self._quantiles[wanted] = Quantiles(self._at(wanted, who), wanted)
        return self._quantiles[wanted]

    def samples(self, who: str = "The metric") -> torch.Tensor:
        """Members, shape (realization, sample, lead_time, channel).

        Raises:
            InputError: for a quantile forecast, which has none.
        """
        if self.forecast.kind == "quantiles":
            raise InputError(f"{who} needs samples or a point; quantiles do not say how values go together")
        return self.forecast.values[None] if self.forecast.kind == "point" else self.forecast.values

    def _at(self, levels: tuple[float, ...], who: str) -> torch.Tensor:
        values = self.forecast.values
        if self.forecast.kind == "point":
            return values.expand(len(levels), *values.shape)
        if self.forecast.kind == "samples":
            return torch.stack([_interpolated(self._ordered, level) for level in levels])
        places = [_place(level, self.forecast.quantiles) for level in levels]
        if lacking := [level for level, place in zip(levels, places, strict=True) if place is None]:
            one = "quantile" if len(lacking) == 1 else "quantiles"
            has = _listed(self.forecast.quantiles)
            raise InputError(f"{who} needs the {one} {_listed(lacking)}; the forecast has {has}")
        return values if places == list(range(len(values))) else values[places]

    @cached_property
    def _ordered(self) -> torch.Tensor:
        return ordered_members(self.forecast.values)


def point(forecast: Forecast) -> torch.Tensor:
    """The point of a forecast, (sample, lead_time, channel): itself, the median, or the median member."""
    return Reading(forecast).point


def _interpolated(ordered: torch.Tensor, level: float) -> torch.Tensor:
    """Between the two members around the place `level` · (members − 1); `ordered`: (realization, ...)."""
    place = level * (len(ordered) - 1)
    below = min(int(place), len(ordered) - 1)
    above = min(below + 1, len(ordered) - 1)
    return torch.lerp(ordered[below], ordered[above], place - below)


def _place(level: float, levels: tuple[float, ...]) -> int | None:
    return next((place for place, one in enumerate(levels) if abs(one - level) < TOLERANCE), None)


def _listed(levels: Sequence[float]) -> str:
    return ", ".join(f"{level:g}" for level in levels)
