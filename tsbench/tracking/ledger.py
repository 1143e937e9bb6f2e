"""Which Result belongs to which experiment, and which stores have it: a line a fact in `.tracking.jsonl`.

MLflow itself decides what is missing (`tsbench results log` asks it). The ledger serves two other ends: it
knows the experiment of a Result that could not be sent, and it spares a reused run the import of MLflow.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from tsbench.contracts import canonical_hash

from .location import mask, scheme_of, sqlite_path

LEDGER = ".tracking.jsonl"


class Ledger:
    """The ledger of a runs folder.

    Args:
        runs: the folder.
    """

    def __init__(self, runs: Path) -> None:
        self.path = runs / LEDGER
        self._stores: dict[tuple[str, str], set[str]] = {}
        for result, experiment, store in self._lines():
            self._stores.setdefault((result, experiment), set()).add(store)

    def experiments(self, result: str) -> list[str]:
        """Experiments that a Result belongs to, by its hash."""
        return sorted(experiment for known, experiment in self._stores if known == result)

    def has(self, result: str, experiment: str, uri: str) -> bool:
        """Whether the Result was sent to a store that is still there."""
        if scheme_of(uri) == "sqlite" and not sqlite_path(uri).exists():
            return False
        return _store(uri) in self._stores.get((result, experiment), ())

    def belongs(self, result: str, experiment: str) -> None:
        """Note the experiment of a Result, before it is sent."""
        if (result, experiment) not in self._stores:
            self._add(result, experiment, "")

    def sent(self, result: str, experiment: str, uri: str) -> None:
        """Note that a store has the Result."""
        if _store(uri) not in self._stores.get((result, experiment), ()):
            self._add(result, experiment, _store(uri))

    def _add(self, result: str, experiment: str, store: str) -> None:
        line = json.dumps({"result": result, "experiment": experiment, "store": store}) + "\n"
        # What cannot be noted (read-only folder, full disk) is no reason to log nothing.
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # One short write to a file opened for appending: lines of several processes do not mix.
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(descriptor, self._after_torn(descriptor) + line.encode())
            finally:
                os.close(descriptor)
        self._stores.setdefault((result, experiment), set()).add(store)

    def _after_torn(self, descriptor: int) -> bytes:
        """What ends a torn last line, so that it takes the next one with it no more."""
        size = os.fstat(descriptor).st_size
        return b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""

    def _lines(self) -> Iterator[tuple[str, str, str]]:
        if not self.path.exists():
            return
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                fact = json.loads(line)
                yield fact["result"], fact["experiment"], fact["store"]
            except (ValueError, KeyError, TypeError, RecursionError):
                # A line that a full disk or a power cut tore: at worst its Result is looked up in MLflow.
                continue


def _store(uri: str) -> str:
    """Stands for a store; the credentials are no part of it."""
    place = str(sqlite_path(uri).absolute()) if scheme_of(uri) == "sqlite" else mask(uri, uri)
    return canonical_hash(place)
