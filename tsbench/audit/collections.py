"""Checks of collections of series: borders, values, scales, each computed anew from declaration and store."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from tsbench.contracts import InputError, RollingSplit, SeriesSplit, Task
from tsbench.data.collection import SeriesCollection
from tsbench.data.collection_cases import RollingWindows
from tsbench.data.collection_data import CollectionData
from tsbench.data.task_data import SplitName

from .excerpt import spread_with_ends

PARTS: tuple[SplitName, ...] = ("train", "validation", "test")
SERIES, WINDOWS = 200, 8
"""Series whose origins are computed anew, and windows of a part whose values are: ends, and some between."""
EPOCHS = 5
TOLERANCE = 1e-9


def declared_origins(task: Task, collection: SeriesCollection) -> Iterator[dict[str, list[int]]]:
    """Origins of each series by the words of the declaration, as positions in it; `end`: of what trains."""
    if isinstance(task.split, SeriesSplit):
        yield from _origins_by_label(task.split, collection, task.horizon)
        return
    assert isinstance(task.split, RollingSplit)
    split, sizes, horizon = task.split, collection.sizes, task.horizon
    step = split.step or horizon
    windows = split.windows
    if not isinstance(windows, int):
        shortest = min(sizes.tolist())
        needed = windows.share * shortest
        wanted = next(number for number in range(1, shortest + 2) if number * horizon >= needed)
        windows = min(wanted, windows.most)
    for size in sizes.tolist():
        last = size - split.unused - horizon
        test = [last - step * number for number in reversed(range(windows))]
        # The targets of validation windows end before those of the test part begin.
        validation = [test[0] - horizon - step * number for number in reversed(range(split.validation))]
        end = validation[0] if validation else test[0]
        yield {
            "test": test if test[0] >= split.shortest_context else [],
            "validation": [origin for origin in validation if origin >= split.shortest_context],
            "train": list(range(split.shortest_context, end - horizon + 1)),
            "end": [end],
        }


def first_unknown(data: CollectionData, *, validation: bool) -> np.ndarray:
    """First position of each series that is tested (or validated); its length where there is none."""
    collection = data.collection
    parts = list(declared_origins(data.task, collection))
    if isinstance(data.task.split, SeriesSplit):
        kept = [data.task.split.train, *([] if validation else [data.task.split.validation])]
        return np.where(np.isin(collection.parts[data.task.split.coordinate], kept), collection.sizes, 0)
    ends = [origins["end"] if validation else origins["test"] or origins["end"] for origins in parts]
    return np.array([max(0, one[0]) for one in ends])


def collection_counts(data: CollectionData, context: int) -> str:
    """How many windows each part has."""
    found = _windows_of(data, context)
    counts = " + ".join(str(len(found.get(part, ()))) for part in PARTS)
    return f"{data.name} {counts} of {len(data.collection.sizes)} series"


def origin_faults(data: CollectionData, context: int) -> Iterator[str]:
    """Whether each series has the windows of the declaration, on its own values, and no other."""
    collection = data.collection
    first = np.concatenate([[0], np.cumsum(collection.sizes)]).tolist()
    looked_at = spread_with_ends(len(collection.sizes), SERIES).tolist()
    found = _windows_of(data, context)
    declared = list(declared_origins(data.task, collection))
    for part in PARTS:
        if len(found.get(part, ())) != sum(len(origins[part]) for origins in declared):
            yield f"the {part} part has {len(found.get(part, ()))} windows"
    for part, windows in found.items():
        for series in looked_at:
            given = (windows.origins[windows.series == series] - first[series]).tolist()
            if given != declared[series][part]:
                name = collection.series[series]
                yield f"series '{name}' has other {part} origins than declared, from {given[:2]} on"
                break
    if collection.train_sizes is not None:
        ends = np.array([origins["end"][0] for origins in declared])
        if (ends > collection.train_sizes).any():
            yield "training windows reach into what the publisher keeps for the test"
    for part, windows in found.items():
        yield from _value_faults(data, windows, part)


def drawn_faults(data: CollectionData, context: int) -> Iterator[str]:
    """Whether windows that are drawn for an epoch stay in the training part and mask what lies behind it."""
    split = data.task.split
    if not isinstance(split, RollingSplit) or split.cut_within is None:
        return
    declared = list(declared_origins(data.task, data.collection))
    ends = data.collection.first + np.array([origins["end"][0] for origins in declared])
    drawn = data.windows("train", context).using("context", "target").drawn(0)
    for epoch in range(EPOCHS):
        windows = drawn.at_epoch(epoch)
        own = ends[windows.series.numpy()]
        low = np.maximum(data.collection.first[windows.series.numpy()] + split.shortest_context,
                         own - split.cut_within)  # fmt: skip
        origins = windows.origins.numpy()
        if len(set(windows.series.tolist())) != len(windows):
            yield "an epoch draws several windows of one series"
        if (origins < low).any() or (origins >= own).any():
            yield "a window is drawn outside the end of the training part"
        batch = windows.gather(torch.arange(len(windows)))
        inside = origins[:, None] + np.arange(data.task.horizon) < own[:, None]
        valid = batch["valid"].numpy() if "valid" in batch else np.ones((*inside.shape, 1), bool)
        if (valid & ~inside[..., None]).any():
            yield "a target behind the training part is not masked"


def scale_faults(data: CollectionData, context: int) -> Iterator[str]:
    """Mean and spread of training parts, and seasonal differences before test origins, by their formulas."""
    from .scale import seasonal_difference, training_statistics

    collection = data.collection
    declared = list(declared_origins(data.task, collection))
    windows = data.windows("test", context)
    columns = collection.columns(data.targets)
    for series in spread_with_ends(len(collection.sizes), SERIES).tolist():
        first = int(collection.first[series])
        values = collection.values[first : first + int(collection.sizes[series])]
        seen = values[: max(0, declared[series]["end"][0])]
        if isinstance(data.task.split, SeriesSplit):
            seen = _of_training_series(collection, declared)
        if len(seen) and not np.isnan(seen).all(axis=0).any():
            yield from _moment_faults(data, series, *training_statistics(seen))
        cases = torch.nonzero(windows.series == series).flatten()
        for case, origin in zip(cases.tolist(), declared[series]["test"], strict=True):
            known = values[:origin, columns]
            if data.task.space == "normalised":
                known = known / data.scale.factor[series].numpy()[columns]
            wanted = seasonal_difference(known, data.task.period)
            found = windows.seasonal_error(torch.tensor([case])).numpy().reshape(-1)
            if not np.allclose(found, wanted, rtol=1e-6, equal_nan=True):
                name = collection.series[series]
                yield f"the seasonal difference of series '{name}' is {found.tolist()}, not {wanted.tolist()}"


def with_other_values(
    data: CollectionData, starts: np.ndarray, random: np.random.Generator
) -> CollectionData:
    """The task opened anew with other numbers from a position of each series on.

    Args:
        data: the task.
        starts: first position that is replaced, shape (series,); the length of a series to replace nothing.
        random: draws the numbers.
    """
    collection = data.collection
    position = np.arange(len(collection.values)) - np.repeat(collection.first, collection.sizes)
    chosen = position >= np.repeat(starts, collection.sizes)
    values, past = collection.values.copy(), collection.past.values.copy()
    spread = np.nanstd(values) + 1
    others = np.nanmean(values) + 5 * spread * (
        1 + random.standard_normal((int(chosen.sum()), values.shape[1]))
    )
    if data.task.missing == "mask":
        others[random.random(others.shape) < 0.1] = np.nan
    values[chosen] = others
    past[chosen] = random.standard_normal(past[chosen].shape)
    changed = replace(collection, values=values, past=replace(collection.past, values=past))
    return CollectionData.of(data.task, changed)


def other_futures(data: CollectionData, windows: RollingWindows, case: int) -> np.ndarray:
    """Position of each series from which on a case may know nothing: its window's origin in each of them."""
    number = int((windows.series[:case] == windows.series[case]).sum())
    starts = data.collection.sizes.copy()
    first_case = torch.searchsorted(windows.series, windows.series.unique_consecutive())
    last_case = torch.cat([first_case[1:], torch.tensor([len(windows)])]) - 1
    chosen = torch.minimum(first_case + number, last_case)  # some series have fewer windows
    series = windows.series[chosen].numpy()
    starts[series] = (windows.origins[chosen]).numpy() - data.collection.first[series]
    return starts


