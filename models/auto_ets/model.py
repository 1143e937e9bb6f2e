"""AutoETS: exponential smoothing in state space form, its components chosen by AICc for each series.

Hyndman, Koehler, Snyder and Grose, "A state space framework for automatic forecasting using exponential
smoothing methods", International Journal of Forecasting 18(3), 2002; the implementation is statsforecast's.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ..layers.statistical import Method, SeasonHyperparameters, StatisticalForecaster


@dataclass(frozen=True)
class Hyperparameters(SeasonHyperparameters):
    """Of AutoETS.

    Attributes:
        season_length: in steps; None takes the task's period. Above 24 the search leaves the season out.
        model: error, trend and season, each N (none), A (additive), M (multiplicative) or Z (chosen by AICc).
            Multiplicative ones are considered only for series that are positive throughout.
        damped: whether the trend is damped; None lets AICc choose.
    """

    model: str = "ZZZ"
    damped: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what statsforecast would refuse for every series."""
        super().__post_init__()
        error, trend, season = self.model if len(self.model) == 3 else "???"
        if error not in "AMZ" or trend not in "NAMZ" or season not in "NAMZ":
            raise ValueError(f"model must be three letters such as ZZZ, ANN or MAM, not {self.model!r}")


class AutoETS(StatisticalForecaster):
    """Exponential smoothing of each series by itself."""

    Hyperparameters: ClassVar[type] = Hyperparameters

    def method(self, methods: Any) -> Method:
        """The search over error, trend and season."""
        return methods.AutoETS(season_length=self.season, model=self.chosen.model, damped=self.chosen.damped)
