"""Where published files come from: a file or folder that the user names, a folder of files, or a download."""

import hashlib
import os
from pathlib import Path
from urllib.parse import urlsplit

from tsbench.contracts import InputError, SourceFile
from tsbench.registry import DatasetEntry

DOWNLOAD_TIMEOUT_SECONDS = 20


def find_files(
    entry: DatasetEntry, source: Path | None, downloads: Path, allow_other_checksum: bool
) -> dict[str, Path]:
    """Find and check every file of a data set.

    Args:
        entry: the data set.
        source: a file or a folder; None to look in TSBENCH_DATA_SOURCE and then to download.
        downloads: folder for downloaded files.
        allow_other_checksum: accept files whose checksum is not that of the card.

    Returns:
        Published file name → path.

    Raises:
        InputError: where a file is missing, cannot be downloaded, or is not the published one.
    """
    if entry.variant.tree:
        return _find_tree(entry, source)
    found: dict[str, Path] = {}
    for file in entry.variant.files:
        alone = len(entry.variant.files) == 1
        path = _from_user(file, source, alone) if source else in_environment(file)
        if path is None:
            found[file.name] = _download(file, downloads, entry.name)
            continue
        if not allow_other_checksum:
            _check(file, path)
        found[file.name] = path
    return found


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return _digest(path, "sha256")


def in_environment(file: SourceFile) -> Path | None:
    """The file in the folder that the environment variable TSBENCH_DATA_SOURCE names, or None."""
    folder = _source_folder()
    return _in_folder(file, folder) if folder else None


def tree_in_environment(pattern: str) -> dict[str, Path]:
    """The files of a tree in the folder that TSBENCH_DATA_SOURCE names: path below it → path."""
    folder = _source_folder()
    return _in_tree(pattern, folder) if folder else {}


def _source_folder() -> Path | None:
    chosen = os.environ.get("TSBENCH_DATA_SOURCE")
    if chosen and "://" in chosen:  # not repeated: an address may hold credentials
        raise InputError("TSBENCH_DATA_SOURCE holds an address; it must name a folder")
    return Path(chosen).expanduser() if chosen else None


def _find_tree(entry: DatasetEntry, source: Path | None) -> dict[str, Path]:
    pattern = str(entry.variant.tree)
    if source is None:
        found = tree_in_environment(pattern)
        if not found:
            raise InputError(
                f"'{entry.name}' is read from a folder: tsbench data get {entry.name} --from DIR"
            )
        return found
    if source.is_file() and entry.card.family:
        return {source.name: source}
    if not source.is_dir():
        raise InputError(f"There is no folder {source}")
    found = _in_tree(pattern, source)
    if not found:
        raise InputError(f"{source} holds no file like {pattern}")
    return found


def _in_tree(pattern: str, folder: Path) -> dict[str, Path]:
    return {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob(pattern)) if path.is_file()
    }


def _from_user(file: SourceFile, source: Path, alone: bool) -> Path:
    if source.is_file() and (alone or source.name in _names(file)):
        return source
    folder = source.parent if source.is_file() else source
    if not folder.is_dir():
        raise InputError(f"There is no file or folder {source}")
    path = _in_folder(file, folder)
    if path is None:
        raise InputError(f"{folder} holds no {' or '.join(_names(file))}")
    return path


def _in_folder(file: SourceFile, folder: Path) -> Path | None:
    """The file in the folder, or in a folder directly below it (as repositories of data sets have them)."""
    candidates = [folder / name for name in _names(file)]
    candidates += [path for name in _names(file) for path in sorted(folder.glob(f"*/{name}"))]
    return next((path for path in candidates if path.is_file()), None)


def _names(file: SourceFile) -> tuple[str, ...]:
    return (file.name, *file.alternatives)


def _check(file: SourceFile, path: Path) -> None:
    if file.checksum is None:
        return
    for checksum in (file.checksum, *file.alternative_checksums):
        algorithm, _, expected = checksum.partition(":")
        if _digest(path, algorithm) == expected:
            return
    algorithm, _, expected = file.checksum.partition(":")
    actual = _digest(path, algorithm)
    raise InputError(
        f"{path} is not {file.name} as published: its {algorithm} is {actual[:16]}…, the card says "
        f"{expected[:16]}…. If that is meant: --allow-other-checksum"
    )


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, algorithm).hexdigest()


def _download(file: SourceFile, folder: Path, name: str) -> Path:
    help_line = f"If you have the file: tsbench data get {name} --from FILE_OR_DIR"
    if file.url is None:
        raise InputError(f"{file.name} is not offered for download. {help_line}")
    import pooch

    folder.mkdir(parents=True, exist_ok=True)
    pooch.get_logger().setLevel("ERROR")
    try:
        path = pooch.retrieve(
            file.url,
            known_hash=file.checksum,
            fname=file.name,
            path=folder,
            # Pooch's protocol names the arguments otherwise than its own downloaders do.
            downloader=pooch.HTTPDownloader(timeout=DOWNLOAD_TIMEOUT_SECONDS),  # pyright: ignore[reportArgumentType]
        )
    except OSError as error:
        raise InputError(
            f"Cannot download {_address(file.url)} ({type(error).__name__}). {help_line}"
        ) from error
    except ValueError as error:
        reason = "gives another file than published (checksum)"
        raise InputError(f"{_address(file.url)} {reason}. {help_line}") from error
    return Path(path)


def _address(url: str) -> str:
    """An address without the credentials that it may hold: neither name and password, nor a query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
