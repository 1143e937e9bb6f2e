"""GluonTSForecaster: any estimator of `gluonts.torch` as a model, which writes `estimator` and no more.

The network, its loss and its inputs are GluonTS's own; cases, order, learning rate, early stopping, resume
and weights are those of every neural model here, so that figures can be compared and a killed fit goes on.
"""

import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from gluonts.torch.model.estimator import PyTorchLightningEstimator
from gluonts.torch.model.predictor import PyTorchPredictor

from tsbench.contracts import Forecast, TaskShape
from tsbench.training.module import NeuralForecaster

from .feed import Feed, find_feed
from .frequency import frequency_of
from .outputs import forecast_of
from .sequences import known_ahead, known_past, sequences_of, with_future

USES = frozenset(
    {"context", "observed", "past_covariates", "future_covariates", "static", "categorical", "time"}
)
"""Batch names that a GluonTS model may read."""


class GluonTSForecaster(NeuralForecaster):
    """A GluonTS estimator, each target a univariate series.

    Subclasses define `estimator(self)`, which builds the estimator from `self.shape` and
    `self.hyperparameters`. Covariates arrive as `feat_dynamic_real` (`self.known`, with the calendar),
    `past_feat_dynamic_real` (`self.past_only`), `feat_static_real` and `feat_static_cat`.

    The estimator's own trainer, sampler, learning rate and loader are not used: `TrainingSettings` say how
    the network is trained, but for its loss, which is the estimator's.

    Attributes:
        hyperparameters: of the model.
        made: the estimator, and `chain` its transformation of entries.
        network: the estimator's Lightning module, which knows its loss.
        predictor: the estimator's, on the network.
        feed: makes the inputs of the network.

    Raises:
        InputError: where the network reads further back than the look-back.
    """

    uses: ClassVar[frozenset[str]] = USES
    own_loss: ClassVar[bool] = True

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        self.hyperparameters = hyperparameters or self.Hyperparameters()
        with quiet():
            self.made = self.estimator()
            self.chain = self.made.create_transformation()
            self.network: Any = self.made.create_lightning_module()
            # Its own logging asks for its own trainer.
            self.network.log = _no_log
            self.predictor = self.made.create_predictor(self.chain, self.network)
        self.feed = feed_of(self.predictor, shape, type(self).__name__)
        # The network is put where this module is; GluonTS puts it on an accelerator by itself.
        self.network.cpu()

    def estimator(self) -> PyTorchLightningEstimator:
        """The estimator, for `self.shape` and `self.hyperparameters`."""
        raise NotImplementedError(f"{type(self).__name__} has no method `estimator`")

    @property
    def frequency(self) -> str:
        """Pandas frequency of the task's step."""
        return frequency_of(self.shape.step)

    @property
    def known(self) -> tuple[str, ...]:
        """Names of the columns of `feat_dynamic_real`."""
        return known_ahead(self.shape)

    @property
    def past_only(self) -> tuple[str, ...]:
        """Names of the columns of `past_feat_dynamic_real`."""
        return known_past(self.shape)

    @property
    def static(self) -> dict[str, Any]:
        """Arguments that many estimators share: number of static features, and sizes of the categories."""
        found: dict[str, Any] = {"num_feat_static_real": len(self.shape.static)}
        if self.shape.categories:
            found["num_feat_static_cat"] = len(self.shape.categories)
            found["cardinality"] = list(self.shape.categories.values())
        return found

    def forward(self, batch: Mapping[str, torch.Tensor]) -> Any:
        """What the network gives, one row a sample and target."""
        return self.network(**self.feed(sequences_of(batch, self.shape)))

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Quantiles (quantile, sample, lead_time, target), or samples (realization, sample, …).

        Samples are drawn from the case alone; `generator`, which depends on the batch, is not used.
        """
        inputs = self.feed(sequences_of(batch, self.shape))
        generate = self.predictor.forecast_generator
        index = batch["index"]
        return forecast_of(self.network, generate, inputs, index, self.shape, realizations)

    def loss(self, batch: Mapping[str, torch.Tensor], reduction: str = "mean") -> torch.Tensor:
        """The estimator's own training loss, a scalar; with `sum`, times the number of observed targets."""
        valid = batch.get("valid", torch.ones_like(batch["target"], dtype=torch.bool))
        step = self.network.training_step if self.training else self.network.validation_step
        mean = step(self._with_targets(batch, valid), 0)
        return mean * valid.sum() if reduction == "sum" else mean

    def _with_targets(
        self, batch: Mapping[str, torch.Tensor], valid: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """The inputs of the network, with `future_target` and `future_observed_values`."""
        sequences = sequences_of(batch, self.shape)
        future = batch["target"].transpose(1, 2).flatten(0, 1)  # (sequence, lead_time)
        seen = valid.transpose(1, 2).flatten(0, 1)
        if self.feed.inputs is not None:
            ahead = {"future_target": torch.where(seen, future, 0.0), "future_observed_values": seen.float()}
            return self.feed(sequences) | ahead
        # What computes its inputs may compute the targets, too: bins, differences, a scale.
        after = torch.where(seen, future, torch.nan).cpu().numpy()
        entries = [with_future(sequences.entry(row, self.shape.step), one) for row, one in enumerate(after)]
        with quiet():
            transformed = self.chain.apply(entries, is_train=True)  # type: ignore[arg-type]
            parts = list(self.made.create_validation_data_loader(transformed, self.network))
        return {name: torch.cat([part[name] for part in parts]).to(future.device) for name in parts[0]}


def feed_of(predictor: PyTorchPredictor, shape: TaskShape, who: str) -> Feed:
    """How the inputs of a predictor's network are made.

    Raises:
        InputError: where the network reads further back than the look-back.
    """

    def chain(entry: dict[str, Any]) -> Mapping[str, Any]:
        with quiet():
            return next(iter(predictor.input_transform.apply([entry], is_train=False)))  # type: ignore[arg-type]

    output = getattr(getattr(predictor.prediction_net, "model", None), "distr_output", None)
    return find_feed(
        chain, predictor.input_names, shape, float(getattr(output, "value_in_support", 0.0)), who
    )


@contextmanager
def quiet() -> Any:
    """Leave out the warnings of GluonTS about names of frequencies, which stay what they were."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _no_log(*_: Any, **__: Any) -> None:
    """GluonTS logs its losses step by step; the epochs' means are logged by the forecaster."""
