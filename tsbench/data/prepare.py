"""Preparing stores: finds the published files, checks them, asks the adapter and writes the store, once.

Nothing heavy is imported unless a store is really built, so that reusing one costs a few milliseconds.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from tsbench import atomic, registry
from tsbench.contracts import InputError, Provenance
from tsbench.locks import hold
from tsbench.registry import DatasetEntry

from .adapter import BuildRequest, Size
from .parts import build_in_parts
from .sources import find_files, in_environment, sha256, tree_in_environment
from .store import ROOT_FILE, USER_PREFIX, read_provenance, store_path, write_store

USER_ADAPTER = "csv"
"""Reads users' own files."""
DEFAULT_SEED = 0
"""Seed of the generated data that tasks are defined on."""


def on_standard_error(line: str) -> None:
    """Tell one line to the person at the terminal."""
    sys.stderr.write(f"{line}\n")


def ensure(name: str, size: Size = "full") -> Path:
    """The store of data set `name`: the one that is there where the card would make the same, else a new one.

    Files that were read once are not read or hashed again.

    Raises:
        InputError: for an unknown name, where the data cannot be had, or where the store is damaged.
    """
    path = store_path(name, size)
    if name.startswith(USER_PREFIX):
        if not (path / ROOT_FILE).is_file():
            raise InputError(f"Unknown dataset '{name}': give the file itself (tsbench run … --data FILE)")
        return path
    entry = registry.dataset(name)
    if entry.card.family:
        return _of_family(entry, store_path(entry.name, size))
    if (path / ROOT_FILE).is_file() and _same_recipe(read_provenance(path), entry):
        return path
    return prepare(name, size=size)


def at_hand(name: str) -> bool:
    """Whether the store of a data set is there, or can be made without a download.

    Raises:
        InputError: for an unknown name.
    """
    if (store_path(name) / ROOT_FILE).is_file():
        return True
    entry = registry.dataset(name)
    if entry.card.family:
        return False
    if entry.variant.tree:
        return bool(tree_in_environment(entry.variant.tree))
    return entry.origin == "generated" or all(in_environment(file) for file in entry.variant.files)


def prepare(
    name: str,
    source: Path | None = None,
    size: Size = "full",
    seed: int = DEFAULT_SEED,
    fresh: bool = False,
    allow_other_checksum: bool = False,
    processes: int | None = None,
    tell: Callable[[str], None] = on_standard_error,
) -> Path:
    """Prepare a built-in or third-party data set.

    Args:
        name: of the data set.
        source: a published file, or a folder that holds the published files; None to look in the folder that
            the environment variable TSBENCH_DATA_SOURCE names, and then to download.
        size: `full` for published data; generators also make `tiny` and `small`.
        seed: of a generator.
        fresh: make the store anew although there is one.
        allow_other_checksum: accept files whose checksum is not that of the card.
        processes: that build parts, where the adapter works in parts; None for one a core.
        tell: is given one line when another process prepares the same data and this one waits, and lines of
            progress where the adapter works in parts.

    Returns:
        Path of the store.

    Raises:
        InputError: for an unknown name, files that are missing or not those of the card, or data that are not
            as the card declares.
    """
    entry = registry.dataset(name)
    name = entry.name
    if entry.card.family and name == entry.card.name:
        raise InputError(f"'{name}' holds many data sets: tsbench data get {name}/NAME --from DIR")
    if entry.origin == "user" and not entry.card.family:
        raise InputError(f"'{name}' reads files of your own: tsbench run MODEL --data FILE --horizon STEPS")
    generated = entry.origin == "generated"
    if not generated and size != "full":
        raise InputError(f"'{name}' is published data and has one size, full; not '{size}'")
    path = store_path(name, size)
    if entry.card.family and source is None:
        return _of_family(entry, path)
    files = find_files(entry, source, path.parent / "downloads", allow_other_checksum)
    parameters = entry.variant.parameters
    if entry.card.family and hasattr(adapter := registry.adapter(entry), "read_source"):
        parameters, files = adapter.read_source(name, files)
    provenance = Provenance(
        dataset=name,
        adapter=entry.card.name,
        generator_version=entry.card.generator_version,
        parameters=parameters,
        size=size,
        seed=seed if generated else None,
        files={published: sha256(file) for published, file in files.items()},
    )
    return build(entry, provenance, files, fresh, processes, tell)


def build(
    entry: DatasetEntry,
    provenance: Provenance,
    files: dict[str, Path],
    fresh: bool,
    processes: int | None = None,
    tell: Callable[[str], None] = on_standard_error,
) -> Path:
    """Write the store of that provenance, or reuse the one that is there; other processes wait.

    Raises:
        InputError: where the adapter refuses the files, or the data are not as the card declares.
    """
    path = store_path(provenance.dataset, provenance.size)
    with hold(path.parent / ".lock", wait=True, tell=tell):
        atomic.remove_leftovers(path.parent)
        if not fresh and (path / ROOT_FILE).is_file() and read_provenance(path).recipe == provenance.recipe:
            return path
        request = BuildRequest(
            name=provenance.dataset,
            variant=entry.variant,
            files=files,
            parameters=dict(provenance.parameters),
            size=provenance.size,
            seed=provenance.seed or 0,
        )
        adapter = registry.adapter(entry)
        if hasattr(adapter, "build_part"):
            build_in_parts(path, adapter.__name__, request, provenance, fresh, processes, tell)
        else:
            write_store(path, adapter.build(request), provenance, entry.variant)
    return path


def _of_family(entry: DatasetEntry, path: Path) -> Path:
    """The store of a member of a family, which is made from files of the user's own and from nothing else."""
    if (path / ROOT_FILE).is_file():
        return path
    family, name = entry.card.name, entry.name
    member = "NAME" if name == family else name.removeprefix(f"{family}-")
    raise InputError(f"'{name}' is not prepared: tsbench data get {family}/{member} --from DIR")


def _same_recipe(found: Provenance, entry: DatasetEntry) -> bool:
    seed = DEFAULT_SEED if entry.origin == "generated" else None
    made = (found.adapter, found.generator_version, found.parameters, found.seed)
    return made == (entry.card.name, entry.card.generator_version, entry.variant.parameters, seed)
