"""Sends Results and leaderboards to MLflow: one run each, once, however often it is asked.

A run carries the hash of what it records as a tag. A finished run with that tag is left alone; one that a
killed process left unfinished is taken up and completed, since writing the same values again changes nothing.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tsbench import registry
from tsbench.contracts import Result, canonical_hash
from tsbench.contracts.result import EXAMPLES_FILE, RESULT_FILE, SCORES_FILE, UNITS_FILE
from tsbench.evaluation.record import read_result, read_table
from tsbench.folders import runs_folder
from tsbench.jobs.fitted import WEIGHTS, read_fit

from . import content
from .ledger import Ledger
from .location import RefusedError, TrackingError, mask, tracking_uri
from .session import Session, use

if TYPE_CHECKING:
    import pandas as pd

PARAMS_BATCH, METRICS_BATCH = 100, 900
"""MLflow takes 100 parameters and 1000 values in all with one request."""
PLOT, MODEL = "forecast.svg", "model"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Logged:
    """What became of something that was to be logged.

    Attributes:
        state: `sent` now, `already` there, or `failed`.
        run_id: of the MLflow run, where it is known.
        reason: why it failed, without credentials.
    """

    state: Literal["sent", "already", "failed"]
    run_id: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Entry:
    """A Result that belongs to an experiment."""

    folder: Path
    result: Result
    experiment: str

    @property
    def hash(self) -> str:
        """Content hash of the Result."""
        return content.result_hash(self.result)


def log_result(
    folder: Path, experiment: str = "single", uri: str | None = None, say: Say = lambda text: None
) -> Logged:
    """Log one Result, see `log_results`."""
    return log_results([folder], experiment, uri, say)[0]


def log_results(
    folders: Iterable[Path],
    experiment: str = "single",
    uri: str | None = None,
    say: Say = lambda text: None,
    runs: Path | None = None,
) -> list[Logged]:
    """Log Results to one experiment. A store that cannot be reached is one warning, and costs at most 10 s.

    Args:
        folders: Result folders; a training history is read from the run folder around each.
        experiment: a suite's name, or `single`.
        uri: tracking URI; by default `tracking_uri()`.
        say: takes the warning.
        runs: the runs folder, which keeps the ledger.

    Returns:
        What became of each, in order. Those that the ledger knows as sent cost no import of MLflow.

    Raises:
        InputError: for a folder that is no Result, or a URI that MLflow could not log to.
    """
    chosen, ledger = tracking_uri(uri), Ledger(runs or runs_folder())
    entries = [Entry(folder, read_result(folder), experiment) for folder in folders]
    waiting = [entry for entry in entries if not ledger.has(entry.hash, experiment, chosen)]
    done = dict(zip(map(id, waiting), send(waiting, chosen, ledger, say), strict=True))
    return [done.get(id(entry), Logged("already")) for entry in entries]


def send(entries: list[Entry], uri: str, ledger: Ledger, say: Say) -> list[Logged]:
    """Send entries that the store may be missing; after the store has failed nothing more is tried."""
    outcomes: list[Logged] = []
    for entry in entries:
        ledger.belongs(entry.hash, entry.experiment)
    for entry in entries:
        try:
            logged = use(uri, partial(_send, entry))
        except RefusedError as error:
            say(f"Warning: {entry.folder} was not logged to MLflow: {error}")
            outcomes.append(Logged("failed", reason=str(error)))
        except TrackingError as error:
            say(warning(uri, error))
            return outcomes + [Logged("failed", reason=str(error))] * (len(entries) - len(outcomes))
        else:
            ledger.sent(entry.hash, entry.experiment, uri)
            outcomes.append(logged)
    return outcomes


def log_leaderboard(
    suite: str, table: "pd.DataFrame", site: Path, uri: str | None = None, say: Say = lambda text: None
) -> Logged:
    """Log a leaderboard: a run in experiment `leaderboard/<suite>` with the table and the page as artifacts.

    Args:
        suite: the suite's name.
        table: the standings; logged as an MLflow table and as CSV.
        site: the page, or the folder of pages.
        uri: tracking URI; by default `tracking_uri()`.
        say: takes the warning where the store cannot be used.

    Raises:
        InputError: for a URI that MLflow could not log to.
    """
    return attempt(uri, partial(_send_leaderboard, suite, table, site), say)


def attempt(uri: str | None, action: Callable[[Session], Logged], say: Say, *later: str) -> Logged:
    """Do something with a store; one that cannot be used is one warning.

    Args:
        uri: tracking URI; None: `tracking_uri()`.
        action: logs something.
        say: takes the warning.
        later: how to go on, where it is not `results log`.

    Raises:
        InputError: for a URI that MLflow could not log to.
    """
    chosen = tracking_uri(uri)
    try:
        return use(chosen, action)
    except TrackingError as error:
        say(warning(chosen, error, *later))
        return Logged("failed", reason=str(error))


def _send(entry: Entry, session: Session) -> Logged:
    plot, result = _plot(entry), entry.result
    epochs = read_fit(entry.folder.parent).get("history", [])
    end = content.moment(result)

    def fill(run_id: str) -> None:
        values = [(name, value, 0) for name, value in content.metrics(result).items()]
        log_numbers(session, run_id, [*values, *content.history(epochs)], content.params(result), end)
        _log_inputs(session, run_id, result)
        for name in (RESULT_FILE, SCORES_FILE, UNITS_FILE, EXAMPLES_FILE):
            if (entry.folder / name).is_file():
                session.client.log_artifact(run_id, str(entry.folder / name), "result")
        log_model(session, run_id, entry.folder, result)
        if plot:
            session.client.log_text(run_id, plot, PLOT)

    span = (end - content.duration(result), end)
    return _once(session, entry.experiment, content.run_name(result), content.tags(result), span, fill)


def log_model(session: Session, run_id: str, folder: Path, result: Result) -> None:
    """The weights of a fit as safetensors and the model's card, below `model`; what there is of them."""
    name, weights = result.model.name, folder.parent / WEIGHTS
    if weights.is_file():
        session.client.log_artifact(run_id, str(weights), MODEL)
    if name in registry.models():
        session.client.log_artifact(run_id, str(registry.model_folder(name).path / "card.yaml"), MODEL)


