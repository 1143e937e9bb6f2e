"""Checks of panel tasks: no forecast sees its target, parts by period or label, histories, scale, metrics."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from tsbench.contracts import Forecast, LabelledSplit, PeriodSplit, Scenario
from tsbench.data.disturbances import disturb
from tsbench.data.panel.arrays import PanelArrays
from tsbench.data.panel.data import HELD_OUT, PanelData
from tsbench.data.task_data import SplitName
from tsbench.evaluation.evaluate import Presenter, tally_for

from .formulas import FORMULAS, Numbers
from .subject import PARTS, SCENARIOS, Candidate, Finding, Subject, places

CASES = 3
"""Cases of a scenario whose targets are replaced: the first, the last, one between."""
SCORED = 24
TOLERANCE = 1e-6


def targets(subject: Subject) -> Finding:
    """Replace the targets of all samples that are scored, and forecast again: not a bit may change."""
    faults, forecasts = [], 0
    for name, data in subject.data.items():
        assert isinstance(data, PanelData)
        scored = np.isin(_labels(data), [*_scored_labels(subject, data)])
        changed = _with_other_values(data, scored, inputs=False)
        for scenario in (one for one in subject.spread(SCENARIOS) if one.dataset == name):
            cases = data.test_cases(scenario, subject.context)
            for case in places(len(cases), CASES):
                for candidate in subject.candidates:
                    model = subject.model(candidate)
                    before = _forecast(candidate, model, data, scenario, case)
                    forecasts += 1
                    if not torch.equal(before, _forecast(candidate, model, changed, scenario, case)):
                        faults.append(
                            f"{candidate.name}, scenario {scenario.key}, case {case} sees its target"
                        )
    names = ", ".join(candidate.name for candidate in subject.candidates)
    compared = f"{forecasts} forecasts of {names}, with the targets that are scored as they are and replaced"
    return Finding("future", compared, tuple(faults))


def training(subject: Subject) -> Finding:
    """Replace the other parts, open the task anew and fit again: same scale, same weights.

    The validation part may choose between fits; it may not enter the scale. A layout that says `official`
    scales over all rows, as it declares: there the scale may depend on anything.
    """
    data, faults = _own(subject), []
    if data.arrays.layout.official:
        return Finding("training", "nothing: the layout is `official` and scales over the test part too")
    labels = _labels(data)
    known = ["train", "validation"]
    for part, kept in (("test", known), ("validation", ["train"])):
        # What belongs to no part may be in a history, and is left as it is.
        other = ~np.isin(labels, [_label(data, one) for one in kept]) & (labels != "")
        changed = _with_other_values(data, other, inputs=True)
        faults += [f"the {one} depends on the {part} part" for one in _other_scales(data, changed)]
        if part == "validation":
            continue
        for candidate in subject.candidates:
            weights, forecast = candidate.fingerprint(subject.model(candidate), data)
            again, repeated = candidate.fingerprint(candidate.fitted(changed), data)
            if weights != again or not torch.equal(forecast, repeated):
                faults.append(f"what {candidate.name} learns depends on the test part: {weights} and {again}")
    names = ", ".join(candidate.name for candidate in subject.candidates)
    compared = f"scale, and weights of {names}, with the test part as it is and replaced"
    return Finding("training", compared, tuple(faults))


def borders(subject: Subject) -> Finding:
    """Every sample is in the part of its period or label, has its history, and was not trained on."""
    data, faults, counts = _own(subject), [], []
    split, layout = data.task.split, data.arrays.layout
    assert isinstance(split, PeriodSplit | LabelledSplit)
    coordinate = data.arrays.coordinate(split.coordinate)
    rows = {part: data.windows(part, subject.context).rows.numpy() for part in PARTS}
    for part in PARTS:
        counts.append(f"{len(rows[part])} {part}")
        if isinstance(split, PeriodSplit):
            first, last = getattr(split, part)
            last = split.validation[1] if part == "train" and layout.official else last
            outside = (coordinate[rows[part]] < first) | (coordinate[rows[part]] > last)
        else:
            outside = coordinate[rows[part]].astype(str) != getattr(split, part)
        if outside.any():
            faults.append(f"{int(outside.sum())} samples of the {part} part are outside of it")
        for name, values in layout.held_out.items():
            if np.isin(data.arrays.coordinate(name)[rows[part]], values).any():
                faults.append(f"the {part} part holds samples of {name} {values[0]}, which is held out")
    for part in ("train", "validation"):
        if np.isin(rows[part], rows["test"]).any():
            faults.append(f"samples of the test part are in the {part} part")
    faults += _history_faults(data, subject.context)
    for scenario in subject.scenarios:
        if scenario.dataset != data.name:
            continue
        found = data.test_cases(scenario, subject.context).rows.numpy()
        if np.isin(found, rows["train"]).any():
            faults.append(f"scenario {scenario.key} is scored on samples that were trained on")
        for name, value in scenario.cell.items():
            if (data.arrays.coordinate(name)[found] != value).any():
                faults.append(f"scenario {scenario.key} is scored on samples outside of its cell")
    return Finding("borders", f"samples: {', '.join(counts)}; their histories and cells", tuple(faults))


def scale(subject: Subject) -> Finding:
    """Mean and deviation of each channel and of the target over the training samples, by their formulas."""
    data, faults = _own(subject), []
    arrays = data.arrays
    train = data.windows("train", subject.context).rows.numpy()
    whole = arrays.opened[arrays.layout.context].values.astype(np.float64)
    seen = whole if arrays.layout.official else whole[train]
    wanted = {
        "context": (np.nanmean(seen, axis=(0, 1)), np.nanstd(seen, axis=(0, 1)), data.scale.context),
        "target": (*_moments(arrays.opened[arrays.layout.target].values[train]), data.scale.target),
    }
    for name, (mean, std, found) in wanted.items():
        none = data.task.normalisation == "none"
        shift = np.zeros_like(mean) if none else mean
        factor = np.ones_like(std) if none else np.where(std > 0, std, 1.0)
        for key, value in (("mean", mean), ("std", std), ("shift", shift), ("factor", factor)):
            if not np.allclose(getattr(found, key).numpy(), value, rtol=1e-5, atol=1e-6, equal_nan=True):
                faults.append(f"{key} of the {name} is {getattr(found, key).tolist()}, not {value.tolist()}")
    what = "all samples" if arrays.layout.official else f"{len(train)} training samples"
    return Finding("scale", f"{data.task.normalisation} of context and target over {what}", tuple(faults))


def metrics(subject: Subject) -> Finding:
    """Score random forecasts of the task's samples by the suite and by the formula."""
    data, scenario = subject.data[subject.scenarios[0].dataset], subject.scenarios[0]
    cases = data.test_cases(scenario, subject.context)
    index = torch.arange(min(len(cases), SCORED))
    observed, _ = cases.gather_truth(index)
    noise = np.random.default_rng(0).standard_normal(observed.shape) * float(observed.std())
    forecast = observed + torch.from_numpy(noise)
    tally = tally_for(subject.task, scenario, data, len(cases))
    for part in index.split(7):
        scales = {power: cases.seasonal_error(part, power) for power in (1, 2)}
        tally.update(Forecast(forecast[part]), observed[part], None, scales.__getitem__, part)
    spread = [data.seasonal_difference(power).numpy() for power in (1, 2)]
    numbers = Numbers(
        forecast=forecast.numpy(),
        kind="point",
        given=(),
        observed=observed.numpy(),
        mask=np.ones(observed.shape, bool),
        seasonal=spread[0],
        squared=spread[1],
        levels=data.task.quantiles,
    )
    faults = []
    for name, found in tally.values().items():
        if name not in FORMULAS:
            faults.append(f"the audit has no formula for {name}")
            continue
        value = FORMULAS[name](numbers)
        if found is None or not np.isclose(found, value, rtol=TOLERANCE, atol=TOLERANCE * 1e-3):
            faults.append(f"{name} is {found}, by its formula {value:.9g}")
    compared = f"{', '.join(subject.task.metrics)} with their formulas, on {len(index)} samples of the task"
    return Finding("metrics", compared, tuple(faults))


