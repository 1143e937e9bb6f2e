"""Lock files between processes: one owner at a time, named in the file, taken over when the owner is dead.

A lock file holds host, process id and start time of its owner, so that a person can see who is at work and a
later process can tell a dead owner from a living one. What the lock protects is the caller's business.
"""

import contextlib
import fcntl
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from tsbench import atomic
from tsbench.contracts import InputError

POLL_SECONDS = 0.2
# psutil derives a start time from the boot time and clock ticks: two readings may differ by rounding and by
# adjustments of the clock, a re-used process id differs by far more.
START_TOLERANCE_SECONDS = 2.0
PATIENCE_SECONDS = 0.5
"""How long a lock file that another process has open is looked at, before its owner counts as living."""
DRAFT = ".lock-"


@dataclass(frozen=True)
class Owner:
    """The process that holds a lock.

    Attributes:
        host: name of its machine.
        pid: process id there.
        started: when the process started, seconds since 1970 (UTC).
    """

    host: str
    pid: int
    started: float

    @classmethod
    def current(cls) -> "Owner":
        """This process."""
        import psutil

        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    @property
    def dead(self) -> bool:
        """Whether the process seems to be gone; never true for a process on another machine.

        A start time that differs tells a process id that is used again, or a clock that was set.
        """
        import psutil

        if self.host != socket.gethostname():
            return False
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            return abs(process.create_time() - self.started) > START_TOLERANCE_SECONDS
        except psutil.NoSuchProcess:
            return True

    def __str__(self) -> str:
        started = datetime.fromtimestamp(self.started, UTC).strftime("%Y-%m-%d %H:%M:%S")
        return f"process {self.pid} on {self.host} (started {started} UTC)"


@contextlib.contextmanager
def hold(path: Path, wait: bool = False, tell: Callable[[str], None] | None = None) -> Iterator[Owner]:
    """Hold the lock file `path` while the block runs.

    Args:
        path: the lock file; its folder is created where it is missing.
        wait: whether to wait for a living owner.
        tell: is given one line when waiting begins.

    Yields:
        The owner: this process.

    Raises:
        InputError: where a living process holds the lock and `wait` is false, or its folder is read-only.
    """
    owner = Owner.current()
    told = False
    while (other := _take(path, owner)) is not None:
        if not wait:
            raise InputError(f"{_in_use(path, other)} Wait for it (--wait), or stop it first.")
        if tell is not None and not told:
            tell(f"{_in_use(path, other)} Waiting for it to finish.")
            told = True
        time.sleep(POLL_SECONDS)
    try:
        with path.open(encoding="utf-8") as file:
            # Says that the owner lives, whatever the clock does to its start time; gone with the process.
            fcntl.flock(file, fcntl.LOCK_SH)
            for draft in path.parent.glob(f"{DRAFT}*"):
                draft.unlink(missing_ok=True)
            yield owner
    finally:
        # A forked child that leaves the block must not free the parent's lock.
        if os.getpid() == owner.pid and read_owner(path) == owner:
            path.unlink()


def read_owner(path: Path) -> Owner | None:
    """The owner named in a lock file, or None where the lock is free.

    Raises:
        InputError: where the file is not a lock file.
    """
    try:
        return _parse(path, path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return None


def free(path: Path) -> None:
    """Remove the lock file of a dead owner; for those who find the work done and need no lock."""
    with contextlib.suppress(InputError, OSError):
        other = read_owner(path)
        if other is not None and other.dead:
            _remove_dead(path)


def _take(path: Path, owner: Owner) -> Owner | None:
    """Take the lock; returns None when it is ours, else the living owner."""
    while not _create(path, owner):
        other = read_owner(path)
        if other is not None and not (other.dead and _remove_dead(path)):
            return other
    return None


def _create(path: Path, owner: Owner) -> bool:
    """Create the lock file, or find that there is one.

    The text is written first and the finished file linked under its name: like O_EXCL this succeeds for one
    process only, and nobody ever reads a lock file that is still empty, not even after a power cut.
    """
    try:
        atomic.make_folder(path.parent)
        descriptor, name = tempfile.mkstemp(prefix=DRAFT, dir=path.parent)
    except OSError as error:
        raise InputError(
            f"Cannot write in {path.parent}: {error.strerror}. Choose a folder you can write."
        ) from error
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(owner), file)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
        return True
    except (FileExistsError, FileNotFoundError):
        # Not found: the owner has tidied up all drafts, since it cannot tell those of killed processes.
        return False
    finally:
        draft.unlink(missing_ok=True)


def _remove_dead(path: Path) -> bool:
    """Remove a dead owner's lock file, and never that of a process that took the lock in the meantime.

    Whoever removes holds an advisory lock on the very file it has looked at. While that descriptor is open
    its inode cannot be used again, so "the path still leads to this inode" means "nobody has replaced it".

    Returns:
        False where the owner turns out to live.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return True
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        if not _lock_alone(file.fileno()):
            return False
        try:
            same = os.path.samestat(path.stat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            return True
        if same and _parse(path, file.read()).dead:
            path.unlink()
    return True


def _lock_alone(descriptor: int) -> bool:
    """Take the advisory lock on a lock file; other removers let go at once, an owner does not."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > give_up:
                return False
            time.sleep(0.01)


def _parse(path: Path, text: str) -> Owner:
    try:
        owner = Owner(**json.loads(text))
        if (type(owner.host), type(owner.pid)) != (str, int) or not isinstance(owner.started, int | float):
            raise TypeError("host, pid and started must be a text and two numbers")
        return owner
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is not a lock file of tsbench; remove it if nothing is running") from error


def _in_use(path: Path, other: Owner) -> str:
    hint = "" if other.host == socket.gethostname() else f"; if it is gone, remove {path.name}"
    return f"{path.parent} is in use by {other}{hint}."
