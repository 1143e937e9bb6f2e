"""Stores of MLflow that die while they are written to: the Result is safe, and is sent once when they are back."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DIES = """
import os, signal
import tsbench.tracking.log as log
def dies(*arguments):
    os.killpg({group}, signal.SIGKILL)
    original(*arguments)
original, log._log_inputs = log._log_inputs, dies
"""
"""Kills the store in the middle of a run: parameters and metrics are there, inputs and artifacts are not."""


@pytest.fixture
def logged_once(trials, world):
    """Logs Results to a store that dies under it, brings it back, and logs again, twice."""

    def check(uri: str, group: int, restart, count_runs) -> None:
        root = trials.begin("results log")
        environment = world.environment(root) | {"MLFLOW_TRACKING_URI": uri}
        expected = world.facts(root)

        first = trials.warm.run(["results", "log"], environment, code=DIES.format(group=group))
        assert first.code == 0
        assert first.err.count("Warning: not logged to MLflow") == 1
        assert "Traceback" not in first.err
        assert world.difference(expected, world.facts(root)) == []

        restart()
        again = trials.warm.run(["results", "log"], environment)
        assert "4 sent, 0 already there, 0 not sent" in again.err, again.err
        assert count_runs() == {"FINISHED": 4}
        third = trials.warm.run(["results", "log"], environment)
        assert "0 sent, 4 already there, 0 not sent" in third.err, third.err
        assert count_runs() == {"FINISHED": 4}

    return check


def test_results_log_twice_changes_nothing(trials, world):
    root = trials.begin("results log")
    dumps, ends = [], []
    for _ in range(2):
        ended = trials.warm.run(["results", "log"], world.environment(root))
        assert ended.code == 0, ended.err
        ends.append(ended.err)
        with contextlib.closing(sqlite3.connect(root / "runs" / "mlflow.db")) as connection:
            dumps.append(list(connection.iterdump()))
    assert dumps[0] == dumps[1]
    assert "0 sent, 4 already there, 0 not sent" in ends[1]


@pytest.mark.slow
def test_a_server_that_is_killed_in_mid_run_and_restarted_has_each_result_once(tmp_path, logged_once):
    port, database = free_port(), tmp_path / "server.db"
    running: list[subprocess.Popen] = []

    def start() -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{database}"]
        command += ["--artifacts-destination", str(tmp_path / "artifacts")]
        with (tmp_path / "server.log").open("a") as log:
            running.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
        wait_for(port, running[-1], tmp_path / "server.log")

    def count_runs() -> dict[str, int]:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            return dict(connection.execute("select status, count(*) from runs group by status").fetchall())

    try:
        start()
        logged_once(f"http://127.0.0.1:{port}", running[0].pid, start, count_runs)
    finally:
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.slow
def test_a_postgresql_that_is_killed_in_mid_write_has_each_result_once(logged_once):
    programs = postgresql()
    with postgres_folder() as folder:
        port = free_port()
        as_owner(
            [programs / "initdb", "-D", folder / "db", "-A", "trust", "-U", "bench", "-E", "UTF8"], folder
        )
        running: list[subprocess.Popen] = []

        def start() -> None:
            for killed in running:
                killed.wait()  # PostgreSQL looks whether the process before it is gone
            command = [programs / "postgres", "-D", folder / "db", "-p", str(port), "-k", folder]
            with (folder / "log").open("a") as log:
                running.append(
                    subprocess.Popen(
                        list(map(str, command)),
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                        **owner(folder),
                    )
                )
            ready = [
                programs / "pg_isready",
                "-h",
                "127.0.0.1",
                "-p",
                str(port),
                "-U",
                "bench",
                "-d",
                "postgres",
            ]
            deadline = time.monotonic() + 60
            while subprocess.run(list(map(str, ready)), capture_output=True).returncode:
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)

        def count_runs() -> dict[str, int]:
            query = "select status, count(*) from runs group by status"
            psql = [programs / "psql", "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "-At", "postgres"]
            lines = as_owner([*psql, "-c", query], folder).split()
            return {status: int(count) for status, _, count in (line.partition("|") for line in lines)}

        try:
            start()
            logged_once(
                f"postgresql+psycopg2://bench@127.0.0.1:{port}/postgres", running[0].pid, start, count_runs
            )
        finally:
            for process in running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def postgresql() -> Path:
    """Folder of PostgreSQL's programs; skips where it, or a driver for it, is not installed."""
    if importlib.util.find_spec("psycopg2") is None:
        pytest.skip("no driver for PostgreSQL (pip install psycopg2-binary)")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL (apt-get install postgresql)")
    return found[-1].parent


@contextlib.contextmanager
def postgres_folder() -> Iterator[Path]:
    """A folder that belongs to who may run PostgreSQL: it refuses root."""
    folder = Path(tempfile.mkdtemp(prefix="tsbench-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def owner(folder: Path) -> dict[str, Any]:
    """Arguments of subprocess for running as the owner of the folder."""
    state = folder.stat()
    if state.st_uid == os.geteuid():
        return {}
    return {"user": state.st_uid, "group": pwd.getpwuid(state.st_uid).pw_gid}


def as_owner(command: list[object], folder: Path) -> str:
    """Run a command as the owner of the folder; gives what it prints."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, cwd=folder, timeout=120, **owner(folder)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    """Until somebody listens on the port."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    pytest.fail(f"no server: {log.read_text()}")
