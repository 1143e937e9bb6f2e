"""Wall time of a fit, summed over attempts that were killed: kept on disk, one record an attempt."""

import json
import time
from pathlib import Path

from tsbench import atomic

FILE = "attempts.json"


class Attempts:
    """Attempts at one fit. The seconds of a killed attempt are those up to its last whole epoch.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.earlier: list[float] = json.loads(self.path.read_text()) if self.path.is_file() else []
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
