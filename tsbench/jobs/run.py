"""Fits, evaluates and runs models on tasks and suites: finished work is reused, none is lost.

Everything heavy is imported when a job has to be executed; a run that is reused imports no torch.
"""

import contextlib
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tsbench import atomic, registry
from tsbench.contracts import InputError, JobFailed, Result, Suite, SuiteEntry, Task
from tsbench.evaluation.record import read_result
from tsbench.locks import free, hold

from .command import command_of
from .fitted import FIT, LAST, TOGETHER, read_fit
from .job import Job, Options, resolve
from .pretrained import weights_of

if TYPE_CHECKING:
    from .execute import Execution

Stage = Literal["fit", "eval", "run"]
Say = Callable[[str], None]


@dataclass
class Outcome:
    """What became of a job.

    Attributes:
        job: the job.
        folder: its Result folder, or None after `fit`.
        result: the Result, or None after `fit`.
        fit: record of the fit (validation loss, cost, history); empty where nothing was fitted.
        reused: whether everything was there already.
        seconds: where the time went, by stage.
        error: why it failed, or empty.
    """

    job: Job
    folder: Path | None = None
    result: Result | None = None
    fit: dict[str, Any] = field(default_factory=dict)
    reused: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class Conduct:
    """How jobs are carried out; none of it changes a number, `one_by_one` none but by rounding.

    Attributes:
        fresh: start over instead of reusing finished work.
        one_by_one: fit seeds one after the other also where the model allows to fit them together.
        wait: wait for another process that has the same job, instead of stopping.
        save_forecasts: keep the forecasts as Zarr beside the Result.
        track: log Results to MLflow.
        progress: draw progress bars.
        say: takes one line for the person at the terminal.
    """

    fresh: bool = False
    one_by_one: bool = False
    wait: bool = False
    save_forecasts: bool = False
    track: bool = True
    progress: bool = False
    say: Say = lambda text: None


def run(
    model: str | type,
    task: str | Task,
    *,
    seeds: Sequence[int] = (0,),
    options: Options | None = None,
    conduct: Conduct | None = None,
    stage: Stage = "run",
    experiment: str = "single",
    runs: Path | None = None,
) -> list[Outcome]:
    """Run a model on a task, once a seed; seeds of a small model are fitted together where it allows that.

    Args:
        model: name, `FILE.py`, `FILE.py:CLASS`, or a class.
        task: name, or a Task.
        seeds: one job each.
        options: what determines the numbers beside model, task and seed.
        conduct: how the jobs are carried out.
        stage: `fit` (validation only), `eval` (the Result, from a finished fit) or `run` (both).
        experiment: MLflow experiment, a suite's name where the jobs belong to one.
        runs: folder below which run folders lie; by default the runs folder.

    Returns:
        One outcome a seed, in order.

    Raises:
        InputError: for wrong input, or where another process has the same job.
        JobFailed: where a job fails.
    """
    options, conduct = options or Options(), conduct or Conduct()
    if stage == "fit" and options.weights is not None and options.fine_tune is None:
        options = replace(options, fine_tune=True)
    outcomes = []
    for seed in seeds:
        start = time.perf_counter()
        job = resolve(model, task, seed, options, runs)
        outcomes.append(Outcome(job, seconds={"resolve": time.perf_counter() - start}))
    fitted = {} if conduct.one_by_one or stage == "eval" else _fit_together(outcomes, conduct, stage)
    for outcome in outcomes:
        execution = fitted.get(outcome.job.seed)
        if execution is not None and stage == "fit":
            outcome.fit = read_fit(outcome.job.folder)
        else:
            # What was fitted just now is not to be started over.
            now = conduct if execution is None else replace(conduct, fresh=False)
            _carry_out(outcome, now, stage, execution)
    if conduct.track and stage != "fit":
        _track(outcomes, experiment, conduct.say)
    return outcomes


def run_suite(
    suite: str | Suite,
    *,
    seeds: Sequence[int] | None = None,
    conduct: Conduct | None = None,
    leave: Callable[[Job], bool] = lambda job: False,
) -> list[Outcome]:
    """Run every model of a suite on every task and seed; a job that fails stops no other.

    Args:
        suite: the suite, or its name.
        seeds: instead of the suite's.
        conduct: how jobs are carried out.
        leave: which jobs to leave out.

    Returns:
        One outcome a job; `error` says why one failed.

    Raises:
        InputError: for an unknown suite, or where its data cannot be prepared.
    """
    suite = registry.suite(suite) if isinstance(suite, str) else suite
    conduct = conduct or Conduct()
    # All are resolved first: wrong input shows before hours of work.
    outcomes = [Outcome(job) for job in suite_jobs(suite, seeds, conduct) if not leave(job)]
    for number, outcome in enumerate(outcomes, start=1):
        conduct.say(f"[{number}/{len(outcomes)}] {outcome.job.label}")
        try:
            _carry_out(outcome, conduct, "run")
        except (InputError, JobFailed) as error:
            outcome.error = str(error)
            conduct.say(f"failed {outcome.job.label}: {error}")
    if conduct.track:
        _track([outcome for outcome in outcomes if not outcome.error], suite.name, conduct.say)
    return outcomes


