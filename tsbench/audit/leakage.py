"""Leakage probes: the future of a forecast origin changes no forecast, the test part changes no fit."""

from collections.abc import Iterator

import numpy as np
import torch

from tsbench.contracts import LabelledSplit, Scenario
from tsbench.data.batch import Batch
from tsbench.data.collection_data import CollectionData
from tsbench.data.disturbances import disturb
from tsbench.data.sample_data import SampleData
from tsbench.data.series_data import SeriesData
from tsbench.data.task_data import TaskData
from tsbench.evaluation.evaluate import Presenter

from .borders import declared_borders
from .collections import first_unknown, other_futures, with_other_values
from .excerpt import with_other_rows, with_other_samples
from .subject import SCENARIOS, Candidate, Finding, Subject, places

ORIGINS = 3
"""Forecast origins of a scenario at which the future is replaced: the first, the last, one between."""


def future(subject: Subject) -> Finding:
    """Replace everything from the forecast origin on, and forecast again: not a bit may change."""
    faults, forecasts = [], 0
    for data, scenario, case, changed in _changed_futures(subject):
        for candidate in subject.candidates:
            model = subject.model(candidate)
            before = _forecast(candidate, model, data, scenario, case)
            after = _forecast(candidate, model, changed, scenario, case)
            forecasts += 1
            if not torch.equal(before, after):
                faults.append(
                    f"{candidate.name}, scenario {scenario.key}, case {case}: the forecast changes "
                    f"by up to {float((before - after).abs().max()):.3g}"
                )
    return Finding(
        "future",
        f"{forecasts} forecasts of {subject.names}, with all that follows the origin as it is and replaced",
        tuple(faults),
    )


def training(subject: Subject) -> Finding:
    """Replace the test part, open the task anew and fit again: same scale, same weights, same forecasts.

    The validation part may choose between fits; it may not enter the scale.
    """
    data, faults = subject.small, []
    replaced = _with_other_parts(data, validation=False)
    for name, changed in (("test", replaced), ("validation", _with_other_parts(data, validation=True))):
        for number in ("shift", "factor"):
            if not torch.equal(getattr(data.scale, number), getattr(changed.scale, number)):
                faults.append(f"the {number} of the normalisation depends on the {name} part")
    faults += subject.learning_faults(data, replaced)
    return Finding(
        "training",
        f"scale, and weights of {subject.names}, with the test part as it is and replaced",
        tuple(faults),
    )


def _changed_futures(subject: Subject) -> Iterator[tuple[TaskData, Scenario, int, TaskData]]:
    """Data, scenario, case, and the data with another future of that case."""
    random = np.random.default_rng(0)
    data = subject.small
    scenarios = subject.spread(SCENARIOS)
    if isinstance(data, SampleData):
        assert data.task.samples is not None
        everywhere = np.ones(data.opened.sizes["sample"], bool) & ~_training_rows(data)
        changed = with_other_samples(data, (data.task.samples.target,), everywhere, random)
        for scenario in (one for one in scenarios if one.dataset == data.name):
            cases = data.test_cases(scenario, subject.context)
            for case in places(len(cases), ORIGINS):
                yield data, scenario, case, changed
        return
    for name, opened in subject.data.items():
        here = [scenario for scenario in scenarios if scenario.dataset == name]
        if isinstance(opened, CollectionData):
            windows = opened.windows("test", subject.context)
            for case in places(len(windows), ORIGINS):
                replaced = with_other_values(opened, other_futures(opened, windows, case), random)
                for scenario in here:
                    yield opened, scenario, case, replaced
            continue
        assert isinstance(opened, SeriesData)
        cases = opened.windows("test", subject.context)
        for case in places(len(cases), ORIGINS):
            origin = int(cases.origins[case])
            other = with_other_rows(opened, origin, len(opened.table.values), random)
            for scenario in here:
                yield opened, scenario, case, other


def _training_rows(data: SampleData) -> np.ndarray:
    assert isinstance(data.task.split, LabelledSplit)
    return np.asarray(data.opened[data.task.split.coordinate].values) == data.task.split.train


def _forecast(
    candidate: Candidate, model: object, data: TaskData, scenario: Scenario, case: int
) -> torch.Tensor:
    presenter = Presenter(model, data.task)  # type: ignore[arg-type]
    cases = data.test_cases(scenario, candidate.context).using(*presenter.model.uses)
    batch: Batch = disturb(cases.gather(torch.tensor([case])), scenario, data.task.id, data.scale)
    return presenter.predict(batch, candidate.context)[0].values.cpu()


def _with_other_parts(data: TaskData, *, validation: bool) -> TaskData:
    """The task opened anew on another test part, or on another validation and test part."""
    random = np.random.default_rng(1)
    if isinstance(data, CollectionData):
        return with_other_values(data, first_unknown(data, validation=validation), random)
    if isinstance(data, SeriesData):
        train, until_test, _ = declared_borders(data.task, len(data.table.values))
        start = train if validation else until_test
        return with_other_rows(data, start, len(data.table.values), random)
    assert isinstance(data, SampleData)
    assert isinstance(data.task.split, LabelledSplit)
    assert data.task.samples is not None
    labels = np.asarray(data.opened[data.task.split.coordinate].values)
    kept = [data.task.split.train, *([] if validation else [data.task.split.validation])]
    arrays = (data.task.samples.context, data.task.samples.target)
    return with_other_samples(data, arrays, ~np.isin(labels, kept), random)
