"""Checks of tasks on panels: no forecast sees its own or a later target; parts, scale and metrics."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
import xarray as xr

from tsbench.contracts import Forecast, LabelledSplit, PeriodSplit, Scenario
from tsbench.data.disturbances import disturb
from tsbench.data.panel.arrays import PanelArrays
from tsbench.data.panel.data import PanelData
from tsbench.data.task_data import SplitName
from tsbench.evaluation.evaluate import Presenter, tally_for

from .panel_formulas import FORMULAS
from .scale import training_statistics
from .subject import PARTS, SCENARIOS, Candidate, Finding, Subject, places

CASES = 3
"""Cases of a scenario whose targets are replaced: the first, the last, one between."""
LOOKED_AT = 8
TOLERANCE = 1e-6


def future(subject: Subject) -> Finding:
    """Replace a case's own target and all of later periods, and forecast again: not a bit may change."""
    faults, forecasts = [], 0
    data = _own(subject)
    for scenario in (one for one in subject.spread(SCENARIOS) if one.dataset == data.name):
        cases = data.test_cases(scenario, subject.context)
        for case in places(len(cases), CASES):
            changed = _with_other_future(data, int(cases.rows[case]))
            for candidate in subject.candidates:
                model = subject.model(candidate)
                before = _forecast(candidate, model, data, scenario, case)
                forecasts += 1
                if not torch.equal(before, _forecast(candidate, model, changed, scenario, case)):
                    faults.append(f"{candidate.name}, scenario {scenario.key}, case {case} sees its target")
    compared = (
        f"{forecasts} forecasts of {subject.names}, with target and later periods as they are and replaced"
    )
    return Finding("future", compared, tuple(faults))


def training(subject: Subject) -> Finding:
    """Replace the targets of the test part, open the task anew and fit again: same scale, same weights.

    In the `official` mode of a layout the inputs of the test part count for the scale, which the task says.
    """
    data, faults = _own(subject), []
    test = _labels(data) == _label(data, "test")
    layout = data.arrays.layout

    def replaced(store: xr.Dataset) -> xr.Dataset:
        arrays = [layout.target] if layout.official else [layout.target, layout.context]
        return _others(store, arrays, test, np.random.default_rng(1))

    changed = _opened_anew(data, replaced)
    for name in ("context", "target", "static", "entity"):
        one, other = getattr(data.scale, name), getattr(changed.scale, name)
        if one is not None and not (
            torch.equal(one.shift, other.shift) and torch.equal(one.factor, other.factor)
        ):
            faults.append(f"the normalisation of the {name} depends on the test part")
    faults += subject.learning_faults(data, changed)
    return Finding(
        "training",
        f"scale, and weights of {subject.names}, with the test part as it is and replaced",
        tuple(faults),
    )


def borders(subject: Subject) -> Finding:
    """Every sample is in the part of its label and in no other, and holds the stored values of its row."""
    data, faults, counts = _own(subject), [], []
    labels, rows_of = _labels(data), {}
    usable = np.isfinite(data.arrays.target.numpy())
    for part in PARTS:
        cases = data.windows(part, subject.context)
        rows = rows_of[part] = set(cases.rows.tolist())
        wanted = {_label(data, part)} | ({_label(data, "validation")} if _official(data, part) else set())
        strange = sorted(row for row in rows if labels[row] not in wanted or not usable[row])
        if strange:
            faults.append(
                f"the {part} part holds row {strange[0]}, which is of the part '{labels[strange[0]]}'"
            )
        if data.arrays.layout.place is None and not data.arrays.layout.held_out:
            lacking = set(np.flatnonzero(np.isin(labels, [*wanted]) & usable).tolist()) - rows
            if lacking:
                faults.append(f"the {part} part lacks row {min(lacking)}")
        for name, values in data.arrays.layout.held_out.items():
            if np.isin(data.arrays.coordinate(name)[sorted(rows)], values).any():
                faults.append(f"the {part} part holds samples of {name} {values[0]}, which is held out")
        faults += _value_faults(data, part, subject.context)
        faults += _history_faults(data, part, subject.context)
        counts.append(str(len(rows)))
    if both := rows_of["test"] & (rows_of["train"] | rows_of["validation"]):
        faults.append(f"row {min(both)} is in the test part and in another")
    faults += _cell_faults(subject, data, rows_of["train"])
    compared = f"training, validation and test samples of {data.name}: {' + '.join(counts)}, by their labels"
    return Finding("borders", compared, tuple(faults))