def suite_jobs(suite: Suite, seeds: Sequence[int] | None = None, conduct: Conduct | None = None) -> list[Job]:
    """Every job of a suite: task by task, model by model, seed by seed.

    Args:
        suite: the suite.
        seeds: instead of the suite's.
        conduct: how a pretraining is carried out that entries start from and that was not run; a job is known
            by the weights that it starts from. None: nothing is run.

    Raises:
        InputError: for an unknown task or model, data that cannot be prepared, or a pretraining that was not
            run, where nothing is to be run.
        JobFailed: where a pretraining diverges.
    """
    start = cache(lambda number, seed: weights_of(suite, suite.models[number], seed, conduct))
    return [
        resolve(entry.model, task, seed, options_of(suite, entry, start(number, seed)))
        for task in suite.tasks
        for number, entry in enumerate(suite.models)
        if not registry.model(entry.model).gap(registry.task(task))
        for seed in seeds or entry.seeds or suite.seeds
    ]


def _fit_together(outcomes: Sequence[Outcome], conduct: Conduct, stage: Stage) -> "dict[int, Execution]":
    """Fit the seeds that are not fitted yet in one loop where the model allows it: seed → its execution."""
    jobs = list({outcome.job.seed: outcome.job for outcome in outcomes}.values())
    waiting = [job for job in jobs if conduct.fresh or not _begun(job, stage)]
    begun = [job for job in jobs if not conduct.fresh and (job.folder / TOGETHER).is_file()]
    if not waiting or (len(waiting) < 2 and not begun) or waiting[0].options.weights is not None:
        return {}
    if stage != "fit" and not waiting[0].scenarios:
        return {}
    home, clock = (begun or waiting)[0], _Clock(outcomes[0].seconds)
    with contextlib.ExitStack() as locks, one_line(home):
        for job in {job.folder: job for job in (home, *waiting)}.values():
            _make_folder(job)
            locks.enter_context(hold(job.folder / "lock", wait=conduct.wait, tell=conduct.say))
        # Another process may have finished some of them while this one waited.
        waiting = [job for job in waiting if conduct.fresh or not _begun(job, stage)]
        from . import execute, together

        clock.lap("import")
        if not waiting or not together.allowed(waiting[0]):
            return {}
        for job in waiting:
            atomic.remove_leftovers(job.folder)
            if conduct.fresh:
                execute.discard(job)
        executions = together.fit_jobs_together(waiting, home.folder, conduct.progress)
        clock.lap("fit")
    if executions:
        conduct.say(f"fitted {len(executions)} seeds of {home.model.name} on {home.task.name} together")
    return executions


def _begun(job: Job, stage: Stage) -> bool:
    """Whether a job is finished, or its fit was begun by itself."""
    if stage != "fit" and (job.result_folder / "result.json").is_file():
        return True
    return any((job.folder / name).is_file() for name in (FIT, LAST))


def _carry_out(
    outcome: Outcome, conduct: Conduct, stage: Stage, execution: "Execution | None" = None
) -> None:
    with one_line(outcome.job):
        _reuse_or_execute(outcome, conduct, stage, execution)


@contextlib.contextmanager
def one_line(job: Job) -> Iterator[None]:
    """Turns what nobody foresaw into the failure of a job, in one line with its place.

    Raises:
        JobFailed: for any exception but `InputError`.
    """
    try:
        yield
    except (InputError, JobFailed):
        raise
    except Exception as error:
        # Whatever a model stumbles on (memory, its own bug) is the end of its job, never of a suite or sweep.
        raise JobFailed(_told(error, job.model.file)) from error


def _told(error: Exception, own: Path | None) -> str:
    """An unforeseen error in one line, with its place: in the user's own file, where it came through that."""
    frames = traceback.extract_tb(error.__traceback__)
    of_own = [frame for frame in frames if own is not None and frame.filename == str(own)]
    place = (of_own or frames)[-1]
    what = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    return f"{what} ({Path(place.filename).name}, line {place.lineno})"


