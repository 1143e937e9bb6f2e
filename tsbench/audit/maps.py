"""Checks of tasks on maps: no forecast sees a cell that is scored, parts and cells, scale, metrics."""

from collections.abc import Iterator

import numpy as np
import torch
import xarray as xr

from tsbench.contracts import Forecast, LabelledSplit, Scenario
from tsbench.contracts.field import NO_SIGNAL, FieldLayout
from tsbench.data.disturbances import disturb
from tsbench.data.field.cases import FieldCases
from tsbench.data.field.data import FieldData
from tsbench.data.field.maps import ANGLES, stored
from tsbench.evaluation.evaluate import Presenter, tally_for

from .cells import coverage_faults, sample_counts, trained_faults
from .map_formulas import FORMULAS
from .subject import PARTS, SCENARIOS, Candidate, Finding, Subject, places

CASES = 3
"""Cases of a scenario whose targets are replaced: the first, the last, one between."""
TOLERANCE = 1e-6


def future(subject: Subject) -> Finding:
    """Replace the truth of every cell that is scored, and forecast again: not a bit may change."""
    faults, forecasts = [], 0
    for name, data in subject.data.items():
        assert isinstance(data, FieldData)
        changed = _with_other_targets(data)
        for scenario in (one for one in subject.spread(SCENARIOS) if one.dataset == name):
            for case in places(len(data.test_cases(scenario, 1)), CASES):
                for candidate in subject.candidates:
                    model = subject.model(candidate)
                    before = _forecast(candidate, model, data, scenario, case)
                    forecasts += 1
                    if not torch.equal(before, _forecast(candidate, model, changed, scenario, case)):
                        faults.append(
                            f"{candidate.name}, scenario {scenario.key}, case {case} sees its target"
                        )
    compared = (
        f"{forecasts} forecasts of {subject.names}, with the cells that are scored as they are and replaced"
    )
    return Finding("future", compared, tuple(faults))


def training(subject: Subject) -> Finding:
    """Replace the other parts, open the task anew and fit again: same scale, same weights.

    The validation part may choose between fits; it may not enter the scale.
    """
    data, faults = _own(subject), []
    split = _split(data)
    labels = np.asarray(data.opened[split.coordinate].values)
    for part, kept in (("test", [split.train, split.validation]), ("validation", [split.train])):
        changed = _with_other_maps(data, ~np.isin(labels, kept))
        if changed.scale.scales != data.scale.scales:
            faults.append(f"the normalisation depends on the {part} part")
        if part == "test":
            faults += subject.learning_faults(data, changed)
    return Finding(
        "training",
        f"scale, and weights of {subject.names}, with the test part as it is and replaced",
        tuple(faults),
    )


def borders(subject: Subject) -> Finding:
    """Every map is in the part of its label and in one cell of each condition; no scene is in two parts."""
    faults = []
    for data in subject.data.values():
        assert isinstance(data, FieldData)
        labels = np.asarray(data.opened[_split(data).coordinate].values)
        faults += coverage_faults(subject, data, labels)
    data = _own(subject)
    split = _split(data)
    labels = np.asarray(data.opened[split.coordinate].values)
    for part in PARTS:
        label = getattr(split, part)
        # The test part of a task that trains on made maps may lie in other data sets.
        found = data.windows(part, 1).rows.numpy() if (labels == label).any() else np.empty(0)
        if not np.array_equal(found, np.flatnonzero(labels == label)):
            faults.append(f"the {part} part holds other samples than those labelled {label}")
    faults += trained_faults(subject, data, labels == split.train)
    faults += _shared_scenes(data, labels)
    return Finding(
        "borders", f"{sample_counts(subject)}, by their labels; scenes of the parts", tuple(faults)
    )


def scale(subject: Subject) -> Finding:
    """Mean and deviation of each array over the training maps by their formulas, and the map of values."""
    data = _own(subject)
    training = np.asarray(data.opened[_split(data).coordinate].values) == _split(data).train
    opened, faults, compared = data.opened.isel(sample=training).load(), [], []
    for name in stored([*_layout(data).context, *_layout(data).target]):
        if name in ANGLES or name not in data.scale.scales:
            continue  # directions keep their zero
        values = opened[name].values.astype(np.float64)
        if name in _layout(data).target:
            values = values[_learned(opened, values)]
        found = data.scale.scales[name]
        wanted = {"mean": values.mean(), "std": values.std()}
        wanted |= {"shift": wanted["mean"], "factor": wanted["std"]}
        if data.task.normalisation == "none":
            wanted |= {"shift": 0.0, "factor": 1.0}
        for key, value in wanted.items():
            if not np.isclose(getattr(found, key), value, rtol=TOLERANCE, atol=TOLERANCE):
                faults.append(f"{key} of {name} is {getattr(found, key):.6g}, not {value:.6g}")
        compared.append(name)
    what = f"{data.task.normalisation} of {', '.join(compared)} over {int(training.sum())} training maps"
    return Finding("scale", what, tuple(faults))


