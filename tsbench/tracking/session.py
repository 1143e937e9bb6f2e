"""A session with one MLflow store: opened once a process, with settings that never wait for minutes.

MLflow's import, its first look at a database and the making of a new one take seconds, so they wait until
there is something to log. (In a thread beside the training they slow that down by more than they save.) A
SQLite store is written by one process at a time and appears under its name only when its tables are whole:
killed at any moment, it is there or not.
"""

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tsbench import atomic
from tsbench.contracts import InputError
from tsbench.folders import ARTIFACTS, runs_folder

from .location import (
    SERVERS,
    SQLITE,
    RefusedError,
    TrackingError,
    mask,
    scheme_of,
    sqlite_path,
    why_unreachable,
    with_driver,
)

RETRY_SECONDS = 300.0
"""How long a store that failed is not asked again: a suite does not wait for it once a Result."""
LOCK_SECONDS = 30.0

# Ours unless the user says otherwise. Defaults of MLflow: 7 retries of 120 s each, data on its use sent over
# the network, and the address of the server, credentials included, printed after each run.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

Done = TypeVar("Done")

_opened: "dict[str, Session]" = {}
_failed: dict[str, tuple[float, str]] = {}
_opening = threading.Lock()


class Session:
    """An open MLflow store.

    Args:
        uri: its tracking URI.

    Attributes:
        client: the MLflow client.
    """

    def __init__(self, uri: str) -> None:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        import mlflow.store.db.utils

        for name in ("mlflow", "alembic"):
            # Their errors reach us as exceptions, and the user as one line.
            logging.getLogger(name).setLevel(logging.CRITICAL)
        # A refused login is as final the tenth time, three minutes later, as it is the first time.
        mlflow.store.db.utils.MAX_RETRY_COUNT = 1
        self.uri = uri
        self._experiments: dict[str, str] = {}
        self._local = sqlite_path(uri).absolute() if scheme_of(uri) == "sqlite" else None
        if self._local is not None:
            self._create_database(self._local)
        self.client = mlflow.MlflowClient(with_driver(uri))
        self.client.search_experiments(max_results=1)  # opens the store

    def experiment(self, name: str) -> str:
        """Identifier of the experiment of that name, created where it is missing.

        Raises:
            RefusedError: where the experiment is in MLflow's trash.
        """
        if name in self._experiments:
            return self._experiments[name]
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                created = self.client.create_experiment(name, artifact_location=self._artifacts(name))
                return self._experiments.setdefault(name, created)
            except MlflowException:
                # Another process may have been quicker; if not, the error stands.
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage != "active":
            restore = f"mlflow experiments restore -x {found.experiment_id}"
            raise RefusedError(f"experiment '{name}' was deleted; back with: {restore}")
        return self._experiments.setdefault(name, found.experiment_id)

    def experiments(self) -> list[Any]:
        """Every experiment that is not deleted."""
        return list(_pages(lambda token: self.client.search_experiments(max_results=1000, page_token=token)))

    def runs(self, experiments: list[str], filter_string: str) -> list[Any]:
        """Runs of the experiments (identifiers) that match, without deleted ones."""
        return list(
            _pages(
                lambda token: self.client.search_runs(
                    experiments, filter_string, max_results=1000, page_token=token
                )
            )
        )

    def close(self, reason: str) -> None:
        """Forget a session that failed, and do not try again for a while."""
        _opened.pop(self.uri, None)
        _failed[self.uri] = (time.monotonic(), reason)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold a SQLite store for this process: looking for a run and making it must not be divided.

        Servers have no such lock; two processes that log the same Result at the same moment make two runs.

        Raises:
            TrackingError: where another process does not let go.
        """
        if self._local is None:
            yield
            return
        with _flock(self._local):
            yield

    def _artifacts(self, experiment: str) -> str | None:
        """Where artifacts go: a server decides itself, a database has a folder beside it or in the runs."""
        if scheme_of(self.uri) in SERVERS:
            return None
        beside = self._local.parent if self._local is not None else runs_folder().absolute()
        return (beside / ARTIFACTS / experiment).as_uri()

    def _create_database(self, path: Path) -> None:
        import mlflow

        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with _flock(path):
            for leftover in path.parent.glob(f"{atomic.TEMPORARY}{path.name}-*"):
                leftover.unlink()
            if not path.exists():
                with atomic.new_file(path) as temporary:
                    mlflow.MlflowClient(SQLITE + str(temporary)).search_experiments(max_results=1)


def open_session(uri: str) -> Session:
    """The session with a store, opened on the first call.

    Raises:
        TrackingError: where the store cannot be used.
    """
    with _opening:
        if uri in _opened:
            return _opened[uri]
        since, reason = _failed.get(uri, (0.0, ""))
        if not reason or time.monotonic() - since > RETRY_SECONDS:
            reason = why_unreachable(uri)
            if reason is None:
                try:
                    _opened[uri] = Session(uri)
                    _failed.pop(uri, None)
                    return _opened[uri]
                except _failures() as error:
                    reason = _one_line(error, uri)
            _failed[uri] = (time.monotonic(), reason)
        raise TrackingError(reason)


def use(uri: str, action: Callable[[Session], Done]) -> Done:
    """Do something with a store. After it has failed it is not asked again for a while.

    Raises:
        RefusedError: where the store works but does not take this.
        TrackingError: where the store cannot be used.
    """
    session = open_session(uri)
    try:
        return action(session)
    except _failures() as error:
        reason = _one_line(error, uri)
        # Not chained: the original message may hold credentials.
        if isinstance(error, InputError) or getattr(error, "error_code", "") == "INVALID_PARAMETER_VALUE":
            raise RefusedError(reason) from None
        session.close(reason)
        raise TrackingError(reason) from None


def _pages(page: Callable[[str | None], Any]) -> Iterator[Any]:
    token = None
    while True:
        found = page(token)
        yield from found
        token = found.token
        if not token:
            return


def _failures() -> tuple[type[Exception], ...]:
    """What can go wrong with a store; anything else is a mistake of ours."""
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    # A database whose driver is not installed cannot be imported.
    return (MlflowException, sqlalchemy.exc.SQLAlchemyError, OSError, InputError, ImportError)


def _one_line(error: Exception, uri: str) -> str:
    lines = mask(str(error), uri).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]


@contextlib.contextmanager
def _flock(database: Path) -> Iterator[None]:
    # The kernel frees this lock when its owner dies; taking it once a logged Result costs microseconds.
    path = database.with_name(f".{database.name}.lock")
    with path.open("a") as file:
        give_up = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise TrackingError(f"another process has {database} for {LOCK_SECONDS:g} s") from None
                time.sleep(0.01)
        yield
