"""Nothing half-written: files and folders appear under their name only when they are whole and on disk."""

import contextlib
import ctypes
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tsbench.contracts import InputError

TEMPORARY = ".tmp-"
AT_FDCWD, RENAME_EXCHANGE = -100, 2


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder under a temporary name beside `target`; fsynced and renamed to `target` when the block ends.

    An existing `target` is replaced; readers find the old or the new folder, never a mixture. The temporary
    folder is removed if the block raises, or by the next writer of `target` if this process is killed.

    Raises:
        InputError: where the parent cannot be written.
    """
    remove_abandoned(target)
    temporary, descriptor = _claim(target, folder=True)
    try:
        yield temporary
        move_folder(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(descriptor)


def move_folder(finished: Path, target: Path) -> None:
    """Flush a finished folder to disk and rename it to `target`, which is replaced if it exists.

    The two change places in one step, so that a process that is killed here loses neither; only file systems
    that cannot do that (some network file systems) have no `target` for an instant.
    """
    sync_tree(finished)
    replaced = finished
    try:
        finished.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        if not exchange(finished, target):
            replaced = Path(_temporary(target, folder=True))
            replaced.rmdir()
            target.rename(replaced)
            finished.rename(target)
    sync_folder(target.parent)
    if replaced.exists():
        shutil.rmtree(replaced)


def exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step; false where the file system or the C library cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0


def remove_folder(folder: Path) -> None:
    """Remove a folder that readers look for: it is gone as a whole before anything in it is."""
    aside = Path(_temporary(folder, folder=True))
    folder.rename(aside)  # replaces the empty folder
    sync_folder(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Create a folder and those above it where they are missing, and flush their entries to disk."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


@contextlib.contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """A path under a temporary name beside `target`; fsynced and renamed to `target` when the block ends.

    Raises:
        InputError: where the parent cannot be written.
    """
    temporary, descriptor = _claim(target, folder=False)
    try:
        yield temporary
        _sync_file(temporary)
        temporary.replace(target)
        sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(descriptor)


def write_text(target: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with new_file(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_leftovers(parent: Path) -> None:
    """Remove what killed writers left in `parent`. Call it only while holding the lock on `parent`."""
    for leftover in parent.glob(f"{TEMPORARY}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def remove_abandoned(target: Path) -> None:
    """Remove what killed writers of `target` left beside it; needs no lock, living writers are left alone."""
    for leftover in target.parent.glob(f"{TEMPORARY}{glob.escape(target.name)}-*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(leftover, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            finally:
                os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below `folder` to disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            _sync_file(Path(parent) / name)
        sync_folder(Path(parent))


def sync_path(path: Path) -> None:
    """Flush a file, or everything below a folder, to disk; and its entry."""
    if path.is_dir():
        sync_tree(path)
    elif path.is_file():
        _sync_file(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _claim(target: Path, folder: bool) -> tuple[Path, int]:
    """A path under a temporary name, and a descriptor whose lock says that its writer lives."""
    while True:
        temporary = Path(_temporary(target, folder))
        # Another process may take it for abandoned before it is locked.
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(temporary, os.O_RDONLY)
            with contextlib.suppress(OSError):  # some network file systems have no locks
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            if temporary.exists():
                return temporary, descriptor
            os.close(descriptor)


def _temporary(target: Path, folder: bool) -> str:
    try:
        make_folder(target.parent)
        prefix = f"{TEMPORARY}{target.name}-"
        if folder:
            path = tempfile.mkdtemp(prefix=prefix, dir=target.parent)
            Path(path).chmod(0o755)
            return path
        descriptor, path = tempfile.mkstemp(prefix=prefix, dir=target.parent)
        os.fchmod(descriptor, 0o644)
        os.close(descriptor)
        return path
    except OSError as error:
        raise InputError(
            f"Cannot write in {target.parent}: {error.strerror}. Choose a folder you can write."
        ) from error
