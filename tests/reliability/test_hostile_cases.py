"""Hostile input by name: each case is refused with exit code 2 and one harmless line, and writes nothing.

A case is a function that prepares what an attacker sends and gives the words of the command that meets it.
"""

import base64
import json
import os
import pickle
import shutil
import socket
import struct
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import zarr

from tsbench import atomic, registry
from tsbench.contracts import Forecast, Scenario
from tsbench.evaluation.forecast_store import ForecastWriter
from tsbench.jobs.job import Options, resolve

SHAPE = (109, 12, 2)
REGULAR = Scenario(key="regular", condition="regular", dataset="user-waves")
LONGEST = 2100
ESCAPES = "\x1b[2J\x1b]0;owned\x07\u202egnp.exe\x9b31m"
MARKUP = "<script>alert(1)</script>"

DECLARED_TASKS = registry.tasks  # a fixture adds one to it

Words = tuple[Any, ...]


@dataclass(frozen=True)
class Attack:
    """Where a case may prepare things.

    Attributes:
        folder: for the attacker's files.
        forecast: a good forecast of `waves-12`, to be spoilt.
        runs: the victim's runs folder.
        canary: a folder that nobody may touch.
        marker: a file that appears if the attacker's code runs.
        patch: pytest's.
    """

    folder: Path
    forecast: Path
    runs: Path
    canary: Path
    marker: Path
    patch: pytest.MonkeyPatch

    @property
    def score(self) -> Words:
        return ("score", self.forecast, "waves-12")

    @property
    def chunk(self) -> Path:
        (found,) = [path for path in (self.forecast / "regular" / "c").rglob("*") if path.is_file()]
        return found

    def edit(self, node: str = "regular", **fields: Any) -> Words:
        """Change metadata of the forecast."""
        path = self.forecast / node / "zarr.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))
        return self.score

    def write(self, content: bytes | str, node: str = "regular") -> Words:
        """Replace the metadata of the forecast."""
        data = content.encode() if isinstance(content, str) else content
        (self.forecast / node / "zarr.json").write_bytes(data)
        return self.score

    def chunks(self, *codecs: dict[str, Any], content: bytes) -> Words:
        """Replace the codecs and the chunk."""
        self.chunk.write_bytes(content)
        first = {"name": "bytes", "configuration": {"endian": "little"}}
        return self.edit(codecs=[first, *codecs])

    def table(self, content: bytes | str, name: str = "mine.csv") -> Words:
        """A user's table."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return ("run", "last_value", "--horizon", "6", "--context", "24", "--no-track", "--data", path)

    def result(self, **changes: Any) -> Words:
        """A Result folder with a changed record."""
        return self.raw_result(json.dumps(RECORD | changes).encode())

    def raw_result(self, content: bytes) -> Words:
        """A Result folder with these bytes as its record."""
        path = self.folder / "result"
        path.mkdir()
        (path / "result.json").write_bytes(content)
        return ("results", "show", path)

    def yaml(self, content: bytes | str, group: str = "datasets", file: str = "tasks.yaml") -> Words:
        """A third party's declarations."""
        path = self.folder / "package"
        path.mkdir()
        (path / file).write_bytes(content.encode() if isinstance(content, str) else content)
        known = registry._folders.__wrapped__
        self.patch.setattr(registry, "tasks", DECLARED_TASKS)
        mine = registry.Folder("package", path, "package")

        def folders(asked: str, marker: str) -> dict[str, registry.Folder]:
            here = {"package": mine} if (asked, marker) == (group, file) else {}
            return known(asked, marker) | here

        self.patch.setattr(registry, "_folders", folders)
        return ("list", {"datasets": "tasks", "models": "models", "leaderboards": "suites"}[group])

    def payload(self) -> bytes:
        """A pickle that runs a command."""
        return pickle.dumps(Payload(str(self.marker)))


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