def _own(subject: Subject) -> PanelData:
    assert isinstance(subject.own, PanelData)
    return subject.own


def _label(data: PanelData, part: SplitName | str) -> str:
    return getattr(data.task.split, part) if isinstance(data.task.split, LabelledSplit) else part


def _labels(data: PanelData) -> np.ndarray:
    """Part of each row; what the split, the history and the layout leave out is empty."""
    found = np.full(data.arrays.opened.sizes["sample"], "", object)
    for part in PARTS:
        found[data.windows(part, 1).rows.numpy()] = _label(data, part)
    for scenario in data.task.scenarios():
        if scenario.part is not None and scenario.dataset == data.name:
            found[data.test_cases(scenario, 1).rows.numpy()] = scenario.part
    return found


def _scored_labels(subject: Subject, data: PanelData) -> Iterator[str]:
    for scenario in subject.scenarios:
        yield scenario.part or _label(data, "test")
    yield HELD_OUT


def _with_other_values(data: PanelData, rows: np.ndarray, inputs: bool) -> PanelData:
    """The task opened anew with other targets in some rows, and other contexts and numbers if asked for."""
    random, arrays = np.random.default_rng(0), data.arrays
    opened = arrays.opened.load().copy(deep=True)
    names = [arrays.layout.target]
    if inputs:
        names += [name for name in (arrays.layout.context, arrays.layout.static) if name is not None]
    for name in names:
        values = opened[name].values
        spread = float(np.nanstd(values)) or 1.0
        values[rows] += (spread * random.uniform(1, 2, values[rows].shape)).astype(values.dtype)
        opened[name] = opened[name].dims, values, opened[name].attrs
    changed = PanelArrays(arrays.name, opened, arrays.layout)
    return PanelData.of(data.task, changed, data.provenance)


