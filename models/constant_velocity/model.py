"""Constant velocity: the targets go on as they moved last. The floor for anything that has inertia."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits


@dataclass(frozen=True)
class Hyperparameters:
    """Of constant velocity.

    Attributes:
        steps: of the look-back over which the velocity is taken.
    """

    steps: int = 1

    def __post_init__(self) -> None:
        """A velocity needs two positions."""
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, not {self.steps}")


class ConstantVelocity:
    """Last value plus k times the mean step of the last `steps` steps.

    Raises:
        InputError: where the look-back has no more than `steps` values.
    """

    fits: Fits = "none"
    uses = frozenset({"context"})
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        self.shape = shape
        self.steps = (hyperparameters or Hyperparameters()).steps
        if shape.context <= self.steps:
            raise InputError(
                f"constant_velocity over {self.steps} steps needs a context above {self.steps}, "
                f"not {shape.context}"
            )

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, lead_time, target)."""
        context = batch["context"][..., list(self.shape.target_index)]
        last = context[:, -1:]
        step = (last - context[:, -1 - self.steps, None]) / self.steps
        ahead = torch.arange(1, self.shape.horizon + 1, device=context.device)[:, None]
        return Forecast(last + ahead * step)
