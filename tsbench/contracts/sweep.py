"""The record of a sweep (`sweep.json`): its trials, what they cost, and what came of the best one.

Everything in it but `refits` was known before a test window was looked at.
"""

from typing import Any, Literal

from pydantic import Field

from .result import StageCost
from .search_space import SearchSpace, Value
from .strict import Strict

SWEEP_FILE = "sweep.json"
SWEEP_LIMIT = 4 * 2**20
Objective = Literal["error", "flops", "parameters"]
"""What a trial is judged by, less is better: `error` is the lowest validation loss, `flops` counts the
floating-point operations of the fit, `parameters` the learned parameters."""
TrialState = Literal["complete", "pruned", "failed", "killed", "running"]


class TrialRecord(Strict):
    """One setting that was tried."""

    number: int = Field(ge=0)
    state: TrialState
    parameters: dict[str, Value]
    """Name, as `training/learning_rate`, → value."""
    values: tuple[float, ...] = ()
    """Of the objectives, in their order; empty unless the trial is complete."""
    validation: tuple[float, ...] = ()
    """Validation loss after each epoch."""
    cost: StageCost | None = None
    same_as: int | None = None
    """An earlier trial with the same parameters, whose outcome was taken over: nothing was fitted."""
    retry_of: int | None = None
    """A killed trial whose parameters were tried again."""
    reason: str = ""
    """Why it failed."""


class Refit(Strict):
    """The best setting, fitted with one seed and evaluated on the test part."""

    seed: int
    validation_loss: float | None
    metric: str
    regular: float | None
    result: str
    """Content hash of the Result."""


class SweepRecord(Strict):
    """A sweep of one model on one task."""

    schema_version: Literal[1] = 1
    study: str
    model: str
    model_version: int
    task: str
    task_version: int
    task_hash: str
    context: int
    seed: int
    """Of the fits of all trials."""
    sampler: str
    sampler_seed: int
    pruner: str
    objectives: tuple[Objective, ...]
    space: SearchSpace
    fixed: dict[str, Any]
    """Name → value of what was not varied, as `training/epochs`."""
    asked: int
    """Number of trials that were asked for."""
    trials: tuple[TrialRecord, ...]
    best: int | None
    """Number of the complete trial with the lowest error."""
    front: tuple[int, ...]
    """Numbers of the trials that no other is better than in every objective."""
    importances: dict[str, float]
    """Share of the error's variation that a parameter explains (functional ANOVA); empty for few trials."""
    cost: StageCost
    """Of all trials, killed and pruned ones included."""
    refits: tuple[Refit, ...] = ()
    code: str
    command: str

    def trial(self, number: int) -> TrialRecord:
        """The trial of that number."""
        return next(one for one in self.trials if one.number == number)

    @property
    def counted(self) -> int:
        """Number of settings that were tried: killed attempts and repetitions of a setting are none."""
        done = ("complete", "pruned", "failed")
        return sum(one.state in done and one.same_as is None for one in self.trials)
