"""Tries settings one after the other, in as many processes as share the study.

A trial is a fit, found in its run folder or made there: nothing is evaluated on the test part. What came of
it is written to the study in one piece before the trial's state is set, so that a process that is killed at
any moment leaves a trial that is done, or one that is failed and tried again from its last whole epoch.
"""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from tsbench import atomic
from tsbench.contracts import InputError, JobFailed, StageCost
from tsbench.jobs.attempts import Attempts
from tsbench.jobs.execute import Execution
from tsbench.jobs.fitted import read_fit
from tsbench.jobs.job import Job
from tsbench.jobs.run import one_line
from tsbench.locks import Owner, hold
from tsbench.training.fit import data_module, flops_of, report_of

from .plan import Plan
from .pruning import PruningCallback
from .sampling import OUTCOME, SURPLUS, distributions, killed, make_sampler, place
from .storage import open_storage

OWNER, ALIVE, RETRY = "owner", "alive", "retry_of"
"""User attributes of a trial: its process, when that was last heard of, the killed trial that it repeats."""
ALIVE_SECONDS = 30.0
NAMED_SECONDS = 30.0
"""A process has so long to choose a setting and say who it is."""
SILENT_SECONDS = 900.0
"""A process on another machine that was not heard of for so long counts as dead."""
HOPELESS = 3
"""So many failed trials without a complete one end the sweep."""
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}

Say = Callable[[str], None]


@dataclass
class Outcome:
    """What came of a trial.

    Attributes:
        state: `complete`, `pruned` or `failed`.
        values: of the objectives, where it is complete.
        validation: loss after each epoch.
        cost: of the fit, all attempts summed.
        same_as: number of an earlier trial with the same parameters, which cost nothing again.
        reason: why it failed.
    """

    state: str
    values: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    cost: dict[str, Any] = field(default_factory=dict)
    same_as: int | None = None
    reason: str = ""


def open_study(plan: Plan) -> optuna.Study:
    """The study of a plan, made where it is missing, with the card's own settings as its first trial.

    Raises:
        InputError: where the storage cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search = plan.search
    study = optuna.create_study(
        study_name=plan.study,
        storage=open_storage(plan.storage),
        sampler=make_sampler(search.sampler, search.sampler_seed, plan.several),
        pruner=_pruner(plan),
        directions=[optuna.study.StudyDirection.MINIMIZE] * len(search.objectives),
        load_if_exists=True,
    )
    ranges = plan.space.ranges()
    own = {name: plan.base[name] for name in ranges}
    if not study.get_trials(deepcopy=False) and all(ranges[name].holds(own[name]) for name in ranges):
        # A sweep then never ends with worse validation scores than the card's settings have.
        study.enqueue_trial(own, skip_if_exists=True)
    return study


def work(plan: Plan, say: Say) -> None:
    """Try settings until the study has as many as the plan asks for; other processes may do the same.

    Raises:
        InputError: where the storage cannot be used.
        JobFailed: where the first trials all fail.
    """
    study, spread = open_study(plan), distributions(plan.space)
    while True:
        take_over(study, plan, say)
        trials = study.get_trials(deepcopy=False)
        _refuse_hopeless(trials)
        waiting = any(one.state == TrialState.WAITING for one in trials)
        if not waiting and place(study, len(trials)) >= plan.search.trials:
            if not any(_unnamed(one) for one in trials):
                return
            time.sleep(1)
            continue
        trial = study.ask(spread)
        if place(study, trial.number) >= plan.search.trials:
            # Two processes asked at the same moment.
            trial.set_user_attr(SURPLUS, True)
            study.tell(trial, state=TrialState.FAIL)
            continue
        trial.set_user_attr(OWNER, asdict(Owner.current()))
        with _heard_of(trial):
            outcome, job = _try(plan, study, trial)
            # One piece, before the state: a process that is killed in between loses nothing.
            trial.set_user_attr(OUTCOME, asdict(outcome))
        _finish(study, trial.number, outcome)
        if job is not None:
            _clear(job)
        say(_told(trial, outcome))


def take_over(study: optuna.Study, plan: Plan, say: Say = lambda text: None) -> None:
    """End the trials of dead processes: what was done is kept, what was not is failed and tried again."""
    with hold(plan.folder / "lock", wait=True):
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not _abandoned(trial):
                continue
            if OUTCOME in trial.user_attrs:
                _finish(study, trial.number, Outcome(**trial.user_attrs[OUTCOME]))
                continue
            say(f"trial {trial.number} was killed; its settings are tried again")
            with contextlib.suppress(ValueError, RuntimeError):  # ended by a process on another machine
                study.tell(trial.number, state=TrialState.FAIL)
        trials = study.get_trials(deepcopy=False)
        again = {trial.user_attrs.get(RETRY) for trial in trials}
        for trial in trials:
            if killed(trial) and trial.number not in again and trial.params:
                study.enqueue_trial(trial.params, user_attrs={RETRY: trial.number})


def _try(plan: Plan, study: optuna.Study, trial: optuna.Trial) -> tuple[Outcome, Job | None]:
    """Fit a setting, or take over what came of the same one; and the job, where its fit is unfinished."""
    if (twin := _twin(study, trial)) is not None:
        found = Outcome(**twin.user_attrs[OUTCOME])
        if not plan.several:
            for epoch, value in twin.intermediate_values.items():
                trial.report(value, epoch)
        first = twin.number if found.same_as is None else found.same_as
        return Outcome(found.state, found.values, found.validation, {}, first, found.reason), None
    try:
        job = plan.job(trial.params)
        with one_line(job):
            return _fit(plan, job, trial)
    except (InputError, JobFailed) as error:
        return Outcome("failed", reason=" ".join(str(error).split())[:500]), None


def _fit(plan: Plan, job: Job, trial: optuna.Trial) -> tuple[Outcome, Job | None]:
    atomic.make_folder(job.folder)
    with hold(job.folder / "lock", wait=True):
        record = read_fit(job.folder)
        if record:
            return _complete(plan, record), None
        execution = Execution(job)
        if not execution.fits:
            raise InputError(f"{job.model.name} has nothing to fit, so that nothing can be tried")
        watch = None if plan.several else PruningCallback(trial)
        try:
            record = execution.fit(() if watch is None else (watch,))
        except optuna.TrialPruned:
            assert watch is not None
            return _pruned(execution, watch), job
    return _complete(plan, record), None


def _complete(plan: Plan, record: dict[str, Any]) -> Outcome:
    cost = StageCost.model_validate(record["cost"])
    numbers = {
        "error": record["validation_loss"],
        "flops": cost.flops,
        "parameters": record["parameters"],
    }
    values = [numbers[name] for name in plan.search.objectives]
    for name, value in zip(plan.search.objectives, values, strict=True):
        if value is None:
            what = "has no validation loss" if name == "error" else f"has {name} that cannot be counted"
            raise InputError(f"{plan.model} {what}; leave it out of the objectives, or choose another model")
    dumped = cost.model_dump(mode="json")
    return Outcome("complete", [float(one) for one in values], _losses(record["history"]), dumped)


def _losses(history: list[dict[str, Any]]) -> list[float]:
    """Validation losses of a history, without those that are no numbers."""
    losses = (float(epoch["validation_loss"]) for epoch in history if "validation_loss" in epoch)
    return [loss for loss in losses if math.isfinite(loss)]


def _pruned(execution: Execution, watch: PruningCallback) -> Outcome:
    """Cost of the epochs that a pruned trial has run."""
    assert watch.checkpoint is not None
    module = data_module(execution.source())
    steps = len(module.train_dataloader())
    execution.model.trainer = None
    report = report_of(watch.checkpoint, steps, flops_of(execution.model, module))
    attempts = Attempts(execution.job.folder)
    cost = StageCost(
        seconds=sum(attempts.earlier),
        flops=report.flops,
        attempts=len(attempts.earlier),
        detail={"epochs": report.epochs},
    )
    return Outcome("pruned", [], _losses(watch.checkpoint.history), cost.model_dump(mode="json"))


def _clear(job: Job) -> None:
    """Remove the checkpoint of a pruned fit: its settings are not tried again."""
    from tsbench.jobs.execute import UNFINISHED

    with hold(job.folder / "lock", wait=True):
        if not read_fit(job.folder):
            for name in UNFINISHED:
                (job.folder / name).unlink(missing_ok=True)


def _twin(study: optuna.Study, trial: optuna.Trial) -> FrozenTrial | None:
    """An earlier trial with the same parameters that came to its end."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return next((one for one in done if one.params == trial.params and OUTCOME in one.user_attrs), None)