def _windows_of(data: CollectionData, context: int) -> dict[SplitName, RollingWindows]:
    """The windows of each part that has any: other data than the task's own may be for the test alone."""
    found = {}
    for part in PARTS:
        try:
            found[part] = data.windows(part, context)
        except InputError:
            continue  # an empty part; the caller knows from the declaration whether that is right
    return found


def _origins_by_label(
    split: SeriesSplit, collection: SeriesCollection, horizon: int
) -> Iterator[dict[str, list[int]]]:
    steps = {"train": 1, "validation": split.step, "test": split.step}
    for size, label in zip(collection.sizes.tolist(), collection.parts[split.coordinate], strict=True):
        own = {
            part: list(range(split.shortest_context, size - horizon + 1, step))
            if label == getattr(split, part)
            else []
            for part, step in steps.items()
        }
        yield own | {"end": [size if label == split.train else 0]}


def _of_training_series(collection: SeriesCollection, declared: list[dict[str, list[int]]]) -> np.ndarray:
    """All values of the series that train; none where the data are another set than the task's own."""
    ends = np.array([origins["end"][0] for origins in declared])
    return collection.values[np.repeat(ends > 0, collection.sizes)]


def _moment_faults(
    data: CollectionData, series: int, mean: np.ndarray, deviation: np.ndarray
) -> Iterator[str]:
    still = deviation <= 1e-12 * np.abs(mean)
    wanted = {"mean": mean, "std": np.where(still, 0.0, deviation), "shift": mean}
    wanted["factor"] = np.where(still, 1.0, deviation)
    if data.task.normalisation == "none":
        wanted |= {"shift": np.zeros_like(mean), "factor": np.ones_like(mean)}
    for name, values in wanted.items():
        found = getattr(data.scale, name)[series].numpy()
        if not np.allclose(found, values, rtol=TOLERANCE, atol=TOLERANCE * float(np.abs(mean).max())):
            named = data.collection.series[series]
            yield f"{name} of series '{named}' is {found.tolist()}, not {values.tolist()}"


