"""Keeps what is expensive to make, by the hash of what it was made of, in a folder.

A kept text is used again only where everything that it depends on is the same, so that a build with it and
one without give the same bytes. What cannot be read is made again.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsbench import atomic
from tsbench.contracts import InputError

SUM = 16
"""Bytes of the checksum before the content."""
PACKAGES = ("altair", "vl-convert-python", "jinja2", "pandas", "numpy")
_folder: ContextVar[Path | None] = ContextVar("kept", default=None)


@contextmanager
def kept_in(folder: Path | None) -> Iterator[None]:
    """Keep texts in a folder while the block runs; None: keep nothing."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def kept(kind: str, inputs: Any, make: Callable[[], str]) -> str:
    """The text that `make` gives, from the folder where it was made of the same inputs before.

    Args:
        kind: of the text; part of its key.
        inputs: everything that the text depends on, besides the code of the leaderboard: JSON-like, also with
            tables, arrays and dataclasses in it.
        make: makes the text.
    """
    return kept_bytes(kind, inputs, lambda: make().encode("utf-8")).decode("utf-8")


def kept_bytes(kind: str, inputs: Any, make: Callable[[], bytes]) -> bytes:
    """As `kept`, for bytes."""
    folder = _folder.get()
    if folder is None:
        return make()
    key = hashlib.blake2b(digest_size=16)
    for part in (kind, code(), json.dumps(inputs, sort_keys=True, separators=(",", ":"), default=_said)):
        key.update(part.encode("utf-8") + b"\0")
    name = key.hexdigest()
    path = folder / name[:2] / name
    try:
        check, found = (content := path.read_bytes())[:SUM], content[SUM:]
        if check == _check(found):
            os.utime(path)
            return found
    except (FileNotFoundError, NotADirectoryError):
        pass  # never made: made now
    made = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot hold the cache of the pages: {error.strerror}") from error
    with atomic.new_file(path) as temporary:
        temporary.write_bytes(_check(made) + made)
    return made


def drawn_once(chart: Callable[..., str], *arguments: Any, **named: Any) -> str:
    """What a function of this package draws from these arguments, kept like any text."""

    def draw() -> str:
        from .charts.drawing import unchecked

        with unchecked():
            return chart(*arguments, **named)

    return kept(f"{chart.__module__}.{chart.__qualname__}", [arguments, named], draw)


def forget(folder: Path, days: float = 30.0) -> None:
    """Remove what has not been used for some time."""
    oldest = time.time() - days * 86400
    for path in folder.glob("??/*"):
        with suppress(FileNotFoundError):  # another build removes it too
            if path.stat().st_mtime < oldest:
                path.unlink()


def _said(value: Any) -> Any:
    """What JSON does not know, without losing a digit."""
    if isinstance(value, pd.DataFrame):
        return {"columns": list(value.columns), "rows": value.to_csv(index=False, header=False)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in fields(value)}
    raise TypeError(f"{type(value).__name__} cannot be part of a key")


def _check(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=SUM).digest()


@cache
def code() -> str:
    """Hash of the leaderboard's files, of what they read Results with, and of the packages that draw."""
    root = Path(__file__).parents[1]
    digest = hashlib.blake2b(digest_size=16)
    folders = (root / "leaderboard", root / "contracts", root / "evaluation")
    for path in sorted(one for folder in folders for one in folder.rglob("*") if one.is_file()):
        if path.suffix in (".py", ".html", ".css", ".js"):
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    for package in PACKAGES:
        digest.update(f"{package} {version(package)}\0".encode())
    return digest.hexdigest()