def _reuse_or_execute(
    outcome: Outcome, conduct: Conduct, stage: Stage, execution: "Execution | None"
) -> None:
    job = outcome.job
    if not conduct.fresh and _reuse(outcome, stage, conduct):
        free(job.folder / "lock")
        return
    _make_folder(job)
    with hold(job.folder / "lock", wait=conduct.wait, tell=conduct.say):
        # Another process may have finished the job while this one waited.
        if not conduct.fresh and _reuse(outcome, stage, conduct):
            return
        _execute(outcome, conduct, stage, execution)


def _reuse(outcome: Outcome, stage: Stage, conduct: Conduct) -> bool:
    """Whether the finished work of an earlier run serves; fills the outcome if so."""
    job = outcome.job
    if stage == "fit":
        outcome.fit = read_fit(job.folder)
        if not outcome.fit:
            return False
        outcome.reused = True
        conduct.say(f"reused fit of {job.label}: {job.folder}")
        return True
    if not (job.result_folder / "result.json").is_file():
        return False
    if conduct.save_forecasts and not (job.folder / "forecast.zarr").is_dir():
        return False
    outcome.folder, outcome.result, outcome.reused = job.result_folder, read_result(job.result_folder), True
    conduct.say(f"reused Result of {job.label}: {job.result_folder}")
    return True


def _execute(outcome: Outcome, conduct: Conduct, stage: Stage, execution: "Execution | None") -> None:
    job, clock = outcome.job, _Clock(outcome.seconds)
    if stage != "fit" and not job.scenarios:
        reasons = "; ".join(job.skipped.values()) or "the task declares none for these conditions"
        raise InputError(f"{job.label}: there is no scenario to evaluate ({reasons})")
    from . import execute

    clock.lap("import")
    atomic.remove_leftovers(job.folder)
    if conduct.fresh:
        execute.discard(job)
    execution = execution or execute.Execution(job, conduct.progress)
    clock.lap("data and model")
    if stage != "eval":
        outcome.fit = execution.fit()
        clock.lap("fit")
    if stage == "fit":
        if not outcome.fit:
            conduct.say(f"{job.model.name} has nothing to fit; go on with: {command_of(job, 'eval')}")
        return
    finished = bool(read_fit(job.folder))
    if stage == "eval" and execution.fits and (finished or job.options.weights is None):
        if not finished:
            raise InputError(
                f"{job.label} is not fitted. First: {command_of(job, 'fit')} (or use tsbench run)"
            )
        execution.fit()
    only_given = stage == "eval" and job.options.weights is not None and not finished
    command = command_of(job, "eval" if only_given else "run")
    outcome.result = execution.evaluate(command, conduct.save_forecasts)
    _tell_fallbacks(outcome, execution.fallbacks, conduct.say)
    outcome.folder = job.result_folder
    clock.lap("evaluate")


def _tell_fallbacks(outcome: Outcome, fallbacks: Counter[str], say: Say) -> None:
    """One line where a model could not do some series; their number is kept in the cost of the Result."""
    if fallbacks:
        reason = " ".join(fallbacks.most_common(1)[0][0].split())[:200]
        say(
            f"Warning: {outcome.job.label}: {fallbacks.total()} series got a simpler forecast than the "
            f"model's own, most because of {reason}"
        )


def options_of(suite: Suite, entry: SuiteEntry, weights: Path | None = None) -> Options:
    """The options with which a suite runs one of its models; `weights`: those that the entry starts from."""
    return Options(
        context=entry.context,
        hyperparameters=entry.hyperparameters,
        training=entry.training,
        conditions=suite.conditions,
        weights=weights,
        fine_tune=entry.fine_tune,
    )


def _track(outcomes: Sequence[Outcome], experiment: str, say: Say) -> None:
    """Send Results to MLflow; those that it has already cost a look into the ledger."""
    from tsbench.tracking import log_results

    folders = [outcome.folder for outcome in outcomes if outcome.folder is not None]
    if not folders:
        return
    start = time.perf_counter()
    log_results(folders, experiment, say=say, runs=outcomes[0].job.runs)
    for outcome in outcomes:
        outcome.seconds["MLflow"] = (time.perf_counter() - start) / len(folders)


def _make_folder(job: Job) -> None:
    try:
        atomic.make_folder(job.folder)
    except OSError as error:
        raise InputError(
            f"Cannot write in {job.runs}: {error.strerror}. Set TSBENCH_RUNS to a folder you can write."
        ) from error


class _Clock:
    """Laps into a dictionary of seconds."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds, self.last = seconds, time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self.last
        self.last = now
