"""Borders of splits and windows, computed anew from the declaration and compared with what a run is given."""

from collections.abc import Iterator

import numpy as np
import torch

from tsbench import registry
from tsbench.contracts import Split, Task
from tsbench.data.collection_data import CollectionData
from tsbench.data.sample_data import SampleData
from tsbench.data.series_data import SeriesData
from tsbench.data.windows import Windows

from .cells import cell_faults, sample_counts
from .collections import collection_counts, drawn_faults, origin_faults
from .excerpt import spread_with_ends
from .subject import PARTS, Finding, Subject

LOOKED_AT = 8
"""Windows of a part whose values are compared row by row: both ends, and some between."""


def borders(subject: Subject) -> Finding:
    """Every case that the declaration promises is there once, on its own rows, and no other."""
    if isinstance(subject.own, SampleData):
        faults = [*cell_faults(subject), *_sample_value_faults(subject)]
        return Finding("borders", f"{sample_counts(subject)}, by their labels", tuple(faults))
    counts, faults = {}, []
    for name, data in subject.data.items():
        if isinstance(data, CollectionData):
            found = [*origin_faults(data, subject.context), *drawn_faults(data, subject.context)]
            faults += [f"{name}: {fault}" for fault in found]
            counts[name] = collection_counts(data, subject.context).removeprefix(f"{name} ")
            continue
        assert isinstance(data, SeriesData)
        faults += [f"{name}: {fault}" for fault in _row_faults(data, subject.context)]
        counts[name] = " + ".join(str(len(data.windows(part, subject.context))) for part in PARTS)
    listed = ", ".join(f"{name} {count}" for name, count in counts.items())
    return Finding(
        "borders", f"training, validation and test windows with look-back {subject.context}: {listed}",
        tuple(faults),
    )  # fmt: skip


def declared_borders(task: Task, rows: int) -> tuple[int, int, int]:
    """First row after the training, the validation and the test part, as the declaration says."""
    split = task.split
    assert isinstance(split, Split)
    if split.kind == "rows":
        train, validation = round(split.train), round(split.train) + round(split.validation)
        return train, validation, validation + round(split.test)
    # As the published codes do: train and test are rounded down, validation takes what is left.
    return int(rows * split.train), rows - int(rows * split.test), rows


def _row_faults(data: SeriesData, context: int) -> Iterator[str]:
    rows, horizon = len(data.table.values), data.task.horizon
    variant = registry.datasets().get(data.name)
    if variant and variant.variant.rows not in (None, rows):
        yield f"{rows} rows, the card says {variant.variant.rows}"
    train, validation, end = declared_borders(data.task, rows)
    first_rows = {"train": 0, "validation": train, "test": validation}
    ends = {"train": train, "validation": validation, "test": end}
    for part in PARTS:
        windows = data.windows(part, context)
        first = context if part == "train" else first_rows[part]
        wanted = list(range(first, ends[part] - horizon + 1))
        found = windows.origins.tolist()
        if found != wanted:
            yield (
                f"the {part} part has {len(found)} windows with targets from row {found[0]} to "
                f"{found[-1] + horizon - 1}; declared are {len(wanted)}, from {wanted[0]} to "
                f"{wanted[-1] + horizon - 1}"
            )
        yield from _value_faults(data, windows, part, range(first_rows[part], ends[part]))


def _value_faults(data: SeriesData, windows: Windows, part: str, own: range) -> Iterator[str]:
    """Whether gathered windows hold the stored rows before and after their origin."""
    chosen = spread_with_ends(len(windows), LOOKED_AT)
    batch = windows.using("context", "target").gather(chosen)
    truth, valid = windows.gather_truth(chosen)
    stored = data.table.values
    model = (stored - data.scale.shift.numpy()) / data.scale.factor.numpy()
    columns = [data.table.variables.index(name) for name in data.targets]
    scored = (model if data.task.space == "normalised" else stored)[:, columns]
    for number, origin in enumerate(windows.origins[chosen].tolist()):
        past = slice(origin - windows.context, origin)
        ahead = slice(origin, origin + windows.horizon)
        if origin not in own or origin + windows.horizon - 1 not in own:
            yield f"the {part} target of rows {origin} to {origin + windows.horizon - 1} leaves its part"
            continue
        pairs = {
            "context": (batch["context"][number], model[past]),
            "target": (batch["target"][number], model[ahead][:, columns]),
            "truth": (truth[number], scored[ahead]),
        }
        for name, (given, wanted) in pairs.items():
            if not _equal_where_stored(given, wanted):
                yield f"the {name} of the {part} window at row {origin} is not that of the stored rows"
        known = np.isfinite(scored[ahead])
        if not np.array_equal(np.ones_like(known) if valid is None else valid[number].numpy(), known):
            yield f"the mask of the {part} window at row {origin} is not where values are missing"


def _equal_where_stored(given: torch.Tensor, wanted: np.ndarray) -> bool:
    if tuple(given.shape) != wanted.shape:
        return False
    known = np.isfinite(wanted)
    return np.allclose(given.numpy()[known], wanted[known], rtol=1e-5, atol=1e-5)


def _sample_value_faults(subject: Subject) -> Iterator[str]:
    """Whether gathered samples hold the stored context and target of their own row."""
    data = subject.small
    assert isinstance(data, SampleData)
    assert data.task.samples is not None
    contexts = np.asarray(data.opened[data.task.samples.context].values)
    targets = np.asarray(data.opened[data.task.samples.target].values)
    for part in PARTS:
        cases = data.windows(part, subject.context)
        chosen = spread_with_ends(len(cases), LOOKED_AT)
        batch = cases.using("context", "target").gather(chosen)
        rows = cases.rows[chosen].numpy()
        given = {
            "context": (data.scale.to_units(batch["context"]), contexts[rows]),
            "target": (data.scale.to_units(batch["target"]), targets[rows]),
            "truth": (cases.gather_truth(chosen)[0], targets[rows]),
        }
        for name, (found, stored) in given.items():
            if found.shape != stored.shape or not np.allclose(found.numpy(), stored, rtol=1e-4, atol=1e-5):
                yield f"the {name} of the {part} samples is not that of their rows"