def _other_scales(data: PanelData, changed: PanelData) -> Iterator[str]:
    for name in ("context", "target", "static", "entity"):
        one, other = getattr(data.scale, name), getattr(changed.scale, name)
        if one is not None and not (
            torch.equal(one.shift, other.shift) and torch.equal(one.factor, other.factor)
        ):
            yield f"normalisation of the {name}"


def _history_faults(data: PanelData, context: int) -> Iterator[str]:
    """A history is of the own place, its periods follow each other, and its targets are those before."""
    layout = data.arrays.layout
    if layout.place is None:
        return
    place, period = (data.arrays.coordinate(name) for name in (layout.place, layout.period))
    for part in PARTS:
        cases = data.windows(part, context)
        rows = cases.history[cases.rows].numpy()  # (case, period)
        if (rows < 0).any() or (place[rows] != place[rows[:, -1:]]).any():
            yield f"the {part} part holds a history of another place, or with a gap"
        elif (np.diff(period[rows].astype(np.int64), axis=1) != 1).any():
            yield f"the {part} part holds a history whose periods do not follow each other"
        if not layout.past_targets:
            continue
        batch = cases.using("past_covariates").gather(torch.arange(len(cases)))
        found = data.scale.target.to_units(batch["past_covariates"].double())[..., 0].numpy()
        periods = found.shape[1]
        known = data.arrays.target.numpy()[rows[:, -periods:-1] if periods > 1 else rows[:, -2:-1]]
        wanted = np.concatenate([known, known[:, -1:]], axis=1) if periods > 1 else known
        if not np.allclose(found, wanted, rtol=1e-4):
            yield f"past targets of the {part} part are not those of the periods before"


def _forecast(
    candidate: Candidate, model: Any, data: PanelData, scenario: Scenario, case: int
) -> torch.Tensor:
    presenter = Presenter(model, data.task)
    cases = data.test_cases(scenario, candidate.context).using(*presenter.model.uses)
    batch = disturb(cases.gather(torch.tensor([case])), scenario, data.task.id, data.scale)
    return presenter.predict(batch, candidate.context)[0].values


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    column = values.astype(np.float64)[:, None]
    return column.mean(axis=0), column.std(axis=0)
