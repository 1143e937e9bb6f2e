"""PostgreSQL with two writers at once: Results in MLflow, and trials of one study."""

import contextlib
import importlib.util
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tsbench.jobs.run import Conduct, run
from tsbench.search.record import record_of
from tsbench.search.trials import open_study
from tsbench.tracking.session import open_session

pytestmark = pytest.mark.slow

LOG = """
import sys
from pathlib import Path
from tsbench.tracking import log_results
said = []
found = log_results([Path(name) for name in sys.argv[2:]], "both", uri=sys.argv[1], say=said.append)
assert [one.state for one in found] == ["sent"] * len(found), said
"""
SEARCH = """
import pickle, sys
from tsbench.search.trials import work
work(pickle.loads(bytes.fromhex(sys.argv[1])), print)
"""


@pytest.fixture(scope="module")
def postgresql():
    """The URL of a private server on a loopback port; skips where PostgreSQL or its driver is missing."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found or importlib.util.find_spec("psycopg") is None:
        pytest.skip("no PostgreSQL (apt-get install postgresql) or no driver (pip install tsbench[scale])")
    programs, folder = found[-1].parent, Path(tempfile.mkdtemp(prefix="tsbench-postgres-"))
    owner = {}
    if os.geteuid() == 0:  # PostgreSQL refuses root
        shutil.chown(folder, "postgres", "postgres")
        owner = {"user": "postgres", "group": "postgres"}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    made = [programs / "initdb", "-D", folder / "db", "-A", "trust", "-U", "bench", "-E", "UTF8"]
    subprocess.run(made, check=True, capture_output=True, cwd=folder, **owner)
    with (folder / "log").open("a") as log:
        command = [programs / "postgres", "-D", folder / "db", "-p", str(port), "-k", folder]
        server = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, start_new_session=True, **owner
        )
    try:
        ready = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "-d", "postgres"]
        deadline = time.monotonic() + 120
        while subprocess.run(ready, capture_output=True).returncode:
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"postgresql://bench@127.0.0.1:{port}/postgres"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        shutil.rmtree(folder)


def at_once(text: str, *arguments: list[str]) -> None:
    """Run a text in one process for each list of arguments, all at once."""
    command = [sys.executable, "-c", text]
    running = [
        subprocess.Popen([*command, *one], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for one in arguments
    ]
    for process in running:
        out, _ = process.communicate(timeout=900)
        assert process.returncode == 0, out


def test_two_writers_log_every_result_once(postgresql, waves_at_hand):
    outcomes = run("last_value", "waves-12", seeds=range(6), conduct=Conduct(track=False))
    folders = [str(one.folder) for one in outcomes]
    client = open_session(postgresql).client  # makes the tables, which MLflow cannot do twice at once

    at_once(LOG, [postgresql, *folders[::2]], [postgresql, *folders[1::2]])

    experiment = client.get_experiment_by_name("both")
    logged = client.search_runs([experiment.experiment_id])
    assert sorted(one.data.params["seed"] for one in logged) == list("012345")
    assert {one.info.status for one in logged} == {"FINISHED"}


def test_two_workers_share_a_study(postgresql, planned):
    plan = planned(trials=6, sampler="random", training={"epochs": 2}, storage=postgresql)
    study = open_study(plan)

    at_once(SEARCH, [pickle.dumps(plan).hex()], [pickle.dumps(plan).hex()])

    record = record_of(study, plan, "")
    assert record.counted == 6
    assert len({json.dumps(one.parameters, sort_keys=True) for one in record.trials if one.values}) == sum(
        bool(one.values) for one in record.trials
    )
