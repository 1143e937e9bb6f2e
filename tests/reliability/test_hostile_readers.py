"""Every reader, fed with damaged files: it reads them, or refuses them with one short line; nothing else.

Inputs are good files with bytes flipped, cut, repeated, inserted or swapped for tokens that parsers trip over,
and plain noise. `pytest -m slow` tries at least 10,000 of them and prints how many.
"""

import base64
import json
import math
import pickle
import resource
import shutil
import signal
import threading
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from tsbench import atomic, registry
from tsbench.cli.output import COMMANDS, harmless, one_line
from tsbench.contracts import (
    DatasetCard,
    Forecast,
    InputError,
    ModelCard,
    Provenance,
    Scenario,
    Suite,
    Variant,
    parse,
)
from tsbench.data.adapter import BuildRequest
from tsbench.data.store import check_store, open_store, read_provenance, write_store
from tsbench.data.tables import Column, series_dataset
from tsbench.evaluation.blocks import read_blocks
from tsbench.evaluation.forecast_store import ForecastWriter, check_forecast
from tsbench.evaluation.record import read_result, read_table, write_result
from tsbench.jobs.attempts import Attempts
from tsbench.jobs.fitted import read_fit
from tsbench.locks import read_owner
from tsbench.tracking.ledger import Ledger
from tsbench.training.checkpoint import read_checkpoint
from tsbench.training.weights import read_tensors

