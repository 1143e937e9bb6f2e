"""A Suite: a named list of tasks, the models that are run on it, and the baseline of its skill score."""

from typing import Any

from pydantic import Field, model_validator

from .strict import Strict
from .task import Condition


class SuiteEntry(Strict):
    """A model of a suite; `context` and the two dictionaries override the model's card."""

    model: str
    seeds: tuple[int, ...] | None = Field(default=None, min_length=1)
    """A part of the suite's seeds, for a model that is slow to train; default: all."""
    context: int | None = None
    hyperparameters: dict[str, Any] = {}
    training: dict[str, Any] = {}
    corpus: str | None = None
    """File of a corpus in the suite's folder: each seed is pretrained on it, and fitted on from there."""


class Suite(Strict):
    """suite.yaml of a leaderboard."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    title: str
    summary: str
    tasks: tuple[str, ...] = Field(min_length=1)
    models: tuple[SuiteEntry, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    baseline: str
    conditions: tuple[Condition, ...] = ("regular", "robustness", "generalisation")

    @model_validator(mode="after")
    def _baseline_is_a_model(self) -> "Suite":
        if self.baseline not in {entry.model for entry in self.models}:
            raise ValueError(f"baseline '{self.baseline}' is not among the suite's models")
        return self

    @model_validator(mode="after")
    def _seeds_are_the_suites(self) -> "Suite":
        for entry in self.models:
            if other := set(entry.seeds or ()) - set(self.seeds):
                raise ValueError(f"{entry.model}: seeds {sorted(other)} are not among the suite's")
        return self
