"""AutoTheta: the best of four Theta models for each series, after its season is taken out.

Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler, "Models for optimising the theta method and their
relationship to state space models", International Journal of Forecasting 32(4), 2016, after Assimakopoulos
and Nikolopoulos (2000); the implementation is statsforecast's.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ..layers.statistical import Method, SeasonHyperparameters, StatisticalForecaster


@dataclass(frozen=True)
class Hyperparameters(SeasonHyperparameters):
    """Of AutoTheta.

    Attributes:
        decomposition: how the season is taken out, where a test finds one; series that are not positive
            throughout are decomposed additively in any case.
        model: standard (STM), optimised (OTM), and their dynamic forms (DSTM, DOTM); None takes the one with
            the least squared error.
    """

    decomposition: Literal["multiplicative", "additive"] = "multiplicative"
    model: Literal["STM", "OTM", "DSTM", "DOTM"] | None = None


class AutoTheta(StatisticalForecaster):
    """The Theta method on each series by itself."""

    Hyperparameters: ClassVar[type] = Hyperparameters

    def method(self, methods: Any) -> Method:
        """The choice among the four models."""
        return methods.AutoTheta(
            season_length=self.season,
            decomposition_type=self.chosen.decomposition,
            model=self.chosen.model,
        )
