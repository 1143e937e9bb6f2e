"""Makes the record of a sweep from its study: trials, the best of them, the front, importances, cost."""

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from tsbench.contracts import StageCost
from tsbench.contracts.sweep import Refit, SweepRecord, TrialRecord
from tsbench.contracts.sweep import TrialState as State

from .plan import Plan
from .sampling import OUTCOME, SURPLUS, killed
from .trials import RETRY

FEWEST = 4
"""Complete trials from which on importances say something."""


def record_of(study: optuna.Study, plan: Plan, command: str, refits: tuple[Refit, ...] = ()) -> SweepRecord:
    """The record of a study as it is now.

    Args:
        study: the study.
        plan: of the sweep.
        command: that takes it up again.
        refits: what came of the best setting.
    """
    job = plan.job({})
    found = [
        one
        for one in study.get_trials(deepcopy=False)
        if SURPLUS not in one.user_attrs and one.state != TrialState.WAITING
    ]
    trials = tuple(_trial(one) for one in found)
    complete = [one for one in trials if one.state == "complete"]
    best = min(complete, key=lambda one: (one.values[0], one.number), default=None)
    ranges = plan.space.ranges()
    return SweepRecord(
        study=plan.study,
        model=job.model.name,
        model_version=job.model.card.version,
        task=job.task.name,
        task_version=job.task.version,
        task_hash=job.task.hash,
        context=job.context,
        seed=plan.seed,
        sampler=plan.search.sampler,
        sampler_seed=plan.search.sampler_seed,
        pruner=plan.search.pruner or "none",
        objectives=plan.search.objectives,  # type: ignore[arg-type]
        space=plan.space,
        fixed={name: value for name, value in plan.base.items() if name not in ranges},
        asked=plan.search.trials,
        trials=trials,
        best=None if best is None else best.number,
        front=front(complete),
        importances=_importances(study),
        cost=total_cost(trials),
        refits=refits,
        code=job.code,
        command=command,
    )


def front(complete: Sequence[TrialRecord]) -> tuple[int, ...]:
    """Numbers of the trials that no other is better than in every objective; of equal ones the first."""
    kept = []
    for one in complete:
        if not any(_dominates(other, one) for other in complete):
            kept.append(one.number)
    return tuple(kept)


def total_cost(trials: Sequence[TrialRecord]) -> StageCost:
    """Cost of all trials; what was not counted for one of them is null for all."""
    costs = [one.cost for one in trials if one.cost is not None]
    memory = [one.peak_memory_bytes for one in costs if one.peak_memory_bytes is not None]
    epochs = [one.detail.get("epochs") for one in costs]
    states = [one.state for one in trials if one.same_as is None]
    return StageCost(
        seconds=_sum([one.seconds for one in costs]),
        flops=_sum([one.flops for one in costs]),
        peak_memory_bytes=max(memory, default=None),
        energy_joules=_sum([one.energy_joules for one in costs]),
        attempts=max(1, sum(one.attempts for one in costs)),
        detail={
            "trials": sum(state in ("complete", "pruned", "failed") for state in states),
            "pruned": states.count("pruned"),
            "failed": states.count("failed"),
            "epochs": _sum(epochs),
        },
    )


def _trial(trial: FrozenTrial) -> TrialRecord:
    outcome: dict[str, Any] = trial.user_attrs.get(OUTCOME, {})
    state: State = "killed" if killed(trial) else outcome.get("state", "running")
    return TrialRecord(
        number=trial.number,
        state=state,
        parameters=trial.params,
        values=tuple(outcome.get("values", ())),
        validation=tuple(outcome.get("validation", ())),
        cost=StageCost.model_validate(outcome["cost"]) if outcome.get("cost") else None,
        same_as=outcome.get("same_as"),
        retry_of=trial.user_attrs.get(RETRY),
        reason=outcome.get("reason", ""),
    )


def _dominates(one: TrialRecord, other: TrialRecord) -> bool:
    """Whether a trial is nowhere worse and somewhere better, or equal and earlier."""
    if one.number == other.number or any(a > b for a, b in zip(one.values, other.values, strict=True)):
        return False
    return one.values != other.values or one.number < other.number


def _importances(study: optuna.Study) -> dict[str, float]:
    """Share of the error's variation that each parameter explains: fANOVA (Hutter et al. 2014)."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    errors = {trial.values[0] for trial in complete}
    if len(complete) < FEWEST or len(errors) < 2:
        return {}
    found = get_param_importances(
        study, evaluator=FanovaImportanceEvaluator(seed=0), target=lambda trial: trial.values[0]
    )
    return {name: round(float(share), 6) for name, share in found.items()}


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
