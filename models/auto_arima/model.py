"""AutoARIMA: a seasonal ARIMA model for each series, its orders found by the stepwise search of auto.arima.

Hyndman and Khandakar, "Automatic time series forecasting: the forecast package for R", Journal of Statistical
Software 27(3), 2008; the implementation is statsforecast's.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ..layers.statistical import Method, SeasonHyperparameters, StatisticalForecaster


@dataclass(frozen=True)
class Hyperparameters(SeasonHyperparameters):
    """Of AutoARIMA.

    Attributes:
        seasonal: whether seasonal orders are searched.
        stepwise: search from order to neighbouring order; otherwise every combination is fitted.
        approximation: compare orders by the conditional sum of squares and fit only the best one by maximum
            likelihood, which is several times faster.
        max_models: orders that a stepwise search tries at most.
    """

    seasonal: bool = True
    stepwise: bool = True
    approximation: bool = False
    max_models: int = 94

    def __post_init__(self) -> None:
        """A search tries the four orders that it starts from at least."""
        super().__post_init__()
        if self.max_models < 5:
            raise ValueError(f"max_models must be at least 5, not {self.max_models}")


class AutoARIMA(StatisticalForecaster):
    """A seasonal ARIMA model of each series by itself."""

    Hyperparameters: ClassVar[type] = Hyperparameters

    def method(self, methods: Any) -> Method:
        """The search over the orders."""
        return methods.AutoARIMA(
            season_length=self.season,
            seasonal=self.chosen.seasonal,
            stepwise=self.chosen.stepwise,
            approximation=self.chosen.approximation,
            nmodels=self.chosen.max_models,
        )