def _plot(entry: Entry) -> str | None:
    if not (entry.folder / EXAMPLES_FILE).is_file():
        return None
    examples = read_table(entry.folder, EXAMPLES_FILE)
    if examples.empty:
        return None
    from tsbench.leaderboard.charts import forecast_chart, response_images
    from tsbench.leaderboard.words import FEATURES

    name = entry.result.model.name
    task = registry.tasks().get(entry.result.task.name)
    if task is None or task.view in ("sequence", "grid"):
        return forecast_chart(examples, entries=(name,))
    if task.view in ("field", "volume"):
        from tsbench.leaderboard.charts.maps import map_images

        return map_images(examples.assign(entry=name), (name,), value_title="value")
    if task.view not in FEATURES:
        return None
    return response_images(
        examples.assign(entry=name), (name,), variable_title=FEATURES[task.view], value_title="magnitude"
    )


def _once(
    session: Session,
    experiment: str,
    name: str,
    tags: dict[str, str],
    span: tuple[int, int],
    fill: Callable[[str], None],
) -> Logged:
    """Make the run with that hash among its tags and fill it, unless it is there."""
    with session.alone():
        identifier = session.experiment(experiment)
        filter_string = f"tags.`{content.RESULT_TAG}` = '{tags[content.RESULT_TAG]}'"
        found = session.runs([identifier], filter_string)
        finished = [run.info.run_id for run in found if run.info.status == "FINISHED"]
        if finished:
            return Logged("already", finished[0])
        run = found[0] if found else session.client.create_run(identifier, span[0], tags, name)
        fill(run.info.run_id)
        session.client.set_terminated(run.info.run_id, "FINISHED", span[1])
    return Logged("sent", run.info.run_id)


def log_numbers(
    session: Session, run_id: str, values: list[tuple[str, float, int]], params: dict[str, str], moment: int
) -> None:
    """Log metrics (name, value, step) and parameters in as few requests as MLflow's limits allow."""
    from mlflow.entities import Metric, Param

    metrics = [Metric(name, value, moment, step) for name, value, step in values]
    pairs = [Param(name, value) for name, value in params.items()]
    requests = max(-(-len(metrics) // METRICS_BATCH), -(-len(pairs) // PARAMS_BATCH))
    for number in range(requests):
        session.client.log_batch(
            run_id,
            metrics=_part(metrics, number, METRICS_BATCH),
            params=_part(pairs, number, PARAMS_BATCH),
        )


def _part(items: list[Any], number: int, size: int) -> list[Any]:
    return items[number * size : (number + 1) * size]


def _log_inputs(session: Session, run_id: str, result: Result) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    datasets = [
        DatasetInput(
            Dataset(one["name"], one["digest"], source_type="tsbench", source=one["source"]),
            [InputTag("mlflow.data.context", one["use"])],
        )
        for one in content.inputs(result)
    ]
    if datasets:
        session.client.log_inputs(run_id, datasets=datasets)


def _send_leaderboard(suite: str, table: "pd.DataFrame", site: Path, session: Session) -> Logged:
    pages = sorted(path for path in site.rglob("*") if path.is_file()) if site.is_dir() else [site]
    csv = table.to_csv(index=False)
    parts = [csv, *(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in pages)]
    now = content.now()

    def fill(run_id: str) -> None:
        log_numbers(session, run_id, [("entries", float(len(table)), 0)], {"suite": suite}, now)
        session.client.log_text(run_id, csv, "standings.csv")
        session.client.log_table(run_id, table, "standings.json")
        if site.is_dir():
            session.client.log_artifacts(run_id, str(site), "site")
        else:
            session.client.log_artifact(run_id, str(site), "site")

    tags = {content.RESULT_TAG: canonical_hash(parts)}
    return _once(session, f"leaderboard/{suite}", f"leaderboard {suite}", tags, (now, now), fill)


def warning(uri: str, reason: Exception, later: str = "send them later with: tsbench results log") -> str:
    """The one line where a store cannot be used, and how to go on."""
    return f"Warning: not logged to MLflow at {mask(uri)}: {reason}. Results are safe on disk; {later}"
