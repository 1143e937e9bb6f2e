"""A sweep from end to end: trials in processes, the record with its charts, the best setting's Results.

The test part is looked at after the search has ended, once a seed, and nothing that it says goes back.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tsbench import atomic
from tsbench.contracts import InputError, JobFailed, Result, parse
from tsbench.contracts.strict import parse_json
from tsbench.contracts.sweep import SWEEP_FILE, SWEEP_LIMIT, Refit, SweepRecord
from tsbench.jobs.fitted import read_fit
from tsbench.jobs.job import Options, Swept
from tsbench.jobs.run import Conduct, Outcome, run
from tsbench.tracking.content import result_hash

from .plan import Plan
from .workers import work_together

EXPERIMENT = "sweeps"
"""MLflow experiment of sweeps, their trials and the Results of what they chose."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """What a sweep has found.

    Attributes:
        record: with all trials.
        folder: where it is kept, with charts.
        outcomes: jobs of the best setting, one a seed; empty where only the search was asked for.
    """

    record: SweepRecord
    folder: Path
    outcomes: tuple[Outcome, ...] = ()


def sweep(
    plan: Plan,
    *,
    jobs: int = 1,
    seeds: int = 3,
    command: str = "",
    conduct: Conduct | None = None,
) -> Found:
    """Search, then fit and evaluate the best setting.

    Args:
        plan: of the sweep; trials that are in its study already are not tried again.
        jobs: processes that try settings.
        seeds: of the best setting's fits: from the plan's seed on; 0 only searches.
        command: that takes the sweep up again, for the record.
        conduct: how jobs are carried out.

    Raises:
        InputError: where the storage cannot be used.
        JobFailed: where no trial came to its end, or the best setting fails.
    """
    conduct = conduct or Conduct()
    if plan.several:
        conduct.say("Optuna prunes with one objective only: with several, every trial runs to its end")
    atomic.make_folder(plan.folder)
    work_together(plan, jobs, conduct.say)
    from .record import record_of
    from .trials import open_study

    study = open_study(plan)
    record = write_record(plan, record_of(study, plan, command))
    if record.best is None:
        raise JobFailed(
            f"None of {len(record.trials)} trials came to its end; see {plan.folder / SWEEP_FILE}"
        )
    outcomes: tuple[Outcome, ...] = ()
    if seeds:
        outcomes = tuple(_refit(plan, record, seeds, conduct))
        refits = tuple(_refit_record(one) for one in outcomes)
        record = write_record(plan, record_of(study, plan, command, refits))
    if conduct.track:
        from tsbench.tracking.sweeps import log_sweep

        log_sweep(record, plan.folder, EXPERIMENT, say=conduct.say)
    return Found(record, plan.folder, outcomes)


def best_options(plan: Plan, record: SweepRecord) -> Options:
    """The options of the best setting, with the sweep as their track."""
    assert record.best is not None
    chosen = plan.chosen(record.trial(record.best).parameters)
    swept = Swept(plan.study, record.counted, record.cost)
    return replace(chosen, conditions=plan.options.conditions, swept=swept)


def write_record(plan: Plan, record: SweepRecord) -> SweepRecord:
    """Write the record and its charts into the sweep's folder; each file appears whole."""
    from tsbench.leaderboard.charts.sweep import sweep_charts

    for name, drawn in sweep_charts(record).items():
        atomic.write_text(plan.folder / f"{name}.svg", drawn)
    atomic.write_text(plan.folder / SWEEP_FILE, record.model_dump_json(indent=1) + "\n")
    return record


def read_record(path: Path) -> SweepRecord:
    """Read a sweep.json, which may come from others.

    Raises:
        InputError: where it is missing, larger than 4 MB, or does not follow the schema.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}")
    if path.stat().st_size > SWEEP_LIMIT:
        raise InputError(f"{path} is larger than {SWEEP_LIMIT} bytes")
    return parse(SweepRecord, parse_json(path.read_bytes(), path), path)


def _refit(plan: Plan, record: SweepRecord, seeds: int, conduct: Conduct) -> list[Outcome]:
    conduct.say(f"best: trial {record.best}; {seeds} seeds are fitted and evaluated on test")
    return run(
        plan.model,
        plan.task,
        seeds=range(plan.seed, plan.seed + seeds),
        options=best_options(plan, record),
        conduct=conduct,
        experiment=EXPERIMENT,
        runs=plan.runs,
    )


def _refit_record(outcome: Outcome) -> Refit:
    result = outcome.result
    assert isinstance(result, Result)
    return Refit(
        seed=result.seed,
        validation_loss=read_fit(outcome.job.folder).get("validation_loss"),
        metric=result.primary,
        regular=result.scores[result.primary].get("regular"),
        result=result_hash(result),
    )
