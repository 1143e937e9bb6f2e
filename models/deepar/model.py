"""DeepAR: an LSTM reads a series, its lags and covariates, and draws the next value, again and again.

Salinas, Flunkert, Gasthaus and Januschowski, "DeepAR: Probabilistic forecasting with autoregressive recurrent
networks", International Journal of Forecasting 36(3), 2020 (arXiv 1704.04110), in the form of GluonTS.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from tsbench.contracts import TaskShape
from tsbench.gluonts.forecaster import GluonTSForecaster

RECENT, CYCLES = 7, 7
"""Lags: the last steps, and whole seasons back, each with its neighbours."""


@dataclass(frozen=True)
class Hyperparameters:
    """Of DeepAR.

    Attributes:
        hidden_size: of the LSTM.
        num_layers: of the LSTM.
        dropout: between the layers of the LSTM.
        context_length: steps that the LSTM reads; None for the horizon, at most half of the look-back. What
            is left of the look-back is for lags.
        samples: sample paths of a forecast.
    """

    hidden_size: int = 40
    num_layers: int = 2
    dropout: float = 0.1
    context_length: int | None = None
    samples: int = 100

    def __post_init__(self) -> None:
        """Sizes are positive, dropout is a share."""
        for name in ("hidden_size", "num_layers", "samples", "context_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be positive, not {value}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")


class DeepAR(GluonTSForecaster):
    """Samples of a Student's t distribution whose parameters the LSTM gives; the calendar is a covariate."""

    Hyperparameters: ClassVar[type] = Hyperparameters

    def estimator(self) -> Any:
        """The estimator of GluonTS."""
        from gluonts.torch.model.deepar import DeepAREstimator

        chosen, shape = self.hyperparameters, self.shape
        length = chosen.context_length or min(shape.horizon, -(-shape.context // 2))
        return DeepAREstimator(
            freq=self.frequency,
            prediction_length=shape.horizon,
            context_length=length,
            lags_seq=lags(shape, length),
            time_features=[],
            num_feat_dynamic_real=len(self.known),
            hidden_size=chosen.hidden_size,
            num_layers=chosen.num_layers,
            dropout_rate=chosen.dropout,
            num_parallel_samples=chosen.samples,
            **self.static,
        )


def lags(shape: TaskShape, length: int) -> list[int]:
    """Lags that fit in the look-back beside `length` steps: the last ones, and around each whole season.

    For hours these are the lags of GluonTS up to a week.
    """
    seasons = [cycle * shape.period + near for cycle in range(1, CYCLES + 1) for near in (-1, 0, 1)]
    wanted = sorted({*range(1, RECENT + 1), *(lag for lag in seasons if lag > RECENT)})
    # GluonTS counts a lag from the step before, so a lag of one reaches no further back.
    return [lag for lag in wanted if lag - 1 <= shape.context - length] or [1]
