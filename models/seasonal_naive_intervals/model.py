"""Seasonal naive with intervals: the last season, with normal intervals that widen season by season.

The variance is that of the seasonal differences of the context, times the number of seasons ahead (Hyndman
and Athanasopoulos, "Forecasting: Principles and Practice", 3rd edition, section 5.5); the implementation is
statsforecast's. Its point forecast is that of the model `seasonal_naive`, which needs no further package.
"""

from typing import Any

from ..layers.statistical import Method, StatisticalForecaster


class SeasonalNaiveIntervals(StatisticalForecaster):
    """The last season of each series, with intervals."""

    def method(self, methods: Any) -> Method:
        """The naive forecast; where the season is one step, it repeats the last value."""
        return methods.SeasonalNaive(season_length=self.season)
