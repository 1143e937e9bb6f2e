"""Nothing half-written: files and folders appear under their name only when they are whole and on disk."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tsbench.contracts import InputError

TEMPORARY = ".tmp-"


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder under a temporary name beside `target`; fsynced and renamed to `target` when the block ends.

    An existing `target` is replaced; while the two renames happen readers find the old or the new folder,
    or, for an instant, none, but never a mixture. The temporary folder is removed if the block raises.

    Raises:
        InputError: where the parent cannot be written.
    """
    temporary = Path(_temporary(target, folder=True))
    try:
        yield temporary
        move_folder(temporary, target)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary, ignore_errors=True)


def move_folder(finished: Path, target: Path) -> None:
    """Flush a finished folder to disk and rename it to `target` beside it, which is replaced if it exists."""
    sync_tree(finished)
    replaced = None
    if target.exists():
        replaced = Path(_temporary(target, folder=True))
        replaced.rmdir()
        target.rename(replaced)
    finished.rename(target)
    sync_folder(target.parent)
    if replaced is not None:
        shutil.rmtree(replaced)


@contextlib.contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """A path under a temporary name beside `target`; fsynced and renamed to `target` when the block ends.

    Raises:
        InputError: where the parent cannot be written.
    """
    temporary = Path(_temporary(target, folder=False))
    try:
        yield temporary
        _sync_file(temporary)
        temporary.replace(target)
        sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


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


def _temporary(target: Path, folder: bool) -> str:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
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
