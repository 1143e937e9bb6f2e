"""Where a study is kept: a SQLite file, a journal file or a database server, shared by processes."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tsbench import atomic
from tsbench.contracts import InputError
from tsbench.extras import require
from tsbench.tracking.location import SQLITE, mask, scheme_of, sqlite_path, with_driver

JOURNAL = "journal"
DATABASES = ("postgresql", "mysql")
BUSY_SECONDS = 120
"""How long a process waits for another one that is writing to a SQLite file."""


def open_storage(url: str) -> Any:
    """The Optuna storage of a URL, made where it is missing.

    Args:
        url: `sqlite:///FILE`, `journal:///FILE`, or `postgresql://…` or `mysql://…` of a server.

    Raises:
        InputError: for another kind of URL, or a storage that cannot be opened; without credentials.
    """
    kind = scheme_of(url)
    if kind == "sqlite":
        if not url.startswith(SQLITE) or not sqlite_path(url).name:
            raise InputError(f"--storage {mask(url)}: a SQLite storage is written as {SQLITE}FILE")
        return _database(url, sqlite_path(url))
    if kind == JOURNAL:
        return _journal(url)
    if kind in DATABASES:
        if url.startswith("postgresql://") and find_spec("psycopg2") is None:
            require("psycopg", "scale", "a study on PostgreSQL")
        return _database(with_driver(url), None)
    known = f"{SQLITE}FILE, {JOURNAL}:///FILE, " + ", ".join(f"{name}://…" for name in DATABASES)
    raise InputError(f"--storage {mask(url)}: there is no storage of that kind; there are {known}")


def _database(url: str, file: Path | None) -> Any:
    import optuna
    import sqlalchemy.exc

    if file is not None:
        atomic.make_folder(file.parent)
    arguments: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}} if file is not None else {}
    # A connection that a server closed overnight is noticed before it is used.
    arguments |= {} if file is not None else {"pool_pre_ping": True}
    try:
        return optuna.storages.RDBStorage(url, engine_kwargs=arguments)
    except (sqlalchemy.exc.SQLAlchemyError, RuntimeError, OSError, ImportError) as error:
        reason = mask(next(iter(str(error).strip().splitlines()), type(error).__name__), url)[:300]
        # Not chained: the original message may hold credentials.
        raise InputError(f"The storage {mask(url)} cannot be opened: {reason}") from None


def _journal(url: str) -> Any:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    file = Path(url.partition(":")[2].removeprefix("//"))
    if not file.name:
        raise InputError(f"--storage {mask(url)}: a journal is written as {JOURNAL}:///FILE")
    atomic.make_folder(file.parent)
    try:
        return optuna.storages.JournalStorage(JournalFileBackend(str(file)))
    except (OSError, ValueError) as error:
        raise InputError(f"The journal {file} cannot be opened: {str(error)[:300]}") from error