SECONDS = 20
"""An input that keeps a reader busy for longer counts as a hang; the usual one takes milliseconds."""
SPARE_BYTES = 2**31
LONGEST = 2100
QUICK, THOROUGH = 10, 500
TOKENS = (
    b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\x1b[2J", b"\xe2\x80\xae", b"NaN", b"1e999", b"-1", b"null", b"true",
    b"{", b"}", b"[", b"]", b'"', b"'", b",", b":", b"\n", b"\r", b"9" * 5000, b"[" * 5000, b'{"a":' * 5000,
    b"&a ", b"*a ", b"!!python/object/apply:os.system ", b"- ", b"? ", b"../../", b"<script>", b"=1+1",
    b"2024-99-99", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\xff" * 8,
)  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """A reader and a good input.

    Attributes:
        folder: what is damaged, and read.
        files: of the folder, that are damaged: pattern.
        read: reads it; may raise InputError.
    """

    folder: Path
    files: str
    read: Callable[[Path], object]


@st.composite
def damage(draw: st.DrawFn, good: bytes) -> bytes:
    """A good file with a few faults, or noise."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=200))
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(len(data) - 1, 0)))
        stop = min(len(data), start + draw(st.integers(0, 40)))
        kind = draw(st.sampled_from(["flip", "token", "cut", "repeat", "tail", "noise", "swap"]))
        if kind == "flip" and data:
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif kind == "token":
            data[start : draw(st.sampled_from([start, stop]))] = draw(st.sampled_from(TOKENS))
        elif kind == "cut":
            del data[start:stop]
        elif kind == "repeat":
            data[start:start] = data[start:stop] * draw(st.integers(1, 50))
        elif kind == "tail":
            del data[start:]
        elif kind == "noise":
            data[start:stop] = draw(st.binary(max_size=40))
        elif kind == "swap":
            other = draw(st.integers(0, max(len(data) - 1, 0)))
            data[start:stop] = data[other : other + stop - start]
    return bytes(data)


LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats()
    | st.sampled_from(["", "regular", "../..", "\x1b[2J", "\u202e", "bytes", "PT1H", "9" * 5000, "float32", "{x}"])
)  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, good: Any) -> Any:
    """A structure of which a part is replaced, removed or put twice deep."""
    whole = json.loads(json.dumps(good, default=str))
    value = draw(st.recursive(LEAVES, lambda one: st.lists(one, max_size=3), max_leaves=4))
    places = list(_places(whole))
    if not places:
        return value
    for container, key in draw(st.lists(st.sampled_from(places), min_size=1, max_size=3)):
        what = draw(st.sampled_from(["replace", "replace", "remove", "more"]))
        if isinstance(container, list) and not (isinstance(key, int) and key < len(container)):
            continue
        if what == "replace":
            container[key] = value
        elif what == "remove" and isinstance(container, dict):
            container.pop(key, None)
        elif what == "more" and isinstance(container, dict):
            container[draw(st.sampled_from(["extra", "", "\x1b[2J", "__class__"]))] = value
    return whole


def _places(part: Any) -> Iterator[tuple[Any, Any]]:
    keys = part.keys() if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
    for key in list(keys):
        yield part, key
        yield from _places(part[key])


@contextmanager
def time_limit() -> Iterator[None]:
    """Raises in the middle of an endless loop, where the main thread can be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise TimeoutError(f"no answer within {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def memory_limit() -> Iterator[None]:
    """Refuses what would fill the machine: a small input has no use for gigabytes."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + SPARE_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def judge(read: Callable[[Path], object], path: Path) -> bool:
    """Whether the input was read; False where it was refused as it should be."""
    try:
        with time_limit(), memory_limit(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(path)
    except InputError as error:
        refusal = error
    else:
        return True
    line = one_line(refusal)
    assert not isinstance(refusal.__cause__, MemoryError), line
    assert "\n" not in line
    assert 0 < len(line) <= LONGEST
    assert not [one for one in harmless(line) if unicodedata.category(one) in COMMANDS]
    return False


def _tables(path: Path) -> None:
    registry.adapter(registry.dataset("csv"))
    (file,) = path.iterdir()
    from tsbench.datasets.csv.adapter import build

    variant = Variant(title="x")
    build(
        BuildRequest(
            name="user-x", variant=variant, files={file.name: file}, parameters={}, size="full", seed=0
        )
    )


def _store(path: Path) -> None:
    read_provenance(path)
    open_store(path)
    check_store(path)


def _yaml(read: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda path: read(next(iter(path.iterdir())))


@pytest.fixture(scope="module")
def readers(tmp_path_factory, waves, wave_task) -> dict[str, Reader]:
    """Every reader by name, with a good input of its own."""
    root = tmp_path_factory.mktemp("readers")
    made = {}
    for make in (_table_readers, _declaration_readers, _result_readers, _run_readers, _published_readers):
        made |= make(root)
    made |= _store_readers(root, waves, wave_task)
    return made


def _folder(root: Path, name: str) -> Path:
    path = root / name
    path.mkdir()
    return path


def _table_readers(root: Path) -> dict[str, Reader]:
    stamps = pd.date_range("2024-01-01", periods=30, freq="h")
    frame = pd.DataFrame({"date": stamps, "load": np.arange(30) / 7, "price": np.arange(30) % 5})
    found = {}
    for ending in ("csv", "csv.gz", "csv.bz2", "csv.xz", "csv.zip"):
        folder = _folder(root, ending)
        frame.to_csv(folder / f"x.{ending}", index=False)
        found[ending] = Reader(folder, "x.*", _tables)
    folder = _folder(root, "parquet")
    frame.to_parquet(folder / "x.parquet")
    found["parquet"] = Reader(folder, "x.*", _tables)
    folder = _folder(root, "long csv")
    frame.melt("date", var_name="series", value_name="value").to_csv(folder / "x.csv", index=False)
    found["long csv"] = Reader(folder, "x.*", _tables)
    return found


def _declaration_readers(root: Path) -> dict[str, Reader]:
    datasets, models = registry._folders("datasets", "card.yaml"), registry._folders("models", "card.yaml")
    suites = registry._folders("leaderboards", "suite.yaml")
    sources = {
        "tasks.yaml": (datasets["ett"].path / "tasks.yaml", registry._tasks_of.__wrapped__),
        "tasks.yaml of samples": (datasets["csi_rrg"].path / "tasks.yaml", registry._tasks_of.__wrapped__),
        "card.yaml of data": (
            datasets["ett"].path / "card.yaml",
            lambda path: parse(DatasetCard, registry.read_yaml(path), path),
        ),
        "card.yaml of a model": (
            models["dlinear"].path / "card.yaml",
            lambda path: parse(ModelCard, registry.read_yaml(path), path),
        ),
        "suite.yaml": (
            suites["quick"].path / "suite.yaml",
            lambda path: parse(Suite, registry.read_yaml(path), path),
        ),
    }
    found = {}
    for name, (source, read) in sources.items():
        folder = _folder(root, name)
        shutil.copy(source, folder / "x.yaml")
        found[name] = Reader(folder, "x.yaml", _yaml(read))
    return found


def _result_readers(root: Path) -> dict[str, Reader]:
    folder = root / "result"
    scores = {
        "scenario": ["regular"], "condition": ["regular"], "variable": [None], "level": [None],
        "region": [None], "lead_time": [None], "metric": ["mse"], "numerator": [3.0], "denominator": [8.0],
    }  # fmt: skip
    units = {
        "scenario": ["regular"], "condition": ["regular"], "cluster": ["waves"], "unit": ["0"],
        "metric": ["mse"], "numerator": [3.0], "denominator": [8.0],
    }  # fmt: skip
    examples = {
        "scenario": ["regular"], "case": [0], "variable": ["x"], "time": ["2024-01-01"], "lead_time": [1],
        "observed": [0.5], "forecast": [None],
    }  # fmt: skip
    write_result(folder, parse_result(), scores, units, examples)
    tables = {
        name: Reader(folder, name, lambda path, name=name: read_table(path, name))
        for name in ("scores.parquet", "units.parquet", "examples.parquet")
    }
    return {"result.json": Reader(folder, "result.json", read_result), **tables}


def parse_result() -> Any:
    from tsbench.contracts import Result

    return Result.model_validate(
        {
            "model": {"name": "dlinear", "version": 1, "hyperparameters": {"size": 3}, "parameters": 3},
            "task": {
                "name": "waves-12", "version": 1, "hash": "0", "dataset": "waves", "recipe": {"waves": "1"},
                "content": {"waves": "2"},
            },
            "seed": 0,
            "track": {"context": 96, "tuning": "default", "learning": "fitted"},
            "trained_on": [{"dataset": "waves", "start": "2024-01-01", "end": "2024-02-01"}],
            "primary": "mse",
            "scores": {"mse": {"regular": 0.5, "robustness": None}},
            "scenarios": {"regular": 1},
            "cases": 3,
            "cost": {"fit": {"seconds": 1.5, "detail": {"epochs": 3}}},
            "provenance": {
                "created": "2026-11-21T10:00:00+00:00", "command": "tsbench", "code": "0",
                "versions": {"torch": "2"}, "host": "h", "threads": 1,
            },
        }
    )  # fmt: skip


def _run_readers(root: Path) -> dict[str, Reader]:
    def one(name: str, file: str, content: str, read: Callable[[Path], object]) -> tuple[str, Reader]:
        folder = _folder(root, name)
        (folder / file).write_text(content)
        return name, Reader(folder, file, read)

    fact = json.dumps({"result": "0123", "experiment": "single", "store": "4567"}) + "\n"
    owner = {"host": "h", "pid": 1, "started": 1.5}
    weights, checkpoint = _folder(root, "weights"), _folder(root, "checkpoint")
    save_file({"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}, weights / "w.safetensors")
    state = {
        "pytorch-lightning_version": "2",
        "state_dict": {"a": torch.ones(2, 3)},
        "loops": {},
        "callbacks": {},
    }
    torch.save(state, checkpoint / "last.ckpt")
    return {
        "weights": Reader(weights, "w.*", lambda path: read_tensors(path / "w.safetensors")),
        "checkpoint": Reader(checkpoint, "last.ckpt", lambda path: read_checkpoint(path / "last.ckpt")),
        **dict(
            [
                one("fit", "fit.json", json.dumps({"history": [{"epoch": 1, "loss": 0.5}]}), read_fit),
                one("attempts", "attempts.json", "[1.5, 3]", Attempts),
                one("ledger", ".tracking.jsonl", fact * 3, lambda path: Ledger(path).experiments("0123")),
                one("lock", ".lock", json.dumps(owner), lambda path: read_owner(path / ".lock")),
            ]
        ),
    }


def _published_readers(root: Path) -> dict[str, Reader]:
    from tsbench.datasets.csi_rrg.grid import Profile
    from tsbench.datasets.csi_rrg.published import STATISTICS, _by_cell, read_cell, read_statistics

    profile = Profile.of_parameters(registry.dataset("csi_rrg-tiny").variant.parameters)
    link = profile.link
    folder, cell = _folder(root, "tensors"), "train/regular/cm_A_ds_030_ms_001"
    (folder / cell).mkdir(parents=True)
    for name, snapshots in (
        ("H_U_hist", link.history),
        ("H_U_pred", link.horizon),
        ("H_D_pred", link.horizon),
    ):
        shape = (2, link.array.antennas, snapshots, len(link.uplink))
        torch.save(torch.ones(shape, dtype=torch.complex64), folder / cell / f"{name}.pt")

    def read(path: Path) -> None:
        files = {one.relative_to(path).as_posix(): one for one in path.rglob("*.pt")}
        read_cell(link, next(iter(_by_cell(files))), files)

    def statistics(path: Path) -> None:
        try:
            read_statistics(path / "s.pkl")
        except InputError as error:
            if not isinstance(error.__cause__, MemoryError):  # a known fault, see the test of it below
                raise

    numbers = _folder(root, "statistics")
    (numbers / "s.pkl").write_bytes(pickle.dumps(dict.fromkeys(STATISTICS, 0.5)))
    return {
        "tensors": Reader(folder, "**/H_U_hist.pt", read),
        "statistics": Reader(numbers, "s.pkl", statistics),
    }


def _store_readers(root: Path, waves: Any, wave_task: Any) -> dict[str, Reader]:
    table, store = waves(rows=40), root / "full.zarr"
    columns = {Column(name, "1", name): table.values[:, index] for index, name in enumerate(table.variables)}
    provenance = Provenance(
        dataset=table.name,
        adapter="csv",
        generator_version=1,
        parameters={},
        size="full",
        seed=None,
        files={},
    )
    write_store(store, series_dataset(table.time, table.step, columns), provenance, Variant(title="waves"))
    shape, task = (20, 12, 2), wave_task()
    scenario = Scenario(key="regular", condition="regular", dataset="user-waves")
    forecast = root / "forecast.zarr"
    with atomic.new_folder(forecast) as folder:
        writer = ForecastWriter(folder, task, "mine")
        writer.create(scenario, shape)
        writer.write(scenario, torch.arange(20), Forecast(torch.ones(shape)))

    def read(path: Path) -> None:
        saved = check_forecast(path, task, {"regular": shape})
        # In this process: damage to metadata is tried here, that of chunks with the process of its own.
        assert all(len(block) for block in read_blocks(saved.arrays["regular"]))

    return {
        "store": Reader(store, "**/zarr.json", _store),
        "forecast": Reader(forecast, "**/zarr.json", read),
    }


NAMES = (
    "csv", "csv.gz", "csv.bz2", "csv.xz", "csv.zip", "long csv", "parquet",
    "tasks.yaml", "tasks.yaml of samples", "card.yaml of data", "card.yaml of a model", "suite.yaml",
    "result.json", "scores.parquet", "units.parquet", "examples.parquet",
    "weights", "checkpoint", "fit", "attempts", "ledger", "lock", "tensors", "statistics", "store", "forecast",
)  # fmt: skip
TRIED = {"read": 0, "refused": 0}


def structure(file: Path) -> Any:
    """The content of a JSON or YAML file, None for any other."""
    if file.suffix in (".json", ".lock") or file.name == ".lock":
        return json.loads(file.read_text())
    return yaml.safe_load(file.read_text()) if file.suffix == ".yaml" else None


def text_of(value: Any, file: Path) -> bytes:
    if file.suffix == ".yaml":
        return yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "replace")
    return json.dumps(value).encode()


def attack(reader: Reader, examples: int) -> None:
    """Damage each file of a reader's input, many times."""
    files = sorted(reader.folder.glob(reader.files))
    assert judge(reader.read, reader.folder), "the good input is refused"
    whole = {file: file.read_bytes() for file in files}
    options = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    @options
    @given(st.data())
    def once(data: st.DataObject) -> None:
        file = data.draw(st.sampled_from(files))
        parsed = structure(file)
        if parsed is not None and data.draw(st.booleans()):
            content = text_of(data.draw(changed(parsed)), file)
        else:
            content = data.draw(damage(whole[file]))
        try:
            file.write_bytes(content)
            TRIED["read" if judge(reader.read, reader.folder) else "refused"] += 1
        except Exception as error:
            shown = base64.b85encode(content[:3000]).decode()
            raise AssertionError(
                f"{file.name}: {type(error).__name__}: {str(error)[:300]}; {shown}"
            ) from error
        finally:
            file.write_bytes(whole[file])

    once()
    others = {path for path in reader.folder.rglob("*") if path.is_file()} - set(files)
    assert all(path.stat().st_size < 10**6 for path in others), "a reader wrote beside its input"


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_input_is_read_or_refused(readers, name):
    attack(readers[name], QUICK)


def test_every_reader_is_among_the_names(readers):
    assert set(readers) == set(NAMES)


def test_statistics_that_claim_a_huge_memo_need_no_memory(tmp_path):
    from tsbench.datasets.csi_rrg.published import read_statistics

    path = tmp_path / "s.pkl"
    path.write_bytes(b"\x80\x04}r\xff\xff\xff\x3f.")

    with memory_limit(), pytest.raises(InputError) as refused:
        read_statistics(path)
    assert not isinstance(refused.value.__cause__, MemoryError)


@pytest.mark.slow
def test_ten_thousand_damaged_inputs_are_read_or_refused(readers, capsys):
    TRIED.update(read=0, refused=0)
    for name in NAMES:
        attack(readers[name], math.ceil(10_000 / len(NAMES)) + THOROUGH // 10)

    total = sum(TRIED.values())
    with capsys.disabled():
        print(f"\n{total} damaged inputs: {TRIED['refused']} refused, {TRIED['read']} read")
    assert total >= 10_000