def scale(subject: Subject) -> Finding:
    """Mean and deviation of target, context and features over the training samples by their formulas."""
    data, faults, compared = _own(subject), [], []
    rows = data.windows("train", subject.context).rows
    arrays, layout = data.arrays, data.arrays.layout
    kinds = {"target": data.task.normalisation, "context": data.task.normalisation}
    kinds |= {"static": layout.static_normalisation, "entity": layout.static_normalisation}
    values = {
        "target": arrays.target[rows][:, None],
        "context": arrays.context if layout.official else arrays.context[rows],
        "static": None if arrays.static is None else arrays.static[rows],
        "entity": None if arrays.entities is None else arrays.entities[rows],
    }
    for name, given in values.items():
        found = getattr(data.scale, name)
        if given is None or found is None:
            continue
        flat = given.flatten(0, -2).double().numpy()
        flat = np.where(np.isnan(flat).all(axis=0), 0.0, flat)
        mean, deviation = training_statistics(flat)
        moves = (deviation > 1e-9 * np.abs(mean)) & (kinds[name] != "none")
        if name == "entity":
            moves[arrays.entity_codes] = False
        compared.append(name)
        for key, wanted in (("shift", mean), ("factor", deviation)):
            there = getattr(found, key).numpy()
            if not np.allclose(there[moves], wanted[moves], rtol=TOLERANCE, atol=TOLERANCE):
                worst = int(np.abs(np.where(moves, there - wanted, 0)).argmax())
                faults.append(f"{key} of {name} {worst} is {there[worst]:.6g}, not {wanted[worst]:.6g}")
        still = found.shift.numpy()[~moves], found.factor.numpy()[~moves]
        if kinds[name] == "none" and not (np.all(still[0] == 0) and np.all(still[1] == 1)):
            faults.append(f"{name} is scaled, and the task declares no scale")
    what = f"{data.task.normalisation} of {', '.join(compared)} over {len(rows)} training samples"
    return Finding("scale", what, tuple(faults))


def metrics(subject: Subject) -> Finding:
    """Score noisy copies of the task's targets by the suite and by the formula in numpy."""
    data, scenario = _own(subject), subject.scenarios[0]
    cases = data.test_cases(scenario, subject.context)
    index = torch.arange(len(cases))
    observed, valid = cases.gather_truth(index)
    noise = np.random.default_rng(0).normal(0, float(observed.std()), observed.shape)
    forecast = observed + torch.from_numpy(noise)
    tally = tally_for(subject.task, scenario, data, len(cases))
    for part in index.split(97):
        tally.update(Forecast(forecast[part]), observed[part], valid, data.seasonal_difference, part)
    train = data.from_units(data.arrays.target[data.windows("train", subject.context).rows])
    numbers = forecast.numpy().ravel(), observed.numpy().ravel(), train.numpy().ravel()
    faults = []
    for name, found in tally.values().items():
        if name not in FORMULAS:
            faults.append(f"the audit has no formula for {name}")
            continue
        value = FORMULAS[name](*numbers)
        if found is None or not np.isclose(found, value, rtol=TOLERANCE, atol=TOLERANCE * 1e-3):
            faults.append(f"{name} is {found}, by its formula {value:.9g}")
    compared = f"{', '.join(subject.task.metrics)} with their formulas, on {len(index)} samples of the task"
    return Finding("metrics", compared, tuple(faults))


def _own(subject: Subject) -> PanelData:
    assert isinstance(subject.own, PanelData)
    return subject.own


def _official(data: PanelData, part: str) -> bool:
    return data.arrays.layout.official and part == "train"


def _label(data: PanelData, part: str) -> str:
    return getattr(data.task.split, part) if isinstance(data.task.split, LabelledSplit) else part


def _labels(data: PanelData) -> np.ndarray:
    """Part of each row by the declaration alone, as text."""
    split = data.task.split
    assert isinstance(split, LabelledSplit | PeriodSplit)
    values = np.asarray(data.arrays.opened[split.coordinate].values)
    if isinstance(split, LabelledSplit):
        return np.array([str(one) for one in values], object)
    labels = np.full(len(values), "", object)
    for part in PARTS:
        first, last = getattr(split, part)
        labels[(values >= first) & (values <= last)] = part
    return labels