def _value_faults(data: CollectionData, windows: RollingWindows, part: str) -> Iterator[str]:
    """Whether gathered windows hold the stored values before and after their origin, and padding before."""
    chosen = spread_with_ends(len(windows), WINDOWS)
    batch = windows.using("context", "target").gather(chosen)
    truth, valid = windows.gather_truth(chosen)
    columns = data.collection.columns(data.targets)
    for number, case in enumerate(chosen.tolist()):
        series = int(windows.series[case])
        first, size = int(data.collection.first[series]), int(data.collection.sizes[series])
        stored = data.collection.values[first : first + size]
        model = (stored - data.scale.shift[series].numpy()) / data.scale.factor[series].numpy()
        origin = int(windows.origins[case]) - first
        known = min(origin, windows.context)
        scored = (model if data.task.space == "normalised" else stored)[:, columns]
        ahead = slice(origin, origin + windows.horizon)
        pairs = {
            "context": (batch["context"][number][windows.context - known :], model[origin - known : origin]),
            "padding": (
                batch["context"][number][: windows.context - known],
                np.zeros((windows.context - known, stored.shape[1])),
            ),
            "target": (batch["target"][number], model[ahead][:, columns]),
            "truth": (truth[number], scored[ahead]),
        }
        where = f"the {part} window at position {origin} of series '{data.collection.series[series]}'"
        for name, (given, wanted) in pairs.items():
            if not _equal_where_stored(given, wanted):
                yield f"the {name} of {where} is not that of the stored values"
        present = np.isfinite(scored[ahead])
        if not np.array_equal(np.ones_like(present) if valid is None else valid[number].numpy(), present):
            yield f"the mask of {where} is not where values are missing"


def _equal_where_stored(given: torch.Tensor, wanted: np.ndarray) -> bool:
    if tuple(given.shape) != wanted.shape:
        return False
    known = np.isfinite(wanted)
    return np.allclose(given.numpy()[known], wanted[known], rtol=1e-5, atol=1e-5)
