"""Finds the Results of a runs folder that an MLflow store is missing, and sends them."""

from collections.abc import Callable
from pathlib import Path

from tsbench.contracts import Result, Suite
from tsbench.evaluation.record import find_results, read_result
from tsbench.folders import ARTIFACTS

from .content import RESULT_TAG, result_hash
from .ledger import Ledger
from .location import TrackingError, tracking_uri
from .log import Entry, Logged, send
from .session import Session, use

SINGLE = "single"


def log_missing(
    runs: Path,
    uri: str | None = None,
    suite: Suite | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> list[tuple[Entry, Logged]]:
    """Send every Result below `runs` that MLflow itself does not have.

    A Result goes to the experiments that the ledger names. One that the ledger does not know, and that is in
    no experiment, goes to `single`, or to the suite's experiment where a suite is given.

    Args:
        runs: the runs folder.
        uri: tracking URI; by default `tracking_uri()`.
        suite: send only what belongs to this suite.
        say: takes the warning where the store cannot be used.

    Raises:
        InputError: for a folder that is no Result, or a URI that MLflow could not log to.
    """
    chosen, ledger = tracking_uri(uri), Ledger(runs)
    results = results_below(runs)
    if not results:
        return []
    try:
        there = use(chosen, _logged)
    except TrackingError:
        there = {}  # `send` meets the same obstacle, and reports it once for all
    entries = [
        Entry(folder, result, experiment)
        for folder, result in results
        for experiment in _experiments(result, ledger, there, suite)
    ]
    for entry in entries:
        if entry.experiment in there.get(entry.hash, ()):
            ledger.sent(entry.hash, entry.experiment, chosen)
    missing = [entry for entry in entries if entry.experiment not in there.get(entry.hash, ())]
    done = dict(zip(map(id, missing), send(missing, chosen, ledger, say), strict=True))
    return [(entry, done.get(id(entry), Logged("already"))) for entry in entries]


def results_below(runs: Path) -> list[tuple[Path, Result]]:
    """Result folders below `runs` with their records, without the copies that MLflow keeps as artifacts."""
    if not runs.is_dir():
        return []
    folders = [folder for folder in find_results(runs) if ARTIFACTS not in folder.relative_to(runs).parts]
    return [(folder, read_result(folder)) for folder in folders]


def _experiments(
    result: Result, ledger: Ledger, there: dict[str, set[str]], suite: Suite | None
) -> list[str]:
    digest = result_hash(result)
    known = ledger.experiments(digest) or sorted(there.get(digest, ()))
    if suite is None:
        return known or [SINGLE]
    member = result.task.name in suite.tasks and result.model.name in {entry.model for entry in suite.models}
    return [suite.name] if suite.name in known or (not known and member) else []


def _logged(session: Session) -> dict[str, set[str]]:
    """Hash of each Result that is wholly in MLflow → names of its experiments."""
    names = {one.experiment_id: one.name for one in session.experiments()}
    found: dict[str, set[str]] = {}
    for run in session.runs(list(names), "attributes.status = 'FINISHED'"):
        if digest := run.data.tags.get(RESULT_TAG):
            found.setdefault(digest, set()).add(names[run.info.experiment_id])
    return found
