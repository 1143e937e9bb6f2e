"""A trained GluonTS predictor, an object in Python, as a model that learns nothing more."""

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from gluonts.core import serde
from gluonts.model.predictor import Predictor
from gluonts.torch.model.predictor import PyTorchPredictor
from torch import nn

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits
from tsbench.training.weights import weights_hash

from .drawing import generators_of
from .forecaster import USES, feed_of, quiet
from .outputs import forecast_of
from .sequences import Sequences, sequences_of, without_padding


class GluonTSPredictor(nn.Module):
    """Forecasts each target with a GluonTS predictor; made by `gluonts_model`.

    Raises:
        InputError: where the predictor forecasts fewer steps than the horizon, or not from the next one on.
    """

    fits: ClassVar[Fits] = "none"
    uses: ClassVar[frozenset[str]] = USES
    predictor: ClassVar[Any]

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__()
        self.shape = shape
        made = self.predictor
        if made.prediction_length < shape.horizon:
            raise InputError(
                f"The predictor forecasts {made.prediction_length} steps; the horizon is {shape.horizon}"
            )
        if made.lead_time:
            raise InputError(f"The predictor leaves out {made.lead_time} steps; its lead_time must be 0")
        self.network = made.prediction_net if isinstance(made, PyTorchPredictor) else None
        self.feed = feed_of(made, shape, type(self).__name__) if isinstance(made, PyTorchPredictor) else None

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Quantiles (quantile, sample, lead_time, target), or samples (realization, sample, …).

        Samples are drawn from the case alone; `generator`, which depends on the batch, is not used.
        """
        sequences, index = sequences_of(batch, self.shape), batch["index"]
        if self.feed is None:
            return self._by_predictor(sequences, index)
        generate, inputs = self.predictor.forecast_generator, self.feed(sequences)
        return forecast_of(self.network, generate, inputs, index, self.shape, realizations)

    def _by_predictor(self, sequences: Sequences, index: torch.Tensor) -> Forecast:
        """Case by case through the predictor itself, which may draw from numpy's global generator."""
        targets, kept = len(self.shape.targets), np.random.get_state()
        found = []
        try:
            for case, random in enumerate(generators_of(index)):
                np.random.seed(int(random.integers(2**32)))
                rows = range(case * targets, (case + 1) * targets)
                entries = [without_padding(sequences.entry(row, self.shape.step)) for row in rows]
                with quiet():
                    made = self.predictor.predict(entries)
                    found.append([[one.quantile(level) for level in self.shape.quantiles] for one in made])
        finally:
            np.random.set_state(kept)
        values = torch.from_numpy(np.array(found, np.float32))  # (sample, target, quantile, lead_time)
        values = values[..., : self.shape.horizon].permute(2, 0, 3, 1)
        return Forecast(values.to(sequences.past.device), "quantiles", self.shape.quantiles)


def gluonts_model(predictor: Predictor, name: str | None = None) -> type[GluonTSPredictor]:
    """A model that forecasts with a trained GluonTS predictor, for `tsbench.run` and `tsbench.evaluate`.

    Args:
        predictor: of GluonTS; one of `gluonts.torch` forecasts whole batches, others series by series.
        name: under which its Results are kept; by default the network's name and a hash of settings and
            weights, so that another training makes another name.

    Raises:
        InputError: where a name is needed, because the predictor's settings cannot be written down.
    """
    return type(name or _name_of(predictor), (GluonTSPredictor,), {"predictor": predictor})


def _name_of(predictor: Predictor) -> str:
    network = getattr(predictor, "prediction_net", None)
    named = type(getattr(network, "model", network) if network is not None else predictor).__name__
    try:
        settings = serde.dump_json(predictor)
    except Exception as error:
        raise InputError(
            f"The settings of this {type(predictor).__name__} cannot be written down "
            f"({type(error).__name__}); give the model a name: gluonts_model(predictor, name=…)"
        ) from error
    digest = hashlib.blake2b(f"{settings}|{weights_hash(network)}".encode(), digest_size=4)
    return f"GluonTS_{named}_{digest.hexdigest()}"
