"""Temporal fusion transformer: gates choose among covariates, an LSTM encodes, attention looks far back.

Lim, Arık, Loeff and Pfister, "Temporal Fusion Transformers for interpretable multi-horizon time series
forecasting", International Journal of Forecasting 37(4), 2021 (arXiv 1912.09363), in the form of GluonTS.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from tsbench.gluonts.forecaster import GluonTSForecaster


@dataclass(frozen=True)
class Hyperparameters:
    """Of the temporal fusion transformer.

    Attributes:
        hidden_dim: size of the states of LSTM and attention.
        variable_dim: size of the embedding of each variable.
        num_heads: of the attention.
        dropout: between layers.
    """

    hidden_dim: int = 32
    variable_dim: int = 32
    num_heads: int = 4
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Sizes are positive, heads divide the states, dropout is a share."""
        for name in ("hidden_dim", "variable_dim", "num_heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.hidden_dim % self.num_heads:
            raise ValueError(f"num_heads must divide hidden_dim {self.hidden_dim}, not {self.num_heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")


class TemporalFusionTransformer(GluonTSForecaster):
    """Each covariate is a variable of its own; quantiles at the task's levels by the pinball loss."""

    Hyperparameters: ClassVar[type] = Hyperparameters

    def estimator(self) -> Any:
        """The estimator of GluonTS; the calendar is among the covariates, so it adds no stamps of its own."""
        from gluonts.torch.model.tft import TemporalFusionTransformerEstimator

        chosen, shape = self.hyperparameters, self.shape
        return TemporalFusionTransformerEstimator(
            freq=self.frequency,
            prediction_length=shape.horizon,
            context_length=shape.context,
            quantiles=list(shape.quantiles),
            time_features=[],
            dynamic_dims=[1] * len(self.known),
            past_dynamic_dims=[1] * len(self.past_only),
            static_dims=[1] * len(shape.static),
            static_cardinalities=list(shape.categories.values()),
            hidden_dim=chosen.hidden_dim,
            variable_dim=chosen.variable_dim,
            num_heads=chosen.num_heads,
            dropout_rate=chosen.dropout,
        )
