"""Building models, neural or not. Imports no Lightning: models without it start two seconds sooner."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tsbench.contracts import TaskShape


@dataclass(frozen=True)
class NoHyperparameters:
    """Of a model without any."""


def build(model: type, shape: TaskShape, hyperparameters: Any, seed: int) -> Any:
    """Build a model; its initial weights depend on `seed` alone, and the global generator stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model(shape, hyperparameters)


def has_weights(model: Any) -> bool:
    """Whether a model has weights to save."""
    return isinstance(model, nn.Module) and any(True for _ in model.state_dict())