def _finish(study: optuna.Study, number: int, outcome: Outcome) -> None:
    state = STATES[outcome.state]
    values = outcome.values if state == TrialState.COMPLETE else None
    study.tell(number, values, state=state, skip_if_finished=True)


def _abandoned(trial: FrozenTrial) -> bool:
    """Whether the process of a running trial is gone."""
    attributes = trial.user_attrs
    if _unnamed(trial):
        started = trial.datetime_start
        return started is not None and time.time() - started.timestamp() > NAMED_SECONDS
    owner = Owner(**attributes[OWNER])
    return owner.dead or time.time() - attributes.get(ALIVE, math.inf) > SILENT_SECONDS


def _unnamed(trial: FrozenTrial) -> bool:
    """Whether a trial was asked for by a process that has not said yet who it is, and may be dead."""
    return trial.state == TrialState.RUNNING and OWNER not in trial.user_attrs


@contextlib.contextmanager
def _heard_of(trial: optuna.Trial) -> Iterator[None]:
    """Say now and then that the process of a trial lives, for those on other machines."""
    done = threading.Event()

    def tell() -> None:
        while True:
            trial.set_user_attr(ALIVE, time.time())
            if done.wait(ALIVE_SECONDS):
                return

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _refuse_hopeless(trials: list[FrozenTrial]) -> None:
    ended = [Outcome(**one.user_attrs[OUTCOME]) for one in trials if OUTCOME in one.user_attrs]
    failed = [one for one in ended if one.state == "failed"]
    if len(failed) >= HOPELESS and len(failed) == len(ended):
        raise JobFailed(f"The first {len(failed)} trials failed; the last because {failed[-1].reason}")


def _pruner(plan: Plan) -> optuna.pruners.BasePruner:
    if plan.search.pruner == "median":
        # An epoch says little; five trials show what is usual.
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)
    if plan.search.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    return optuna.pruners.NopPruner()


def _told(trial: optuna.Trial, outcome: Outcome) -> str:
    chosen = ", ".join(f"{name.partition('/')[2]} {_short(value)}" for name, value in trial.params.items())
    what = {
        "complete": ", ".join(f"{value:.5g}" for value in outcome.values),
        "pruned": f"pruned after {len(outcome.validation)} epochs",
        "failed": f"failed: {outcome.reason}",
    }[outcome.state]
    same = "" if outcome.same_as is None else f" (as trial {outcome.same_as})"
    return f"trial {trial.number}: {what}{same}; {chosen}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