def _value_faults(data: PanelData, part: SplitName, context: int) -> Iterator[str]:
    """Whether gathered samples hold the stored target, and the newest steps of the context, of their rows."""
    cases = data.windows(part, context).using("context", "target", "observed")
    chosen = torch.tensor(places(len(cases), LOOKED_AT))
    batch, rows = cases.gather(chosen), cases.rows[chosen]
    target = data.scale.target.to_units(batch["target"].double())[:, 0, 0]
    if not np.allclose(target, data.arrays.target[rows], rtol=1e-5, atol=1e-5):
        yield f"the target of the {part} samples is not that of their rows"
    truth = cases.gather_truth(chosen)[0][:, 0, 0]
    if not np.allclose(truth, data.from_units(data.arrays.target[rows]), rtol=1e-9):
        yield f"the truth of the {part} samples is not that of their rows"
    stored = data.arrays.context[rows]
    steps = min(context, stored.shape[1])
    given = data.scale.context.to_units(batch["context"])[:, -steps:]
    known = ~stored[:, -steps:].isnan()
    if not np.allclose(given[known], stored[:, -steps:][known], rtol=1e-4, atol=1e-4):
        yield f"the context of the {part} samples does not end with the steps of their rows"


def _history_faults(data: PanelData, part: SplitName, context: int) -> Iterator[str]:
    """A history is of the own place, its periods follow each other, and its targets are those before."""
    layout = data.arrays.layout
    if layout.place is None:
        return
    place, period = (data.arrays.coordinate(name) for name in (layout.place, layout.period))
    cases = data.windows(part, context)
    rows = cases.history[cases.rows].numpy()  # (case, period)
    if (rows < 0).any() or (place[rows] != place[rows[:, -1:]]).any():
        yield f"the {part} part holds a history of another place, or with a gap"
    elif (np.diff(period[rows].astype(np.int64), axis=1) != 1).any():
        yield f"the {part} part holds a history whose periods do not follow each other"
    if not layout.past_targets:
        return
    batch = cases.using("past_covariates").gather(torch.arange(len(cases)))
    found = data.scale.target.to_units(batch["past_covariates"].double())[..., 0].numpy()
    periods = found.shape[1]
    known = data.arrays.target.numpy()[rows[:, -periods:-1] if periods > 1 else rows[:, -2:-1]]
    wanted = np.concatenate([known, known[:, -1:]], axis=1) if periods > 1 else known
    if not np.allclose(found, wanted, rtol=1e-4):
        yield f"past targets of the {part} part are not those of the periods before"


def _cell_faults(subject: Subject, data: PanelData, trained: set[int]) -> Iterator[str]:
    """A scenario is scored on samples of its cell, none of them trained on."""
    for scenario in subject.scenarios:
        if scenario.dataset != data.name:
            continue
        found = data.test_cases(scenario, subject.context).rows
        if trained & set(found.tolist()):
            yield f"scenario {scenario.key} is scored on samples that were trained on"
        for name, value in scenario.cell.items():
            if (data.arrays.coordinate(name)[found.numpy()] != value).any():
                yield f"scenario {scenario.key} is scored on samples outside of its cell"


def _opened_anew(data: PanelData, change: object) -> PanelData:
    """The task opened on its store after a change."""
    store = data.arrays.opened.load().copy(deep=True)
    arrays = PanelArrays(data.name, change(store), data.arrays.layout)  # type: ignore[operator]
    return PanelData.of(data.task, arrays, data.provenance)


def _others(store: xr.Dataset, names: list[str], rows: np.ndarray, random: np.random.Generator) -> xr.Dataset:
    """Other numbers in some rows of some arrays; what is missing stays missing."""
    for name in names:
        values = store[name].values
        shape = values[rows].shape
        values[rows] = values[rows] * random.uniform(0.5, 2, shape) + random.uniform(1, 9, shape)
    return store


def _with_other_future(data: PanelData, row: int) -> PanelData:
    """Another target of a row and, where periods follow each other, of all that is not before it.

    The scale stays: what it may depend on is another check.
    """
    layout = data.arrays.layout
    own = np.arange(len(data.arrays.target)) == row
    later, equal = np.zeros_like(own), own
    if layout.place is not None:
        period = data.arrays.coordinate(layout.period).astype(float)
        later, equal = period > period[row], period >= period[row]

    def replaced(store: xr.Dataset) -> xr.Dataset:
        random = np.random.default_rng(0)
        return _others(_others(store, [layout.target], equal, random), [layout.context], later, random)

    changed = _opened_anew(data, replaced)
    return replace(changed, scale=data.scale)


def _forecast(
    candidate: Candidate, model: object, data: PanelData, scenario: Scenario, case: int
) -> torch.Tensor:
    presenter = Presenter(model, data.task)  # type: ignore[arg-type]
    cases = data.test_cases(scenario, candidate.context).using(*presenter.model.uses)
    batch = disturb(cases.gather(torch.tensor([case])), scenario, data.task.id, data.scale)
    return presenter.predict(batch, candidate.context)[0].values.cpu()
