"""SimpleFeedForward of GluonTS: a small multilayer perceptron that gives the parameters of a distribution.

Alexandrov et al., "GluonTS: Probabilistic and Neural Time Series Modeling in Python", JMLR 21(116), 2020.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from tsbench.gluonts.forecaster import GluonTSForecaster


@dataclass(frozen=True)
class Hyperparameters:
    """Of SimpleFeedForward.

    Attributes:
        width: of each hidden layer; the last one counts for each step of the horizon.
        layers: hidden layers.
        batch_norm: normalise between layers.
        student_t: forecast Student's t instead of normal distributions.
    """

    width: int = 20
    layers: int = 2
    batch_norm: bool = False
    student_t: bool = True

    def __post_init__(self) -> None:
        """Counts are positive."""
        for name in ("width", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")


class SimpleFeedForward(GluonTSForecaster):
    """The look-back over its mean absolute value, through the layers, to a distribution of each step."""

    Hyperparameters: ClassVar[type] = Hyperparameters

    def estimator(self) -> Any:
        """The estimator of GluonTS."""
        from gluonts.torch.distributions import NormalOutput, StudentTOutput
        from gluonts.torch.model.simple_feedforward import SimpleFeedForwardEstimator

        chosen = self.hyperparameters
        return SimpleFeedForwardEstimator(
            prediction_length=self.shape.horizon,
            context_length=self.shape.context,
            hidden_dimensions=[chosen.width] * chosen.layers,
            batch_norm=chosen.batch_norm,
            distr_output=StudentTOutput() if chosen.student_t else NormalOutput(),
        )
