"""A GluonTS data set in Python (`ListDataset`, `PandasDataset`, any iterable of entries) as a store."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tsbench import atomic, registry
from tsbench.contracts import InputError, Provenance
from tsbench.data.prepare import on_standard_error
from tsbench.data.store import content_hash, store_path, write_store
from tsbench.locks import hold

from .collect import dataset_of
from .entries import entry_of
from .files import Metadata
from .frequency import step_of

FAMILY = "gluonts"


def prepare_gluonts(
    dataset: Iterable[Any],
    name: str,
    *,
    test: Iterable[Any] | None = None,
    frequency: str | None = None,
    prediction_length: int | None = None,
) -> str:
    """Prepare a GluonTS data set that is at hand in Python.

    Args:
        dataset: entries; those of the training part where there is a `test`.
        name: of the data set: it becomes `gluonts-<name>`, as if its folder had been read.
        test: entries that go on from those of `dataset`, one or several windows a series.
        frequency: of pandas; by default that of the data set or of its first start.
        prediction_length: horizon of its task; by default what the test part is longer by.

    Returns:
        The name of the data set, which is that of its task as well.

    Raises:
        InputError: with the first mistake in an entry, or where the frequency is not known.
    """
    entry = registry.dataset(f"{FAMILY}/{name}")
    train = list(dataset)
    found = frequency or getattr(dataset, "freq", None) or _frequency_of(train)
    if found is None:
        raise InputError(f"'{entry.name}': give its frequency, such as frequency='h'")
    step_of(str(found))
    checked, tested = (
        [entry_of(one, f"{part}, entry {number}") for number, one in enumerate(entries, start=1)]
        for part, entries in (("dataset", train), ("test", list(test or ())))
    )
    if not checked:
        raise InputError(f"'{entry.name}': the data set is empty")
    made = dataset_of(Metadata(str(found), prediction_length), checked, tested, entry.name)
    digest = hashlib.sha256(f"{content_hash(made)}|{sorted(made.attrs.items())}".encode()).hexdigest()
    provenance = Provenance(
        dataset=entry.name,
        adapter=entry.card.name,
        generator_version=entry.card.generator_version,
        parameters=entry.variant.parameters,
        size="full",
        seed=None,
        files={"entries": digest},
    )
    path: Path = store_path(entry.name)
    with hold(path.parent / ".lock", wait=True, tell=on_standard_error):
        atomic.remove_leftovers(path.parent)
        write_store(path, made, provenance, entry.variant)
    return entry.name


def _frequency_of(entries: list[Any]) -> str | None:
    start = entries[0].get("start") if entries and isinstance(entries[0], dict) else None
    return getattr(start, "freqstr", None)