def metrics(subject: Subject) -> Finding:
    """Score random forecasts of the task's maps by the suite and by the formula."""
    data, scenario = subject.data[subject.scenarios[0].dataset], subject.scenarios[0]
    cases = data.test_cases(scenario, 1)
    index = torch.arange(min(len(cases), 2 * CASES))
    observed, valid = cases.gather_truth(index)
    noise = np.random.default_rng(0).normal(0, 8, observed.shape)
    forecast = torch.where(observed.isnan(), -90.0, observed) + torch.from_numpy(noise)
    if "doa_error" in subject.task.metrics:
        forecast = torch.from_numpy(noise)
    tally = tally_for(subject.task, scenario, data, len(cases))
    for part in index.split(2):
        assert valid is not None
        tally.update(
            Forecast(forecast[part]), observed[part], valid[part], lambda power: torch.empty(0), part
        )
    faults = []
    mask = np.ones(observed.shape, bool) if valid is None else valid.numpy()
    for name, found in tally.values().items():
        if name not in FORMULAS:
            faults.append(f"the audit has no formula for {name}")
            continue
        value = FORMULAS[name](forecast.numpy(), observed.numpy(), mask)
        if found is None or not np.isclose(found, value, rtol=TOLERANCE, atol=TOLERANCE * 1e-3):
            faults.append(f"{name} is {found}, by its formula {value:.9g}")
    compared = f"{', '.join(subject.task.metrics)} with their formulas, on {len(index)} maps of the task"
    return Finding("metrics", compared, tuple(faults))


def _own(subject: Subject) -> FieldData:
    assert isinstance(subject.own, FieldData)
    return subject.own


def _split(data: FieldData) -> LabelledSplit:
    assert isinstance(data.task.split, LabelledSplit)
    return data.task.split


def _layout(data: FieldData) -> FieldLayout:
    assert data.task.field is not None
    return data.task.field


def _learned(opened: xr.Dataset, values: np.ndarray) -> np.ndarray:
    """Cells that are trained on: outdoors, and a path arrives."""
    mask = np.isfinite(values) & (values > NO_SIGNAL)
    for name in ("outdoor", "reached"):
        if name in opened:
            mask &= opened[name].values
    return mask


def _shared_scenes(data: FieldData, labels: np.ndarray) -> Iterator[str]:
    if "scene" not in data.opened.coords:
        return
    scenes, train = np.asarray(data.opened["scene"].values), labels == _split(data).train
    if both := sorted(set(scenes[train]) & set(scenes[~train])):
        yield f"the scene {both[0]} is in the training part and in another"


def _with_other_targets(data: FieldData) -> FieldData:
    """The task opened on a store with other values in every cell that is scored."""
    opened, random = data.opened.load().copy(deep=True), np.random.default_rng(0)
    train = np.asarray(opened[_split(data).coordinate].values) == _split(data).train
    labels = dict.fromkeys(np.asarray(opened[_split(data).coordinate].values)[~train].tolist())
    for label in labels:
        scenario = Scenario(key="all", condition="regular", dataset=data.name, part=label)
        cases = data.test_cases(scenario, 1)
        for case, row in enumerate(cases.rows.tolist()):
            _, valid = cases.gather_truth(torch.tensor([case]))
            assert valid is not None
            scored = valid[0].any(dim=0).numpy()
            for name in stored(_layout(data).target):
                values = opened[name].values
                cells = scored & np.isfinite(values[row]) & (values[row] > NO_SIGNAL)
                values[row][cells] += random.uniform(5, 40, int(cells.sum()))
    return FieldData.of(data.task, data.name, opened, data.provenance)


def _with_other_maps(data: FieldData, rows: np.ndarray) -> FieldData:
    """The task opened on a store with other numbers in some samples."""
    opened, random = data.opened.load().copy(deep=True), np.random.default_rng(1)
    for name in {*stored([*_layout(data).context, *_layout(data).target])}:
        values = opened[name].values
        values[rows] = values[rows] * random.uniform(0.5, 2) + random.uniform(1, 9)
    return FieldData.of(data.task, data.name, opened, data.provenance)


def _forecast(
    candidate: Candidate, model: object, data: FieldData, scenario: Scenario, case: int
) -> torch.Tensor:
    presenter = Presenter(model, data.task)  # type: ignore[arg-type]
    cases: FieldCases = data.test_cases(scenario, 1).using(*presenter.model.uses)
    batch = disturb(cases.gather(torch.tensor([case])), scenario, data.task.id, data.scale)
    return presenter.predict(batch, 1)[0].values.cpu()
