"""What a sweep may vary: ranges of hyper-parameters and training settings, in a model's card or a file."""

import math
from typing import Any, Literal

from pydantic import model_validator

from .addressed import Addressed
from .strict import Strict

Value = bool | int | float | str
Part = Literal["hyperparameters", "training"]
FIXED = ("loss",)
"""Training settings that no sweep varies: validation losses of different kind are not comparable."""


class Range(Strict):
    """Values that one setting may take: a few of them, or the numbers from `low` to `high`, both included."""

    choices: tuple[Value, ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = None
    """Distance of neighbouring values; null for any number, or for every whole number."""
    log: bool = False
    """Whether values are drawn evenly on a logarithmic scale."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "Range":
        """Refuse a range that says nothing, too much or something impossible."""
        if self.choices:
            if (self.low, self.high, self.step, self.log) != (None, None, None, False):
                raise ValueError("give choices, or low and high, not both")
            if len(set(map(repr, self.choices))) < len(self.choices):
                raise ValueError("a choice is there twice")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give choices, or low and high")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"low must be below high, and both finite, not {self.low} and {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a logarithmic range starts above 0 and has no step")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise ValueError(f"step must be positive and fit between low and high, not {self.step}")
        return self

    @property
    def whole(self) -> bool:
        """Whether a range of numbers holds whole numbers only."""
        return all(isinstance(one, int) for one in (self.low, self.high, self.step) if one is not None)

    def holds(self, value: Any) -> bool:
        """Whether a value is one of these."""
        if self.choices:
            return any(
                value == one and isinstance(value, bool) == isinstance(one, bool) for one in self.choices
            )
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.low is None or self.high is None or not self.low <= value <= self.high:
            return False
        if self.whole and value != int(value):
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return abs(steps - round(steps)) < 1e-9


class SearchSpace(Addressed):
    """What a sweep varies on the tasks that it matches, by default on all.

    All combinations must be possible: ranges do not depend on each other.
    """

    hyperparameters: dict[str, Range] = {}
    training: dict[str, Range] = {}
    source: str
    """Where the ranges come from: a paper with its section, or the reason for them."""

    @model_validator(mode="after")
    def _comparable(self) -> "SearchSpace":
        """Refuse a space without a dimension, and settings that make trials incomparable."""
        if not self.hyperparameters and not self.training:
            raise ValueError("give ranges of hyperparameters or training settings")
        if found := [name for name in FIXED if name in self.training]:
            raise ValueError(f"a sweep cannot vary {found[0]}: validation losses would not be comparable")
        return self

    def ranges(self) -> dict[str, Range]:
        """Name of a parameter, as `training/learning_rate`, → its range."""
        parts: dict[Part, dict[str, Range]] = {
            "hyperparameters": self.hyperparameters,
            "training": self.training,
        }
        return {f"{part}/{name}": one for part, found in parts.items() for name, one in found.items()}

    def without(self, hyperparameters: dict[str, Any], training: dict[str, Any]) -> "SearchSpace | None":
        """The space without what is fixed by hand; None where nothing is left."""
        kept = {
            "hyperparameters": {k: v for k, v in self.hyperparameters.items() if k not in hyperparameters},
            "training": {k: v for k, v in self.training.items() if k not in training},
        }
        return self.model_copy(update=kept) if any(kept.values()) else None
