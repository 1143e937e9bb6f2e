"""The small world in which commands are killed: its data, models and suite, and what must hold after a kill.

Data set, task and suite come from a package that is found by its entry points, like any third party's: made
data of 400 hours (`faults_waves`, written whole), a set in parts (`faults_pieces`), one task and one suite.
"""

import hashlib
import json
import shutil
import sqlite3
import textwrap
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults import Ended, Kill, Warm

from tsbench.contracts import InputError
from tsbench.data.store import check_store
from tsbench.evaluation.record import find_results, read_result, read_table
from tsbench.jobs.fitted import WEIGHTS, read_fit
from tsbench.tracking.content import RESULT_TAG
from tsbench.training.weights import read_tensors

OPTIONS = ["--context", "24", "--train", "epochs=2", "--train", "patience=0", "--threads", "1"]
COMMANDS = {
    "data get": ["data", "get", "faults_waves"],
    "data get, in parts": ["data", "get", "faults_pieces", "--processes", "1"],
    "data get --fresh": ["data", "get", "faults_waves", "--fresh"],
    "fit": ["fit", "dlinear", "faults-12", *OPTIONS],
    "eval": ["eval", "dlinear", "faults-12", "--no-track", *OPTIONS],
    "run": ["run", "dlinear", "faults-12", "--no-track", *OPTIONS],
    "run --fresh": ["run", "dlinear", "faults-12", "--no-track", "--fresh", "--save-forecasts", *OPTIONS],
    "run SUITE": ["run", "faults", "--no-track"],
    "board build, first": ["board", "build", "faults", "--no-track"],
    "board build": ["board", "build", "faults", "--no-track"],
    "results log": ["results", "log"],
}
BEFORE = {
    "data get --fresh": "data get",
    "fit": "data get",
    "eval": "fit",
    "run": "data get",
    "run --fresh": "run",
    "run SUITE": "data get",
    "board build, first": "run SUITE",
    "board build": "board build, first",
    "results log": "run SUITE",
}
"""Command → the command that has been there before it."""

CARD = """
name: {name}
title: Made for killing
summary: Sines with noise.
field: none
origin: generated
source: this test
licence: CC0-1.0
citation: none
variants:
  {name}: {{title: Sines, time: {{step: PT1H}}}}
"""
TASKS = """
tasks:
  - name: faults-12
    version: 1
    dataset: faults_waves
    horizon: 12
    period: 24
    max_context: 48
    split: {kind: ratio, train: 0.6, validation: 0.2, test: 0.2}
    normalisation: zscore
    space: normalised
    conditions:
      robustness: [{disturbance: {name: awgn, parameter: snr_db, levels: [10]}}]
      generalisation: {not_applicable: there is one place}
    metrics: [mse, mae]
    primary: mse
"""
SUITE = """
name: faults
title: Faults
summary: For killing.
tasks: [faults-12]
models:
  - {model: seasonal_naive}
  - {model: dlinear, context: 24, training: {epochs: 1, patience: 0}}
seeds: [0, 1]
baseline: seasonal_naive
"""
WAVES = """
    import numpy as np
    from tsbench.data.tables import Column, series_dataset


    def build(request):
        random, hours = np.random.default_rng(request.seed), np.arange(400)
        time = np.datetime64("2024-01-01T00", "ns") + hours * np.timedelta64(1, "h")
        columns = {
            Column(f"wave{one}", "1", "a wave"): 10 + np.sin(2 * np.pi * hours / 24 + one)
            + 0.3 * random.standard_normal(400)
            for one in range(2)
        }
        return series_dataset(time, "PT1H", columns)
"""
PIECES = """
    import numpy as np
    import xarray as xr
    from tsbench.data.adapter import Part


    def parts(request):
        return [Part(name, 4) for name in "abcd"]


    def build_part(request, part):
        values = np.random.default_rng([request.seed, ord(part.name)]).standard_normal((part.rows, 3))
        return xr.Dataset({"value": (("sample", "channel"), values, {"units": "1"})}, {"channel": np.arange(3)})
"""
VOLATILE = ("cost", "provenance")