RECORD: dict[str, Any] = {
    "model": {"name": "dlinear", "version": 1, "hyperparameters": {}, "parameters": 3},
    "task": {
        "name": "waves-12", "version": 1, "hash": "0", "dataset": "waves", "recipe": {}, "content": {}
    },
    "seed": 0,
    "track": {"context": 96, "tuning": "default", "learning": "fitted"},
    "trained_on": [],
    "primary": "mse",
    "scores": {"mse": {"regular": 0.5}},
    "scenarios": {"regular": 1},
    "cases": 3,
    "cost": {},
    "provenance": {
        "created": "2026-11-21T10:00:00+00:00", "command": "tsbench", "code": "0", "versions": {}, "host": "h",
        "threads": 1,
    },
}  # fmt: skip
SHARDS = {
    "name": "sharding_indexed",
    "configuration": {
        "chunk_shape": [10**9, 10**9, 10**9],
        "codecs": [{"name": "bytes"}],
        "index_codecs": [{"name": "bytes"}],
    },
}
CRC = {"name": "crc32c"}
BLOSC = {
    "name": "blosc",
    "configuration": {"typesize": 4, "cname": "zstd", "clevel": 5, "shuffle": "shuffle", "blocksize": 0},
}
ZSTD = {"name": "zstd", "configuration": {"level": 0, "checksum": False}}


def blosc_frame(size: int, stored: int = 4096) -> bytes:
    """A Blosc 1 header that claims `size` bytes, and noise."""
    head = struct.pack("<BBBBIII", 2, 1, 0x21, 4, size, min(size, 2**31 - 1), stored)
    return head + np.random.default_rng(0).bytes(stored - 16)


