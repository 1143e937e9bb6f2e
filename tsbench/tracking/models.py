"""Puts a fitted model into MLflow's model registry, where somebody asks for it: chosen on validation."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tsbench.contracts import InputError, Result
from tsbench.folders import runs_folder
from tsbench.jobs.fitted import WEIGHTS, read_fit

from . import content
from .backlog import SINGLE, results_below
from .ledger import Ledger
from .location import TrackingError, tracking_uri
from .log import MODEL, Entry, log_model, send
from .session import Session, use

ALIAS = "best-on-validation"


@dataclass(frozen=True)
class Registered:
    """A model in the registry.

    Attributes:
        name: in the registry.
        version: of that name.
        folder: of the Result whose fit was chosen.
        seed: of that fit.
        validation_loss: by which it was chosen.
        fits: how many it was chosen from.
    """

    name: str
    version: int
    folder: Path
    seed: int
    validation_loss: float
    fits: int


@dataclass(frozen=True)
class _Candidate:
    folder: Path
    result: Result
    loss: float


def register(
    model: str, task: str, name: str | None = None, uri: str | None = None, runs: Path | None = None
) -> Registered:
    """Register the fit of a model on a task that has the lowest validation loss; test scores choose nothing.

    Its Result is logged first where MLflow does not have it. The same fit again is the same version.

    Args:
        model: name of the model.
        task: name of the task.
        name: in the registry; by default MODEL-on-TASK.
        uri: tracking URI; by default `tracking_uri()`.
        runs: the runs folder.

    Raises:
        InputError: where there is no fit with weights and a validation loss, the fits were trained with
            different losses, or the store cannot be used.
    """
    root = runs or runs_folder()
    fits = _candidates(model, task, root)
    best = min(fits, key=lambda one: (one.loss, str(one.folder)))
    chosen, known = tracking_uri(uri), name or f"{model}-on-{task}".replace("/", "-").replace(":", "-")
    try:
        run = use(chosen, partial(_run_of, best.result))
        if run is None:
            (logged,) = send(
                [Entry(best.folder, best.result, SINGLE)], chosen, Ledger(root), lambda text: None
            )
            if logged.state == "failed":
                raise TrackingError(logged.reason)
        version = use(chosen, partial(_register, known, best))
    except TrackingError as error:
        raise InputError(f"Nothing was registered: {error}") from error
    return Registered(known, version, best.folder, best.result.seed, best.loss, len(fits))


def _candidates(model: str, task: str, root: Path) -> list[_Candidate]:
    found = []
    for folder, result in results_below(root):
        if (result.model.name, result.task.name) != (model, task) or result.parity:
            continue
        fit = read_fit(folder.parent)
        loss = fit.get("validation_loss")
        # A Result of given weights lies beside no fit of its own.
        if isinstance(loss, float) and (folder.parent / WEIGHTS).is_file():
            found.append(_Candidate(folder, result, loss))
    if not found:
        raise InputError(
            f"There is no fit of {model} on {task} with weights and a validation loss below {root}. "
            f"First: tsbench run {model} {task}"
        )
    losses = {str(one.result.model.training.get("loss")) for one in found}
    if len(losses) > 1:
        raise InputError(
            f"Fits of {model} on {task} were trained with {', '.join(sorted(losses))}: their validation "
            "losses cannot be compared; name one runs folder of comparable fits with --runs"
        )
    return found


def _run_of(result: Result, session: Session) -> Any:
    """The finished run that holds a Result, in whatever experiment."""
    experiments = [one.experiment_id for one in session.experiments()]
    wanted = f"tags.`{content.RESULT_TAG}` = '{content.result_hash(result)}'"
    runs = session.runs(experiments, f"{wanted} and attributes.status = 'FINISHED'")
    return runs[0] if runs else None


def _register(name: str, best: _Candidate, session: Session) -> int:
    from mlflow.exceptions import MlflowException

    client = session.client
    with session.alone():
        run = _run_of(best.result, session)
        if not client.list_artifacts(run.info.run_id, MODEL):
            # Logged before models were artifacts.
            log_model(session, run.info.run_id, best.folder, best.result)
        try:
            client.create_registered_model(name, description="Chosen on validation by tsbench.")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        digest = content.result_hash(best.result)
        versions = [
            one
            for one in client.search_model_versions(f"name = '{name}'")
            if one.tags.get(content.RESULT_TAG) == digest
        ]
        if versions:
            version = versions[0].version
        else:
            tags = content.tags(best.result) | {"tsbench.validation_loss": repr(best.loss)}
            source = f"{run.info.artifact_uri}/{MODEL}"
            version = client.create_model_version(name, source, run.info.run_id, tags=tags).version
        client.set_registered_model_alias(name, ALIAS, version)
    return int(version)
