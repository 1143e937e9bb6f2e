"""Wall time of a fit, summed over attempts that were killed: kept on disk, one record an attempt."""

import json
import time
from pathlib import Path

from tsbench import atomic
from tsbench.contracts import InputError
from tsbench.contracts.strict import parse_json

FILE = "attempts.json"


class Attempts:
    """Attempts at one fit. The seconds of a killed attempt are those up to its last whole epoch.

    Args:
        folder: the run folder.
        name: of the file.

    Raises:
        InputError: where the record of earlier attempts is damaged.
    """

    def __init__(self, folder: Path, name: str = FILE) -> None:
        self.path = folder / name
        self.earlier = self._read() if self.path.is_file() else []
        self._start = time.perf_counter()

    @property
    def count(self) -> int:
        """Attempts so far, this one included."""
        return len(self.earlier) + 1

    def note(self) -> None:
        """Record how long this attempt has run so far."""
        atomic.write_text(self.path, json.dumps([*self.earlier, time.perf_counter() - self._start]))

    def seconds(self) -> float:
        """Seconds of all attempts, this one included."""
        return sum(self.earlier) + time.perf_counter() - self._start

    def _read(self) -> list[float]:
        found = parse_json(self.path.read_bytes(), self.path)
        if not isinstance(found, list) or not all(type(one) in (int, float) and one >= 0 for one in found):
            raise InputError(f"{self.path} is damaged; start over with --fresh")
        return found