def zstd_zeros(blocks: int, size: int | None = None) -> bytes:
    """A Zstandard frame of repeated blocks, 128 kB of zeros in four bytes each; `size` is what it claims."""
    claim = b"" if size is None else size.to_bytes(8, "little")
    head = b"\x28\xb5\x2f\xfd" + (b"\x00" if size is None else b"\xc0") + b"\x60" + claim
    block = (2**17 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    return head + block * (blocks - 1) + (2**17 << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"


def rows(count: int = 60, extra: str = "") -> str:
    """Lines of an hourly table of one variable."""
    stamps = (f"2024-01-{1 + hour // 24:02d} {hour % 24:02d}:00:00" for hour in range(count))
    return "".join(f"{stamp},{number}{extra}\n" for number, stamp in enumerate(stamps))


def grid(*sizes: Any) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": list(sizes)}}


def as_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_socket(attack: Attack) -> Words:
    attack.chunk.unlink()
    name = attack.forecast / "regular" / "s"
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(name.parent)  # the path of a socket is short
        try:
            made.bind("s")
        finally:
            os.chdir(here)
    return attack.score


def as_link(path: Path, target: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(target)


def done(words: Words, *_: Any) -> Words:
    """The words, after what was done for them."""
    return words


def hard_link(attack: Attack) -> Words:
    chunk = attack.chunk
    chunk.unlink()
    os.link(attack.canary / "secret.txt", chunk)
    return attack.score


def out_through_a_link(attack: Attack) -> Words:
    (attack.folder / "empty").mkdir()
    (attack.folder / "out").symlink_to(attack.folder / "empty")
    return (*attack.score, "--out", attack.folder / "out")


def many_files(attack: Attack) -> Words:
    attack.patch.setattr("tsbench.evaluation.array_check.FILE_LIMIT", 50)  # 10,000 would take seconds
    for number in range(51):
        (attack.forecast / "regular" / "c" / f"x{number}").touch()
    return attack.score


def sparse_file(attack: Attack) -> Words:
    with attack.chunk.open("r+b") as file:
        file.truncate(2**40)
    return attack.score


def deep_folders(attack: Attack) -> Words:
    deep = attack.forecast.joinpath("regular", *["d"] * 300)
    deep.mkdir(parents=True)
    return attack.score


def wrong_value(value: float) -> Callable[[Attack], Words]:
    def case(attack: Attack) -> Words:
        zarr.open_array(attack.forecast / "regular")[7, 3, 1] = value
        return attack.score

    return case


def array_called(name: str) -> Callable[[Attack], Words]:
    return lambda attack: done(
        attack.score, shutil.copytree(attack.forecast / "regular", attack.forecast / name)
    )


def archive_of_forecast(attack: Attack) -> Words:
    path = attack.folder / "bomb.zarr"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../escaped", b"\0" * 10**7)
    return ("score", path, "waves-12")


def torch_file(make: Callable[[Attack], Any]) -> Callable[[Attack], Words]:
    """A data set in the published format of CSI-RRG, of which one file is hostile."""

    def case(attack: Attack) -> Words:
        cell = attack.folder / "train" / "regular" / "cm_A_ds_030_ms_001"
        cell.mkdir(parents=True)
        for name in ("H_U_hist.pt", "H_U_pred.pt", "H_D_pred.pt"):
            content = make(attack)
            if isinstance(content, bytes):
                (cell / name).write_bytes(content)
            else:
                torch.save(content, cell / name)
        return ("data", "get", "csi_rrg-published-part", "--from", attack.folder)

    return case


def weights(make: Callable[[Attack], bytes]) -> Callable[[Attack], Words]:
    def case(attack: Attack) -> Words:
        path = attack.folder / "weights.safetensors"
        path.write_bytes(make(attack))
        return ("eval", "dlinear", "waves-12", "--weights", path, "--no-track")

    return case


def safetensors(header: str, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header.encode()


def run_folder(name: str, make: Callable[[Attack], bytes]) -> Callable[[Attack], Words]:
    """A run folder of another's, of which one file is hostile."""

    def case(attack: Attack) -> Words:
        job = resolve("dlinear", "waves-12", 0, Options(context=48, training={"epochs": 1}, threads=1))
        job.folder.mkdir(parents=True)
        (job.folder / name).write_bytes(make(attack))
        words = ("--context", "48", "--train", "epochs=1", "--threads", "1", "--no-track")
        return ("run", "dlinear", "waves-12", *words)

    return case


def parquet(change: Callable[[bytes], bytes]) -> Callable[[Attack], Words]:
    def case(attack: Attack) -> Words:
        path = attack.folder / "good.parquet"
        stamps = pd.date_range("2024-01-01", periods=60, freq="h")
        pd.DataFrame({"date": stamps, "load": np.arange(60.0)}).to_parquet(path)
        return attack.table(change(path.read_bytes()), "mine.parquet")

    return case


def wide(attack: Attack) -> Words:
    names = ",".join(f"v{number}" for number in range(100_000))
    line = "2024-01-01,1" + ",1" * 99_998 + ",=cmd|' /C calc'!A0\n"
    return attack.table(f"date,{names}\n" + line * 3)


NOTHING = b"\0"
STRANGE_TYPES = {
    "object": "object",
    "pickled object": {"name": "pickle", "configuration": {}},
    "structured": {"name": "structured", "configuration": {"fields": [["x", "float32"], ["y", "int8"]]}},
    "string": "string",
    "fixed-length text": {"name": "fixed_length_utf32", "configuration": {"length_bytes": 10**9}},
    "raw bytes": "r8000000000",
    "bool": "bool",
    "integer": "int64",
    "complex": "complex128",
    "void": {"name": "null_terminated_bytes", "configuration": {"length_bytes": 2**40}},
}
STRANGE_SHAPES: dict[str, Any] = {
    "negative": [-109, 12, 2],
    "zero": [0, 12, 2],
    "bool": [109, 12, True],
    "fractions": [109.0, 12.0, 2.0],
    "huge": [10**30, 12, 2],
    "of a trillion chunks": [10**12, 12, 2],
    "of a hundred dimensions": [1] * 100,
    "of thousands of digits": [10**4000, 12, 2],
    "text": "109,12,2",
    "absent": None,
}
STRANGE_CHUNKS: dict[str, Any] = {
    "a billion": grid(10**9, 12, 2),
    "zero": grid(0, 12, 2),
    "negative": grid(-1, 12, 2),
    "bool": grid(True, 12, 2),
    "fraction": grid(109.0, 12, 2),
    "beyond 64 bits": grid(2**64, 2**64, 2**64),
    "rectilinear": {"name": "rectilinear", "configuration": {"chunk_shapes": [[1] * 109, [12], [2]]}},
}
STRANGE_JSON: dict[str, bytes] = {
    "empty": b"",
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "invalid UTF-8": b'{"a": "\xff\xfe"}',
    "nested 100,000 deep": b"[" * 100_000,
    "nested and closed": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "duplicate keys": b'{"zarr_format": 3, "zarr_format": 3, "node_type": "array"}',
    "NaN": b'{"zarr_format": NaN}',
    "infinity": b'{"zarr_format": -Infinity}',
    "1e999": b'{"zarr_format": 1e999}',
    "an integer of 10,000 digits": b'{"zarr_format": ' + b"9" * 10_000 + b"}",
    "100 MB": b'"' + b"a" * 10**8 + b'"',
    "a list": b"[]",
    "null": b"null",
    "control characters": b'{"a": "\x1b[2J"}',
    "pickle": pickle.dumps({"zarr_format": 3}),
}

CASES: dict[str, Callable[[Attack], Words]] = {
    # Names and places.
    "task: traversal": lambda a: ("score", a.forecast, "../../../etc/passwd"),
    "task: escapes": lambda a: ("score", a.forecast, ESCAPES),
    "task: very long": lambda a: ("run", "dlinear", "x" * 100_000),
    "suite: traversal": lambda a: ("board", "build", "../../../etc"),
    "model: traversal": lambda a: ("run", "../../models/dlinear", "waves-12"),
    "dataset: traversal": lambda a: ("data", "get", "../../../tmp/x"),
    "dataset of a user: traversal": lambda a: ("data", "check", "user-/../../../etc"),
    "forecast: a device": lambda a: ("score", "/dev/zero", "waves-12"),
    "forecast: a zip bomb": archive_of_forecast,
    "forecast: a file": lambda a: ("score", a.canary / "secret.txt", "waves-12"),
    "out: somebody's folder": lambda a: (*a.score, "--out", a.canary),
    "out: somebody's file": lambda a: (*a.score, "--out", a.canary / "secret.txt"),
    "out: through a link": out_through_a_link,
    "array: escapes in its name": array_called(f"regular{ESCAPES}"),
    "array: markup in its name": array_called("<img src=x onerror=alert(1)>"),
    "array: dots in its name": array_called("..."),
    "array: line break in its name": array_called("x\nError: all is well"),
    "attributes: model is a path": lambda a: a.edit("", attributes={"model": "../../escaped"}),
    "attributes: model is markup": lambda a: a.edit("", attributes={"model": MARKUP}),
    "attributes: model commands": lambda a: a.edit("", attributes={"model": ESCAPES}),
    "attributes: model ends in a line": lambda a: a.edit("", attributes={"model": "mine\n"}),
    "attributes: task commands": lambda a: a.edit("", attributes={"task": ESCAPES * 10_000}),
    "attributes: space is an object": lambda a: a.edit("", attributes={"space": {"a": ["units"]}}),
    "attributes: a pickle": lambda a: a.edit(
        "", attributes={"kind": "pickle:" + base64.b64encode(a.payload()).decode()}
    ),
    "keys: traversal": lambda a: a.edit(chunk_key_encoding={"name": "../../secret.txt"}),
    "keys: separator": lambda a: a.edit(
        chunk_key_encoding={"name": "default", "configuration": {"separator": "/../../../canary/"}}
    ),
    # Links and what is no file.
    "link: chunk": lambda a: done(a.score, as_link(a.chunk, a.canary / "secret.txt")),
    "link: folder of chunks": lambda a: done(a.score, as_link(a.forecast / "regular" / "c", a.canary)),
    "link: metadata": lambda a: done(a.score, as_link(a.forecast / "zarr.json", Path("/etc/passwd"))),
    "link: array": lambda a: done(a.score, as_link(a.forecast / "regular", a.canary)),
    "link: to itself": lambda a: done(a.score, (a.forecast / "loop").symlink_to(a.forecast)),
    "link: hard": hard_link,
    "pipe: chunk": lambda a: done(a.score, as_fifo(a.chunk)),
    "pipe: metadata": lambda a: done(a.score, as_fifo(a.forecast / "regular" / "zarr.json")),
    "socket": as_socket,
    "folders: 300 deep": deep_folders,
    "files: one too many": many_files,
    "file: a terabyte, sparse": sparse_file,
    # Values and bombs.
    "value: NaN": wrong_value(np.nan),
    "value: infinite": wrong_value(-np.inf),
    "chunks: none": lambda a: done(a.score, shutil.rmtree(a.forecast / "regular" / "c")),
    "chunk: empty": lambda a: done(a.score, a.chunk.write_bytes(b"")),
    "chunk: cut": lambda a: done(a.score, a.chunk.write_bytes(a.chunk.read_bytes()[:100])),
    "chunk: noise": lambda a: done(a.score, a.chunk.write_bytes(np.random.default_rng(1).bytes(5000))),
    "bomb: blosc claims 2 GB": lambda a: a.chunks(BLOSC, content=blosc_frame(2**31 - 17)),
    "bomb: blosc claims too little": lambda a: a.chunks(BLOSC, content=blosc_frame(16)),
    "bomb: blosc header of noise": lambda a: a.chunks(BLOSC, content=blosc_frame(10464)),
    "bomb: zstd claims an exabyte": lambda a: a.chunks(ZSTD, content=zstd_zeros(1, 2**60)),
    "bomb: zstd of 16 GB, nothing claimed": lambda a: a.chunks(ZSTD, content=zstd_zeros(2**17)),
    "bomb: zstd of 16 GB, little claimed": lambda a: a.chunks(ZSTD, content=zstd_zeros(2**17, 10464)),
    "bomb: within a bomb": lambda a: a.chunks(ZSTD, ZSTD, ZSTD, content=zstd_zeros(2**15)),
    "codec: unknown": lambda a: a.edit(codecs=[{"name": "bytes"}, {"name": "evil"}]),
    "codec: pickle": lambda a: a.edit(codecs=[{"name": "numcodecs.pickle"}]),
    "codec: gzip": lambda a: a.edit(codecs=[{"name": "bytes"}, {"name": "gzip"}]),
    "codec: absurd shards": lambda a: a.edit(codecs=[SHARDS]),
    "codec: a name that commands": lambda a: a.edit(codecs=[{"name": ESCAPES}]),
    "codec: 10,000 times": lambda a: a.edit(codecs=[{"name": "bytes"}, *[CRC] * 10_000]),
    "codec: a list of lists": lambda a: a.edit(codecs=[[["bytes"]]]),
    "fill value: a pickle": lambda a: a.edit(fill_value=base64.b64encode(a.payload()).decode()),
    "storage transformer": lambda a: a.edit(storage_transformers=[{"name": "http"}]),
    **{f"dtype: {name}": lambda a, kind=kind: a.edit(data_type=kind) for name, kind in STRANGE_TYPES.items()},
    **{
        f"shape: {name}": lambda a, shape=shape: a.edit(shape=shape) for name, shape in STRANGE_SHAPES.items()
    },
    **{
        f"chunk shape: {name}": lambda a, chunk=chunk: a.edit(chunk_grid=chunk)
        for name, chunk in STRANGE_CHUNKS.items()
    },
    **{
        f"zarr.json: {name}": lambda a, content=content: a.write(content)
        for name, content in STRANGE_JSON.items()
    },
    # Results.
    **{
        f"result.json: {name}": lambda a, content=content: a.raw_result(content)
        for name, content in STRANGE_JSON.items()
    },
    "result: unknown key": lambda a: a.result(**{f"rank{ESCAPES}": 1}),
    "result: very long key": lambda a: a.result(**{"k" * 50_000: 1}),
    "result: another schema": lambda a: a.result(schema_version=2),
    "result: negative cases": lambda a: a.result(cases=-1),
    "result: negative scenarios": lambda a: a.result(scenarios={"regular": -1}),
    "result: negative cost": lambda a: a.result(cost={"fit": {"seconds": -1.0}}),
    "result: text for a score": lambda a: a.result(scores={"mse": {"regular": MARKUP}}),
    "result: an invented track": lambda a: a.result(track=RECORD["track"] | {"tuning": MARKUP}),
    "result: a seed beyond 64 bits": lambda a: a.result(seed=1.5e300),
    # Files that are or hold pickles.
    "torch: a command": torch_file(lambda a: Payload(str(a.marker))),
    "torch: a bare pickle": torch_file(lambda a: a.payload()),
    "torch: a tensor of zero stride": torch_file(
        lambda a: torch.zeros(1, dtype=torch.complex64).expand(10**9, 32, 16, 300)
    ),
    "torch: a list": torch_file(lambda a: [1, 2]),
    "torch: noise": torch_file(lambda a: b"PK\x03\x04" + b"\xff" * 500),
    "weights: a pickle": weights(lambda a: a.payload()),
    "weights: a header of an exabyte": weights(lambda a: safetensors("{}", 2**60)),
    "weights: huge shape": weights(
        lambda a: safetensors('{"x":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,0]}}')
    ),
    "weights: deep": weights(lambda a: safetensors("[" * 100_000)),
    "checkpoint: a command": run_folder("last.ckpt", lambda a: a.payload()),
    "attempts: a list of text": run_folder("attempts.json", lambda a: b'["1"]'),
    "attempts: deep": run_folder("attempts.json", lambda a: b"[" * 100_000),
    "attempts: not UTF-8": run_folder("attempts.json", lambda a: b"\xff"),
    "fit: a list": run_folder("fit.json", lambda a: b"[]"),
    "fit: deep": run_folder("fit.json", lambda a: b"[" * 100_000),
    "fit: many digits": run_folder("fit.json", lambda a: b'{"a": ' + b"9" * 10_000 + b"}"),
    # Tables.
    "table: NUL bytes": lambda a: a.table(b"date,load\n" + b"\0" * 1000),
    "table: a line of 100 MB": lambda a: a.table(b"a," * (5 * 10**7)),
    "table: a cell that commands": lambda a: a.table("date,load\n2024-01-01,1\n" + f"{ESCAPES},1\n" * 3),
    "table: a column that commands": lambda a: a.table(f"when{ESCAPES},load\na,b\nc,d\n"),
    "table: a formula": lambda a: a.table("date,load\n" + rows(10) + '2024-01-01 10:00:00,"=1+1"\n'),
    "table: mixed line ends": lambda a: a.table("date,load\r2024-01-01,1\n2024-01-02,2\r\n2024-01-03,x\n"),
    "table: a quoted line break": lambda a: a.table('date,"lo\nad"\n' + rows(10) + '"2024-\n01",3\n'),
    "table: a quote that never ends": lambda a: a.table('date,load\n"' + rows(60)),
    "table: 100,000 columns": wide,
    "table: UTF-16": lambda a: a.table(f"date,load\n{rows()}".encode("utf-16")),
    "table: two columns of a name": lambda a: a.table("date,x,x \n" + rows(60, ",1")),
    "table: a header alone": lambda a: a.table("date,load\n"),
    "table: a year of 99999": lambda a: a.table("date,load\n" + "99999-01-01,1\n" * 5),
    "table: infinite": lambda a: a.table("date,load\n" + rows(10) + "2024-01-01 10:00:00,1e999\n"),
    "table: cut gzip": lambda a: a.table(b"\x1f\x8b\x08\x00" + b"\0" * 20, "mine.csv.gz"),
    "table: noise as xz": lambda a: a.table(b"\xfd7zXZ\x00" + b"\x01" * 99, "mine.csv.xz"),
    "table: noise as bz2": lambda a: a.table(b"BZh9" + b"\x01" * 99, "mine.csv.bz2"),
    "table: noise as zip": lambda a: a.table(b"PK\x03\x04" + b"\x01" * 99, "mine.csv.zip"),
    "table: noise as tar": lambda a: a.table(b"\x01" * 999, "mine.csv.tar"),
    "table: noise as zst": lambda a: a.table(b"\x01" * 99, "mine.csv.zst"),
    "parquet: empty": parquet(lambda data: b""),
    "parquet: cut": parquet(lambda data: data[: len(data) // 2]),
    "parquet: noise between the marks": parquet(lambda data: b"PAR1" + b"\xa5" * 500 + b"PAR1"),
    "parquet: footer of 4 GB": parquet(lambda data: data[:-8] + b"\xff\xff\xff\xff" + b"PAR1"),
    "parquet: footer overwritten": parquet(lambda data: data[:-300] + b"\x15" * 292 + data[-8:]),
    # Declarations of third parties.
    "yaml: aliases of aliases": lambda a: a.yaml(
        "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    ),
    "yaml: an alias of itself": lambda a: a.yaml("tasks: &a [*a]\n"),
    "yaml: an object": lambda a: a.yaml(f"tasks: !!python/object/apply:os.system ['touch {a.marker}']\n"),
    "yaml: a module": lambda a: a.yaml("!!python/module:os\n"),
    "yaml: nested 100,000 deep": lambda a: a.yaml("[" * 100_000),
    "yaml: nested by tags": lambda a: a.yaml("- !x " * 5000),
    "yaml: nested objects": lambda a: a.yaml("{a: " * 3000),
    "yaml: a date that is none": lambda a: a.yaml("tasks: 2024-99-99\n"),
    "yaml: an empty number": lambda a: a.yaml("tasks: !!int ''\n"),
    "yaml: NUL": lambda a: a.yaml(NOTHING),
    "yaml: not UTF-8": lambda a: a.yaml(b"\xff\xfe\x00"),
    "yaml: a list of text": lambda a: a.yaml("tasks: [a, b]\n"),
    "yaml: a list": lambda a: a.yaml("- a\n"),
    "yaml: axes that explode": lambda a: a.yaml(
        "tasks:\n- axes: [" + ", ".join(["[{a: 1}, {a: 2}, {a: 3}, {a: 4}]"] * 20) + "]\n"
    ),
    "yaml: axes of text": lambda a: a.yaml("tasks:\n- axes: abc\n"),
    "yaml: a format that reads attributes": lambda a: a.yaml(
        "tasks:\n- {name: '{x.__class__.__mro__}', axes: [[{x: 1}]]}\n"
    ),
    "yaml: an open brace": lambda a: a.yaml("tasks:\n- {name: '{', axes: [[{x: 1}]]}\n"),
    "yaml: a card of text": lambda a: a.yaml("text", "models", "card.yaml"),
    "yaml: a suite of numbers": lambda a: a.yaml("7", "leaderboards", "suite.yaml"),
}


@pytest.fixture(scope="module")
def good_forecast(tmp_path_factory, wave_task) -> Path:
    path = tmp_path_factory.mktemp("good") / "forecast.zarr"
    with atomic.new_folder(path) as folder:
        writer = ForecastWriter(folder, wave_task(), "mine")
        writer.create(REGULAR, SHAPE)
        values = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
        writer.write(REGULAR, torch.arange(109), Forecast(values))
    return path


@pytest.fixture
def attack(waves_at_hand, good_forecast, tmp_path, monkeypatch) -> Attack:
    folder, canary, here = (tmp_path / name for name in ("attacker", "canary", "here"))
    for path in (folder, canary, here):
        path.mkdir()
    (canary / "secret.txt").write_text("kept")
    shutil.copytree(good_forecast, folder / "forecast.zarr")
    monkeypatch.chdir(here)
    return Attack(folder, folder / "forecast.zarr", waves_at_hand, canary, tmp_path / "owned", monkeypatch)


@pytest.fixture
def command(monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process; gives exit code, output and errors."""
    from tsbench.cli.main import main

    def run(*words: Any) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tsbench", *map(str, words)])
        capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        return int(code or 0), *capsys.readouterr()

    return run


def files_of(folder: Path, but: Path) -> dict[str, int]:
    """Every file below a folder with its size, but for what lies in one folder and our own small caches."""
    found = {}
    for parent, names, files in os.walk(folder):
        if Path(parent) == but:
            names.clear()
            continue
        for name in files:
            path = Path(parent, name)
            if name != ".code.json":
                found[str(path)] = path.lstat().st_size
    return found


@pytest.mark.parametrize("name", CASES)
def test_hostile_input_is_refused_with_one_line(name, attack, command, waves_folder, tmp_path):
    words = CASES[name](attack)
    if words[0] == "run" and "--data" in words:
        attack.patch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))
    before = files_of(tmp_path, attack.folder), files_of(waves_folder, attack.folder)

    code, out, errors = command(*words)

    assert code == 2, (out, errors)
    assert errors.endswith("\n")
    line = errors[:-1]
    assert line.isprintable(), line
    assert line.startswith("Error: ")
    assert len(line) <= LONGEST
    assert out == ""
    assert (files_of(tmp_path, attack.folder), files_of(waves_folder, attack.folder)) == before
    assert not attack.marker.exists()
    assert (attack.canary / "secret.txt").read_text() == "kept"


def test_the_payload_of_these_tests_runs_where_it_is_unpickled(attack):
    pickle.loads(attack.payload())

    assert attack.marker.exists()


def test_there_are_more_than_forty_cases():
    assert len(CASES) >= 40
