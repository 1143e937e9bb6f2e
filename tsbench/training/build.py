"""Building models, neural or not. Imports no Lightning: models without it start two seconds sooner."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tsbench.contracts import InputError, TaskShape

if TYPE_CHECKING:
    from .heads import Head

POINT_LOSSES = ("mse", "mae", "huber", "smape", "nmse")
POINT_ONLY = "makes point forecasts only"


@dataclass(frozen=True)
class NoHyperparameters:
    """Of a model without any."""


def build(model: type, shape: TaskShape, hyperparameters: Any, seed: int, loss: str = "mse") -> Any:
    """Build a model; its initial weights depend on `seed` alone, and the global generator stays as it is.

    Args:
        model: its class.
        shape: of the task.
        hyperparameters: of the model.
        seed: of the initial weights.
        loss: that it will be trained with; a probabilistic one gives a neural model a head.

    Raises:
        InputError: for a probabilistic loss and a model that makes point forecasts only.
    """
    head = _head(model, shape, loss)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        widened = shape if head is None or getattr(model, "own_numbers", False) else head.widened
        built = model(widened, hyperparameters)
        if head is not None:
            if "future_covariates" in built.uses:
                raise InputError(f"{model.__name__} {POINT_ONLY} where it reads covariates of its horizon")
            built.adopt(head)
    return built


def _head(model: type, shape: TaskShape, loss: str) -> "Head | None":
    if loss in POINT_LOSSES or not hasattr(model, "configure_optimizers"):
        return None
    from .heads import HEADS

    if getattr(model, "own_loss", False):
        raise InputError(f"{model.__name__} is trained with a loss of its own, not with '{loss}'")
    if not getattr(model, "probabilistic", False):
        raise InputError(f"{model.__name__} {POINT_ONLY}; choose one of the losses {', '.join(POINT_LOSSES)}")
    return HEADS[loss](shape, model.whole_periods)  # type: ignore[attr-defined]


def has_weights(model: Any) -> bool:
    """Whether a model has weights to save."""
    return isinstance(model, nn.Module) and any(True for _ in model.state_dict())
