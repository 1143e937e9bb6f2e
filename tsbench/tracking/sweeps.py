"""Sends a sweep to MLflow: a run of its own, with a run nested below it for each trial."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tsbench.contracts import StageCost
from tsbench.contracts.sweep import SWEEP_FILE, SweepRecord, TrialRecord

from . import content
from .log import Logged, attempt, log_numbers
from .session import Session

STUDY_TAG, TRIAL_TAG = "tsbench.sweep", "tsbench.trial"
PARENT_TAG = "mlflow.parentRunId"
STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED", "killed": "KILLED"}
"""State of a trial → of its run; one that still runs is sent when it has ended."""

Say = Callable[[str], None]


def log_sweep(
    record: SweepRecord, folder: Path, experiment: str, uri: str | None = None, say: Say = lambda text: None
) -> Logged:
    """Log a sweep as it is now; trials that MLflow has already are left alone.

    Args:
        record: of the sweep.
        folder: with its record and charts, which become artifacts.
        experiment: the experiment's name.
        uri: tracking URI; by default `tracking_uri()`.
        say: takes the warning where the store cannot be used.

    Raises:
        InputError: for a URI that MLflow could not log to.
    """
    action = partial(_send, record, folder, experiment)
    return attempt(uri, action, say, "send it later with the same command")


def _send(record: SweepRecord, folder: Path, experiment: str, session: Session) -> Logged:
    with session.alone():
        identifier = session.experiment(experiment)
        name = f"sweep of {record.model} on {record.task}"
        parent = _found(session, identifier, STUDY_TAG, record.study) or _create(
            session, identifier, name, {STUDY_TAG: record.study, "tsbench.code": record.code}
        )
        logged = {
            run.data.tags[TRIAL_TAG]
            for run in session.runs([identifier], f"tags.`{PARENT_TAG}` = '{parent}'")
            if run.info.status != "RUNNING"
        }
        for trial in record.trials:
            if trial.state in STATUS and str(trial.number) not in logged:
                _send_trial(session, identifier, parent, record, trial)
        log_numbers(session, parent, _sweep_numbers(record), _sweep_params(record), content.now())
        for path in [*sorted(folder.glob("*.svg")), folder / SWEEP_FILE]:
            session.client.log_artifact(parent, str(path), "sweep")
        session.client.set_terminated(parent, "FINISHED")
    return Logged("sent", parent)


def _send_trial(
    session: Session, experiment: str, parent: str, record: SweepRecord, trial: TrialRecord
) -> None:
    tags = {TRIAL_TAG: str(trial.number), PARENT_TAG: parent, "tsbench.state": trial.state}
    if trial.reason:
        tags["tsbench.reason"] = content.clean_value(trial.reason)
    left = _found(session, experiment, TRIAL_TAG, str(trial.number), parent)
    run = left or _create(session, experiment, f"trial {trial.number}", tags)
    numbers = [
        (content.clean_name("objective", name), value, 0)
        for name, value in zip(record.objectives, trial.values, strict=bool(trial.values))
    ]
    numbers += [("history/validation_loss", loss, at) for at, loss in enumerate(trial.validation, start=1)]
    numbers += _cost("fit", trial.cost)
    params = {name: content.clean_value(value) for name, value in trial.parameters.items()}
    log_numbers(session, run, numbers, params, content.now())
    session.client.set_terminated(run, STATUS[trial.state])


def _sweep_params(record: SweepRecord) -> dict[str, str]:
    chosen: dict[str, Any] = {
        name: getattr(record, name)
        for name in ("model", "model_version", "task", "task_version", "context", "seed", "sampler",
                     "sampler_seed", "pruner", "objectives")
    }  # fmt: skip
    chosen |= record.fixed
    return {name: content.clean_value(value) for name, value in chosen.items()}


def _sweep_numbers(record: SweepRecord) -> list[tuple[str, float, int]]:
    """Numbers of the sweep; the step is the number of trials, so that a sweep that goes on adds to them."""
    step = record.counted
    numbers: dict[str, float | None] = {"trials": float(step), "front": float(len(record.front))}
    if record.best is not None:
        best = record.trial(record.best)
        numbers |= {f"best/{name}": value for name, value in zip(record.objectives, best.values, strict=True)}
        numbers["best/trial"] = float(best.number)
    numbers |= {content.clean_name("importance", name): one for name, one in record.importances.items()}
    found = [(name, value, step) for name, value in numbers.items() if value is not None]
    return found + [(name, value, step) for name, value, _ in _cost("sweep", record.cost)]


def _cost(stage: str, cost: StageCost | None) -> list[tuple[str, float, int]]:
    numbers = {} if cost is None else cost.model_dump(exclude={"detail"}) | cost.detail
    return [
        (content.clean_name("cost", stage, name), float(value), 0)
        for name, value in numbers.items()
        if value is not None
    ]


def _found(session: Session, experiment: str, tag: str, value: str, parent: str = "") -> str | None:
    wanted = f"tags.`{tag}` = '{value}'" + (f" and tags.`{PARENT_TAG}` = '{parent}'" if parent else "")
    found = session.runs([experiment], wanted)
    return found[0].info.run_id if found else None


def _create(session: Session, experiment: str, name: str, tags: dict[str, str]) -> str:
    return session.client.create_run(experiment, content.now(), tags, name).info.run_id