def write_package(folder: Path) -> None:
    """Write the package with data, task and suite; `folder` belongs on PYTHONPATH."""
    files = {
        "faults_waves/card.yaml": CARD.format(name="faults_waves"),
        "faults_waves/tasks.yaml": TASKS,
        "faults_waves/adapter.py": WAVES,
        "faults_pieces/card.yaml": CARD.format(name="faults_pieces"),
        "faults_pieces/adapter.py": PIECES,
        "faults_suite/suite.yaml": SUITE,
        "faults-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: faults\nVersion: 1\n",
        "faults-1.dist-info/entry_points.txt": """
            [tsbench.datasets]
            faults_waves = faults_waves
            faults_pieces = faults_pieces
            [tsbench.leaderboards]
            faults = faults_suite
        """,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        if name.endswith((".yaml", ".py")):
            (path.parent / "__init__.py").touch()


def environment(root: Path) -> dict[str, str]:
    """Where a command of the world below `root` reads and writes."""
    return {
        "TSBENCH_DATA": str(root / "data"),
        "TSBENCH_RUNS": str(root / "runs"),
        "TSBENCH_DATA_SOURCE": "",
        "MLFLOW_TRACKING_URI": "",
        "OMP_NUM_THREADS": "1",
        "PWD": str(root),
    }


def facts(root: Path) -> dict[str, Any]:
    """All that is finished below `root`, without what differs from run to run; reading it checks it.

    Raises:
        InputError: where something is half-written that a reader would take for whole.
        ValueError: likewise.
    """
    found: dict[str, Any] = {}
    for document in sorted((root / "data").glob("[!.]*/[!.]*.zarr/zarr.json")):
        check_store(document.parent)
        found[_plain(document.parent, root)] = _digest_of(document.parent)
    runs = root / "runs"
    for folder in find_results(runs) if runs.is_dir() else []:
        record = read_result(folder).model_dump(mode="json")
        tables = {name: _digest(folder / name) for name in ("scores.parquet", "units.parquet")}
        for name in tables:
            read_table(folder, name)
        found[_plain(folder, root)] = {
            key: one for key, one in record.items() if key not in VOLATILE
        } | tables
    for record in sorted(runs.glob("jobs/*/*/*/fit.json")):
        fit = read_fit(record.parent)
        read_tensors(record.parent / WEIGHTS)
        found[_plain(record, root)] = [
            fit["weights"],
            fit["validation_loss"],
            _digest(record.parent / WEIGHTS),
        ]
    for forecast in sorted(runs.glob("jobs/*/*/*/forecast.zarr")):
        found[_plain(forecast, root)] = _digest_of(forecast)
    if (runs / "board").exists():
        found["board"] = _digest_of(runs / "board")
    if (runs / "mlflow.db").exists():
        found["mlflow"] = logged(runs / "mlflow.db")
    return json.loads(json.dumps(found))


def logged(database: Path) -> list[Any]:
    """What a SQLite store of MLflow has finished: experiment, name, and how much of it there is."""
    with closing(sqlite3.connect(database)) as connection:
        if (said := connection.execute("pragma integrity_check").fetchone()[0]) != "ok":
            raise ValueError(f"{database}: {said}")
        return connection.execute(
            "select e.name, r.name, (select count(*) from metrics m where m.run_uuid = r.run_uuid), "
            "(select count(*) from params p where p.run_uuid = r.run_uuid), "
            "(select count(*) from tags t where t.run_uuid = r.run_uuid and t.key = ?) from runs r "
            "join experiments e using (experiment_id) where r.status = 'FINISHED' order by 1, 2",
            [RESULT_TAG],
        ).fetchall()


def unfinished_runs(root: Path) -> int:
    """Number of MLflow runs that nobody finished."""
    database = root / "runs" / "mlflow.db"
    if not database.exists():
        return 0
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("select count(*) from runs where status != 'FINISHED'").fetchone()[0]


def litter(root: Path) -> list[str]:
    """Locks, drafts and files under temporary names below `root`."""
    marks = (".tmp-", ".lock", ".draft", ".partial")
    found = [
        path for path in root.rglob("*") if path.name == "lock" or any(mark in path.name for mark in marks)
    ]
    # MLflow's lock is the kernel's, and its file stays. A draft whose arrays have become the store holds
    # nothing but records, until the next store is built.
    return sorted(
        _plain(path, root)
        for path in found
        if path.name != ".mlflow.db.lock"
        and not (path.name.startswith(".draft") and not (path / "store.zarr").exists())
    )


def _plain(path: Path, root: Path) -> str:
    """A path without the key of its run folder: other people may change code while a test runs."""
    parts = path.relative_to(root).parts
    return "/".join(part[: part.rindex("-")] if part.startswith("seed-") else part for part in parts)


def _digest_of(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _digest(path) for path in files}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def difference(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Names of facts that differ, or that only one side has."""
    names = sorted(expected.keys() | found.keys())
    return [
        f"{name}: {json.dumps(found.get(name))[:200]}"
        for name in names
        if found.get(name) != expected.get(name)
    ]


def half_written(found: dict[str, Any], before: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Names of facts that are neither those of before nor those of an undisturbed end."""
    # Runs of MLflow appear one by one.
    return [
        name
        for name, fact in found.items()
        if name != "mlflow" and fact not in (before.get(name), expected.get(name))
    ]


class Trials:
    """Kills commands and looks at what is left.

    Args:
        warm: the process that forks commands.
        folder: scratch folder.
    """

    def __init__(self, warm: Warm, folder: Path) -> None:
        self.warm, self.folder, self.count = warm, folder, 0
        self._whole: dict[str, tuple[dict[str, Any], list[str], float]] = {}

    def begin(self, command: str) -> Path:
        """A folder in which everything is done that comes before a command; made once, then copied."""
        before = BEFORE.get(command)
        template = self.folder / f"after-{before}".replace(" ", "_")
        if not template.exists():
            making = self.begin(before) if before else self._new()
            making.mkdir(exist_ok=True)
            if before:
                self._must(before, making)
            making.rename(template)
        root = self._new()
        shutil.copytree(template, root)
        return root

    def whole(self, command: str) -> tuple[dict[str, Any], list[str], float]:
        """Facts after an undisturbed command, the points that it came by, and the seconds that it took."""
        if command not in self._whole:
            root = self.begin(command)
            ended = self._must(command, root)
            if left := litter(root):
                raise AssertionError(f"{command} leaves {left}")
            self._whole[command] = facts(root), ended.points, ended.seconds
            shutil.rmtree(root)
        return self._whole[command]

    def kill(self, command: str, kill: Kill) -> "Trial":
        """Kill a command, look, repeat it, and look again."""
        expected, _, _ = self.whole(command)
        root = self.begin(command)
        before = facts(root)
        killed = self.warm.run(COMMANDS[command], environment(root), kill)
        wrong: list[str] = []
        try:
            between = facts(root)
            wrong += [f"half-written: {name}" for name in half_written(between, before, expected)]
            if "--fresh" not in command:
                wrong += [f"lost by the kill: {name}" for name in before.keys() - between.keys()]
            again = self.warm.run(COMMANDS[command], environment(root))
            if again.code != 0:
                wrong.append(f"repeated: code {again.code}: {again.err.strip()[-300:]}")
            elif found := difference(expected, facts(root)):
                wrong.append(f"other facts: {found}")
            wrong += [f"left behind: {name}" for name in litter(root)]
            if unfinished_runs(root):
                wrong.append("left behind: an unfinished MLflow run")
        except (InputError, ValueError, OSError, sqlite3.Error) as error:
            wrong.append(f"half-written: {error}")
            again = killed
        if not wrong:
            shutil.rmtree(root)
        return Trial(command, kill, killed, again, wrong, root)

    def chain(self, command: str, kills: list[Kill]) -> list[str]:
        """Kill a command at one point after the other, each time where the kill before has left it.

        Where it comes to its end instead, since the work before the next point is done, it begins anew.

        Returns:
            What should not be; empty where all is well.
        """
        expected, _, _ = self.whole(command)
        root, wrong = self.begin(command), []
        for number, kill in enumerate([*kills, None]):
            ended = self.warm.run(COMMANDS[command], environment(root), kill)
            if ended.code not in (0, -9):
                wrong.append(f"{kill}: code {ended.code}: {ended.err}")
            wrong += [f"{kill}: half-written: {name}" for name in half_written(facts(root), {}, expected)]
            if ended.code == 0:
                wrong += [f"{kill}: left behind: {name}" for name in litter(root)]
                wrong += [f"{kill}: other facts: {one}" for one in difference(expected, facts(root))]
                root = self.begin(command) if number < len(kills) else root
        return wrong

    def _must(self, command: str, root: Path) -> Ended:
        ended = self.warm.run(COMMANDS[command], environment(root))
        if ended.code != 0:
            raise AssertionError(f"{command} ended with code {ended.code}: {ended.err}")
        return ended

    def _new(self) -> Path:
        self.count += 1
        return self.folder / f"world-{self.count}"


@dataclass
class Trial:
    """A kill and what came of it.

    Attributes:
        command: its name.
        kill: how it was killed.
        killed, again: how the killed command and its repetition ended.
        wrong: what should not be; empty where all is well.
        root: the folder, kept where something is wrong.
    """

    command: str
    kill: Kill
    killed: Ended
    again: Ended
    wrong: list[str]
    root: Path
