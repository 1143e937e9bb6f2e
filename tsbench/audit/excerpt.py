"""Parts of a task's data, and the task opened anew on other numbers: what checks fit and forecast on.

A task is opened on other numbers by the code that opens it for a run, so that whatever that code does with
rows that it should not look at shows. It reads stores by name; while it is opened here, what it would read is
replaced in this process.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import torch

from tsbench.contracts import Scenario
from tsbench.data import series_data, store
from tsbench.data.cases import Cases
from tsbench.data.collection_cases import RollingWindows
from tsbench.data.field.cases import FieldCases
from tsbench.data.panel.cases import PanelCases
from tsbench.data.rollout.windows import GridWindows
from tsbench.data.sample_data import SampleData
from tsbench.data.samples import Samples
from tsbench.data.series_data import SeriesData
from tsbench.data.task_data import SplitName, TaskData
from tsbench.data.windows import Windows

ENDS = 2
"""Cases at each end of a part that an excerpt always holds."""


@dataclass(frozen=True)
class Excerpt:
    """A task of which only some cases of each part are seen; everything else is that of the whole task.

    Attributes:
        whole: the task.
        cases: part → how many are seen.
    """

    whole: TaskData
    cases: dict[str, int]

    @classmethod
    def of(cls, whole: TaskData, **cases: int) -> TaskData:
        """An excerpt with so many `train`, `validation` and `test` cases."""
        return cast(TaskData, cls(whole, cases))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def windows(self, split: SplitName, context: int) -> Cases:
        """Some cases of a split."""
        return thin(self.whole.windows(split, context), self.cases[split])

    def test_cases(self, scenario: Scenario, context: int) -> Cases:
        """Some cases of a scenario."""
        return thin(self.whole.test_cases(scenario, context), self.cases["test"])


def thin(cases: Cases, wanted: int) -> Cases:
    """At most that many of the cases: both ends, and between them evenly spread ones."""
    if len(cases) <= wanted:
        return cases
    chosen = spread_with_ends(len(cases), wanted)
    if isinstance(cases, Windows):
        return replace(cases, origins=cases.origins[chosen])
    if isinstance(cases, RollingWindows):
        return cases.of(chosen)
    if isinstance(cases, GridWindows):
        return replace(cases, members=cases.members[chosen], origins=cases.origins[chosen])
    assert isinstance(cases, Samples | FieldCases | PanelCases)
    return replace(cases, rows=cases.rows[chosen])


def spread_with_ends(length: int, wanted: int) -> torch.Tensor:
    """At most that many of `length` positions, ascending: both ends whole, and evenly spread ones between."""
    if length <= wanted:
        return torch.arange(length)
    ends = min(ENDS, wanted // 2)
    between = torch.linspace(ends, length - 1 - ends, wanted - 2 * ends).long()
    return torch.cat([torch.arange(ends), between, torch.arange(length - ends, length)]).unique()


def with_other_rows(data: SeriesData, start: int, stop: int, random: np.random.Generator) -> SeriesData:
    """The task opened anew with other numbers in some rows; where it masks, other values are missing too."""
    values = data.table.values.copy()
    others = _others(values[:start], (stop - start, values.shape[1]), random)
    if data.task.missing == "mask":
        others[random.random(others.shape) < 0.1] = np.nan
    values[start:stop] = others
    table = replace(data.table, values=values)
    with mock.patch.object(series_data, "read_series", return_value=table):
        return SeriesData.open(data.task, data.name)


def with_other_samples(
    data: SampleData, arrays: tuple[str, ...], chosen: np.ndarray, random: np.random.Generator
) -> SampleData:
    """The task opened anew with other numbers in the chosen samples (a mask) of some arrays."""
    changed = {}
    for array in arrays:
        values = data.opened[array].values.copy()
        shape = (int(chosen.sum()), *values.shape[1:])
        values[chosen] = 5 + 10 * (random.standard_normal(shape) + 1j * random.standard_normal(shape))
        changed[array] = (data.opened[array].dims, values)
    return open_samples(data, lambda opened: opened.assign(changed))


def in_memory(data: SampleData, rows: np.ndarray) -> SampleData:
    """The task opened anew on some samples of its store, which are read into memory."""
    return open_samples(data, lambda opened: opened.isel(sample=rows).load())


def open_samples(data: SampleData, change: Callable[[Any], Any]) -> SampleData:
    """The task opened anew on its store after a change; the scale is fitted again and kept nowhere."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(store, "store_root", return_value=Path(folder)),
    ):
        return SampleData.of(data.task, data.name, change(data.opened), data.provenance)


def _others(known: np.ndarray, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    spread = np.nanstd(known, axis=0) + 1
    return np.nanmean(known, axis=0) + 5 * spread * (1 + random.standard_normal(shape))
