"""Labels and cells of independent samples: which sample belongs to which part and scenario, counted anew."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from tsbench.contracts import LabelledSplit, Scenario, averages
from tsbench.data.sample_data import SampleData

from .excerpt import open_samples
from .subject import PARTS, Subject

Cell = tuple[str, tuple[tuple[str, Any], ...]]
"""Label of a part, and coordinates of a cell in it."""


def sample_counts(subject: Subject) -> str:
    """Samples of each part, in words."""
    labels, counts = np.unique(_labels(subject.own), return_counts=True)
    return ", ".join(f"{count} {label}" for label, count in zip(labels, counts, strict=True))


def cell_faults(subject: Subject) -> Iterator[str]:
    """Samples that are in no part or cell or in two, and cells that count where they must not."""
    whole = subject.own
    assert isinstance(whole, SampleData)
    data = open_samples(whole, lambda opened: _without_values(opened, whole))
    labels, split = _labels(data), data.task.split
    assert isinstance(split, LabelledSplit)
    if len({split.train, split.validation, split.test}) < 3:
        yield "two parts of the split have the same label"
    for part in PARTS:
        label = getattr(split, part)
        found = data.windows(part, subject.context).rows.numpy()
        if not np.array_equal(found, np.flatnonzero(labels == label)):
            yield f"the {part} part has {len(found)} samples; {int((labels == label).sum())} are labelled so"
    yield from coverage_faults(subject, data, labels)
    for other in subject.data.values():
        if other is not whole:
            assert isinstance(other, SampleData)
            unseen = open_samples(other, lambda opened, other=other: _without_values(opened, other))
            yield from coverage_faults(subject, unseen, _labels(unseen))
    yield from trained_faults(subject, data, labels == split.train)


def coverage_faults(subject: Subject, data: Any, labels: np.ndarray) -> Iterator[str]:
    """Every sample of a part that is scored lies in exactly one of the cells that its disturbance spans."""
    split = data.task.split
    assert isinstance(split, LabelledSplit)
    scored: dict[Cell, np.ndarray] = {}
    spans: dict[tuple[str, str, str], list[Cell]] = {}
    for scenario in subject.scenarios:
        if scenario.dataset != data.name:
            continue
        label = scenario.part or split.test
        if label in (split.train, split.validation):
            yield f"scenario {scenario.key} is scored on the part '{label}'"
        cell = (label, tuple(sorted(scenario.cell.items())))
        if cell not in scored:
            scored[cell] = data.test_cases(scenario, subject.context).rows.numpy()
            if not np.array_equal(scored[cell], np.flatnonzero(_in_cell(data, labels == label, scenario))):
                yield f"scenario {scenario.key} is scored on other samples than those of its cell"
        options = sorted(scenario.options.items())
        noise = str((scenario.disturbance, scenario.level, scenario.space, options))
        spans.setdefault((scenario.condition, label, noise), []).append(cell)
    for (condition, label, _), cells in spans.items():
        times = np.zeros(len(labels), int)
        for cell in cells:
            times[scored[cell]] += 1
        if (wrong := int((times[labels == label] != 1).sum())) > 0:
            yield f"{condition}: {wrong} samples of '{label}' lie in no cell, or in several"
            return


def trained_faults(subject: Subject, data: Any, trained: np.ndarray) -> Iterator[str]:
    """A cell whose coordinates occur in the training part counts for no average of generalisation."""
    counted = set(averages(subject.scenarios).get("generalisation", ()))
    known: dict[tuple[str, ...], set[tuple[Any, ...]]] = {}
    for scenario in subject.scenarios:
        if scenario.condition != "generalisation" or not scenario.cell:
            continue
        names = tuple(scenario.cell)
        if names not in known:
            columns = [np.asarray(data.opened[name].values)[trained].tolist() for name in names]
            known[names] = set(zip(*columns, strict=True))
        if tuple(scenario.cell.values()) in known[names] and scenario.key in counted:
            yield f"scenario {scenario.key} was trained on and counts for the average of generalisation"
            return


def _in_cell(data: Any, of_part: np.ndarray, scenario: Scenario) -> np.ndarray:
    for name, value in scenario.cell.items():
        of_part = of_part & (np.asarray(data.opened[name].values) == value)
    return of_part


def _labels(data: Any) -> np.ndarray:
    return np.asarray(data.opened[data.task.split.coordinate].values)


def _without_values(opened: xr.Dataset, data: SampleData) -> xr.Dataset:
    """The same coordinates, with arrays of zeros in which every length but those of sample and time is 1."""
    assert data.task.samples is not None
    arrays = {}
    for name in (data.task.samples.context, data.task.samples.target):
        kept = ("sample", "time", "lead_time")
        shape = [opened.sizes[one] if one in kept else 1 for one in opened[name].dims]
        arrays[name] = (opened[name].dims, np.zeros(shape, opened[name].dtype))
    coordinates = {name: one for name, one in opened.coords.items() if one.dims == ("sample",)}
    return xr.Dataset(arrays, coordinates)
