"""Where Results are logged: finds the tracking URI, asks whether somebody answers there, hides its secrets.

Everything here is quick and imports no MLflow: an unreachable server does not cost that import on top.
"""

import base64
import os
import re
import sqlite3
import threading
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from tsbench.contracts import InputError
from tsbench.folders import runs_folder

PROBE_SECONDS = 3.0
DATABASE = "mlflow.db"
SERVERS = ("http", "https")
DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
SQLITE = "sqlite:///"
# Shorter secrets are hidden inside a URI only: replacing them in any text would garble it.
SHORTEST_SECRET = 4

CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


class TrackingError(Exception):
    """Nothing can be logged: says why, without credentials. A warning for the user, never a failure."""


class RefusedError(TrackingError):
    """The store works but does not take this one thing; others may still be logged."""


def tracking_uri(uri: str | None = None) -> str:
    """The tracking URI: the argument, else MLFLOW_TRACKING_URI, else a SQLite file in the runs folder.

    Raises:
        InputError: for a URI that MLflow could not log to.
    """
    chosen = uri or os.environ.get("MLFLOW_TRACKING_URI") or SQLITE + str(runs_folder().absolute() / DATABASE)
    scheme = scheme_of(chosen)
    if scheme == "sqlite":
        if not chosen.startswith(SQLITE) or not str(sqlite_path(chosen).name):
            raise InputError(
                f"Tracking URI {mask(chosen)}: a SQLite store is written as {SQLITE}FOLDER/{DATABASE}"
            )
        return chosen
    try:
        parts = urlsplit(chosen)
        named = parts.hostname and parts.port != 0
    except ValueError as error:
        raise InputError(f"Tracking URI {mask(chosen)} is not a URI: {mask(str(error), chosen)}") from error
    if scheme not in SERVERS and scheme not in DATABASE_PORTS:
        known = ", ".join(("sqlite", *SERVERS, *DATABASE_PORTS))
        raise InputError(f"Tracking URI {mask(chosen)}: there is no store of that kind; there are {known}")
    if not named:
        raise InputError(f"Tracking URI {mask(chosen)} names no host")
    return chosen


def scheme_of(uri: str) -> str:
    """Kind of store: `sqlite`, `http`, `postgresql` …, without the name of a driver."""
    return uri.split(":", 1)[0].split("+", 1)[0].lower()


def with_driver(uri: str) -> str:
    """A URI of PostgreSQL that names no driver gets `psycopg` where SQLAlchemy's own choice is missing."""
    scheme, _, rest = uri.partition("://")
    if scheme != "postgresql" or find_spec("psycopg2") is not None or find_spec("psycopg") is None:
        return uri
    return f"postgresql+psycopg://{rest}"


def sqlite_path(uri: str) -> Path:
    """File of a SQLite store."""
    return Path(uri.removeprefix(SQLITE).split("?", 1)[0])


def mask(text: str, uri: str = "") -> str:
    """Text without the credentials of any URI in it, nor those of `uri` or in MLflow's variables alone."""
    for secret in _secrets(uri):
        text = text.replace(secret, "***")
    text = re.sub(r"(?<=://)\S*@", "***@", text)
    return re.sub(r"(://[^\s?]*)\?\S*", r"\1?***", text)


def why_unreachable(uri: str) -> str | None:
    """Why the store cannot be used, or None where it can; takes at most `PROBE_SECONDS`.

    The question is asked in a thread, since no timeout covers the resolution of a host's name.
    """
    if scheme_of(uri) == "sqlite":
        return _sqlite_problem(sqlite_path(uri))
    answers: list[str | None] = []
    thread = threading.Thread(target=lambda: answers.append(_server_problem(uri)), daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answers[0] if answers else f"no answer within {PROBE_SECONDS:g} s"


def _secrets(uri: str) -> list[str]:
    """Every credential, in the forms in which a server or a library may repeat it; the longest first."""
    userinfo = uri.rpartition("@")[0].rpartition("://")[2]
    password = userinfo.partition(":")[2]
    query = uri.partition("?")[2]
    name, login, token = (os.environ.get(name, "") for name in CREDENTIALS)
    found = {userinfo, password, query, login, token, f"{name}:{login}" if login else ""}
    found |= {pair.partition("=")[2] for pair in re.split("[&;#]", query)}
    found |= {unquote(secret) for secret in found - {userinfo}}
    found = {secret for secret in found if len(secret) >= SHORTEST_SECRET}
    found |= {quote(secret, safe=safe) for secret in found for safe in ("", "/")}
    # As in the header of a request; without its end, where the padding depends on what follows.
    sent = found | {unquote(userinfo)} if userinfo else found
    found |= {base64.b64encode(secret.encode()).decode().rstrip("=") for secret in sent}
    return sorted(found, key=len, reverse=True)


def _sqlite_problem(path: Path) -> str | None:
    if not path.exists():
        return None
    # MLflow repeats an attempt on a damaged file for minutes; SQLite itself says at once what is wrong.
    try:
        connection = sqlite3.connect(path)
        try:
            connection.execute("PRAGMA schema_version").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        return str(error)
    return None


def _server_problem(uri: str) -> str | None:
    import requests

    scheme = scheme_of(uri)
    try:
        if scheme in DATABASE_PORTS:
            _connect(uri, DATABASE_PORTS[scheme])
            return None
        timeout = PROBE_SECONDS * 0.9
        # Whatever it answers, somebody is there; the session says what else is wrong. Proxies are honoured.
        health = uri.rstrip("/") + "/health"
        with requests.get(health, timeout=timeout, stream=True, allow_redirects=False):
            return None
    except requests.exceptions.SSLError:
        return None
    except requests.exceptions.Timeout:
        return f"no answer within {PROBE_SECONDS:g} s"
    except requests.exceptions.ConnectionError as error:
        return _reason(error)
    except OSError as error:
        return mask(str(error), uri)


def _connect(uri: str, default_port: int) -> None:
    import socket

    parts = urlsplit(uri)
    with socket.create_connection((parts.hostname, parts.port or default_port), timeout=PROBE_SECONDS * 0.9):
        pass


def _reason(error: Exception) -> str:
    """The operating system's words, at the bottom of what requests and urllib3 wrap around them."""
    text = str(error)
    for known in ("Connection refused", "Name or service not known", "Temporary failure in name resolution",
                  "Network is unreachable", "No route to host"):  # fmt: skip
        if known in text:
            return known.lower()
    return "the connection failed"
