"""Checks of roll-outs of fields: no forecast sees what follows, parts by member or year, scale, metrics."""

from collections.abc import Callable

import numpy as np
import torch

from tsbench.contracts import Forecast, LabelledSplit, Scenario
from tsbench.data.disturbances import disturb
from tsbench.data.rollout.data import RolloutData
from tsbench.data.rollout.geometry import REGIONS
from tsbench.evaluation.evaluate import Presenter, tally_for

from .subject import PARTS, SCENARIOS, Candidate, Finding, Subject, places

CASES = 3
"""Cases of a scenario that are forecast again, and cases whose targets are read from the store."""
TOLERANCE = 1e-6


def future(subject: Subject) -> Finding:
    """Replace every field after the forecast origin, and forecast again: not a bit may change."""
    data, faults, forecasts = _own(subject), [], 0
    for scenario in subject.spread(SCENARIOS):
        cases = data.test_cases(scenario, subject.context)
        for case in places(len(cases), CASES):
            later = data.fields.clone()
            later[cases.members[case], int(cases.origins[case]) + 1 :] *= -3
            changed = RolloutData(
                data.task, data.dataset, data.provenance, data.opened, later, data.channels, data
            )
            for candidate in subject.candidates:
                model = subject.model(candidate)
                before, after = (_forecast(candidate, model, one, scenario, case) for one in (data, changed))
                forecasts += 1
                if not torch.equal(before, after):
                    faults.append(f"{candidate.name}, scenario {scenario.key}, case {case} sees what follows")
    compared = (
        f"{forecasts} forecasts of {subject.names}, with the fields after the origin as they are and replaced"
    )
    return Finding("future", compared, tuple(faults))


def training(subject: Subject) -> Finding:
    """Replace all that is no training part, open the task anew and fit again: same scale, same weights."""
    data, faults = _own(subject), []
    train = _labels(data) == _part_label(data, "train")
    opened = data.opened.load().copy(deep=True)
    for variable in {channel.variable for channel in data.channels}:
        along = opened[variable].dims.index("member" if _by_member(data) else "time")
        np.moveaxis(opened[variable].values, along, 0)[~train] *= 1.5
    changed = RolloutData.of(data.task, data.name, opened, data.provenance)
    for name, one, other in (
        ("normalisation", data._scale.shift, changed._scale.shift),
        ("normalisation", data._scale.factor, changed._scale.factor),
        ("climatology", data._target_climatology.table, changed._target_climatology.table),
        ("spread", data._reference.spread, changed._reference.spread),
    ):
        if not torch.equal(one, other):
            faults.append(f"the {name} depends on more than the training part")
    # The validation part may choose between weights, and these fits have one epoch.
    faults += subject.learning_faults(data, changed, "other parts")
    what = f"scale, climatology, spread and weights of {subject.names}, other parts as they are and replaced"
    return Finding("training", what, tuple(faults))


def borders(subject: Subject) -> Finding:
    """Every target lies in its part, and is the value of the store at its origin and lead time."""
    data, faults, windows = _own(subject), [], 0
    labels = _labels(data)
    for part in PARTS:
        cases, wanted = data.windows(part, subject.context), _part_label(data, part)
        steps = cases.origins[:, None] + torch.arange(1, cases.horizon + 1)
        found = labels[cases.members.numpy()][:, None] if _by_member(data) else labels[steps.numpy()]
        windows += len(cases)
        if (found != wanted).any():
            faults.append(f"the {part} part has targets outside the part '{wanted}'")
        for case in places(len(cases), CASES):
            truth = cases.gather_truth(torch.tensor([case]))[0][0].double()
            if data.task.space != "units":
                truth = data.target_scale.to_units(truth)
            wrong = _differs(data, truth, int(cases.members[case]), steps[case].numpy())
            faults += [f"{part}, case {case}: the truth of {name} is not that of the store" for name in wrong]
    return Finding(
        "borders", f"{windows} windows, by member or year; their truth in the store", tuple(faults)
    )


def scale(subject: Subject) -> Finding:
    """Mean, spread and climatology of each channel over the training part by their formulas."""
    data, faults = _own(subject), []
    train = _labels(data) == _part_label(data, "train")
    area = np.broadcast_to(_area(data)[:, None], data.fields.shape[3:]) / data.fields.shape[4]
    layout = data.task.rollout
    assert layout is not None
    for place, channel in enumerate(data.channels):
        values = _values(data, place)
        values = values[train] if _by_member(data) else values[:, train]
        values = values.reshape(-1, *values.shape[2:])
        if not np.allclose(values.mean(axis=0), data._scale.climatology[place], rtol=TOLERANCE, atol=0):
            faults.append(f"the climatology of {channel.name} is not the mean of the training part")
        if channel.variable in layout.logarithm:
            values = np.log1p(values / layout.logarithm[channel.variable])
        mean = (values.mean(axis=0) * area).sum()
        spread = np.sqrt((((values - mean) ** 2).mean(axis=0) * area).sum())
        wanted = (mean, spread) if data.task.normalisation == "zscore" else (0.0, 1.0)
        found = data._scale.shift[place].item(), data._scale.factor[place].item()
        if not np.allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE * spread):
            faults.append(f"the map of {channel.name} is {found}, not {wanted}")
    what = f"{data.task.normalisation} of {len(data.channels)} channels, rows by their area, and climatology"
    return Finding("scale", what, tuple(faults))


def metrics(subject: Subject) -> Finding:
    """Score random forecasts of the task's fields by the suite and by the formulas of WeatherBench 2."""
    data, scenario, faults = _own(subject), subject.scenarios[0], []
    cases = data.test_cases(scenario, subject.context)
    index = torch.arange(min(len(cases), 2 * CASES))
    observed = cases.gather_truth(index)[0].double()
    random = torch.Generator().manual_seed(0)
    reference = cases.seasonal_error(index)
    noise = torch.randn(observed.shape, dtype=torch.float64, generator=random)
    forecast = observed + 0.5 * noise * reference.spread[:, None, None]
    tally = tally_for(subject.task, scenario, data, len(cases))
    for part in index.split(2):
        tally.update(
            Forecast(forecast[part]),
            observed[part],
            None,
            lambda _, part=part: cases.seasonal_error(part),
            part,
        )
    columns = tally.score_columns()
    for row in range(len(columns["metric"])):
        name, region = columns["metric"][row], columns["region"][row]
        if columns["variable"][row] is None or columns["lead_time"][row] != data.task.horizon:
            continue
        level = columns["level"][row]
        label = columns["variable"][row] if level is None else f"{columns['variable'][row]}@{level}"
        place = data.targets.index(label)
        chosen = (slice(None), -1, place)
        climatology = np.broadcast_to(reference.climatology.numpy(), observed.shape)[chosen]
        value = FORMULAS[name](
            forecast.numpy()[chosen],
            observed.numpy()[chosen],
            climatology,
            _area(data, region),
            reference.spread[place].item(),
        )
        numerator, denominator = columns["numerator"][row], columns["denominator"][row]
        found = next(one for one in tally.metrics if one.name == name).value(numerator, denominator)
        if found is None or not np.isclose(found, value, rtol=TOLERANCE):
            faults.append(
                f"{name} of {label} in {region or 'the whole'} is {found}, by its formula {value:.9g}"
            )
    what = f"{', '.join(one for one in subject.task.metrics if one in FORMULAS)} at the last step, by region"
    return Finding("metrics", f"{what}, on {len(index)} windows", tuple(faults))


def _mean(values: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Mean over the sphere of each case, (case, latitude, longitude) → (case,)."""
    return np.average(values.mean(axis=-1), axis=-1, weights=area)


def _power(values: np.ndarray, area: np.ndarray) -> float:
    waves = np.arange(values.shape[-1] // 2 + 1)
    twice = np.where((waves == 0) | (2 * waves == values.shape[-1]), 1, 2)
    power = twice * np.abs(np.fft.rfft(values) / values.shape[-1]) ** 2
    return float(
        np.average(power[..., waves > values.shape[-1] // 12].sum(axis=-1), axis=-1, weights=area).sum()
    )


FORMULAS: dict[str, Callable[..., float]] = {
    "wb.rmse": lambda f, o, c, area, spread: float(np.sqrt(_mean((f - o) ** 2, area).mean())),
    "wb.mae": lambda f, o, c, area, spread: float(_mean(np.abs(f - o), area).mean()),
    "wb.bias": lambda f, o, c, area, spread: float(_mean(f - o, area).mean()),
    "rmse_ratio": lambda f, o, c, area, spread: float(np.sqrt(_mean((f - o) ** 2, area).mean()) / spread),
    "wb.acc": lambda f, o, c, area, spread: float(
        np.mean(
            _mean((f - c) * (o - c), area) / np.sqrt(_mean((f - c) ** 2, area) * _mean((o - c) ** 2, area))
        )
    ),
    "small_scale_power": lambda f, o, c, area, spread: _power(f, area) / _power(o, area),
}
"""Of one variable at one lead time: (forecast, observed, climatology, area of each row, spread) → value."""


def _own(subject: Subject) -> RolloutData:
    assert isinstance(subject.own, RolloutData)
    return subject.own


def _by_member(data: RolloutData) -> bool:
    return isinstance(data.task.split, LabelledSplit)


def _labels(data: RolloutData) -> np.ndarray:
    """Part of each member, or of each step, by what the store says."""
    split = data.task.split
    if isinstance(split, LabelledSplit):
        return np.array([str(one) for one in data.opened[split.coordinate].values], object)
    years = data.opened["time"].dt.year.values
    labels = np.full(len(years), "", object)
    for part in PARTS:
        first, last = getattr(split, part)
        labels[(years >= first) & (years <= last)] = part
    return labels


def _part_label(data: RolloutData, part: str) -> str:
    return getattr(data.task.split, part) if _by_member(data) else part


def _area(data: RolloutData, region: str | None = None) -> np.ndarray:
    """Share of the sphere of each row; 0 outside the region."""
    latitude = data.opened["latitude"].values.astype(np.float64)
    bounds = np.concatenate([[-90.0], (latitude[:-1] + latitude[1:]) / 2, [90.0]])
    area = np.sin(np.deg2rad(bounds[1:])) - np.sin(np.deg2rad(bounds[:-1]))
    if region is not None:
        south, north = REGIONS[region]
        area = np.where((latitude >= south) & (latitude <= north), area, 0.0)
    return area / area.sum()


def _values(data: RolloutData, place: int) -> np.ndarray:
    """A channel as the store holds it, float64, shape (member or 1, time, latitude, longitude)."""
    channel = data.channels[place]
    array = data.opened[channel.variable]
    if channel.level is not None:
        array = array.sel(level=float(channel.level))
    order = [name for name in ("member", "time", "latitude", "longitude") if name in array.dims]
    values = array.transpose(*order).values.astype(np.float64)
    return values if "member" in array.dims else values[None]


def _differs(data: RolloutData, truth: torch.Tensor, member: int, steps: np.ndarray) -> list[str]:
    """Targets whose truth is not what the store holds at these steps of a member."""
    return [
        name
        for number, name in enumerate(data.targets)
        if not np.allclose(
            truth[:, number].numpy(), _values(data, data.wanted[number])[member][steps], rtol=1e-5, atol=1e-9
        )
    ]


def _forecast(
    candidate: Candidate, model: object, data: RolloutData, scenario: Scenario, case: int
) -> torch.Tensor:
    presenter = Presenter(model, data.task)  # type: ignore[arg-type]
    cases = data.test_cases(scenario, candidate.context).using(*presenter.model.uses)
    batch = disturb(cases.gather(torch.tensor([case])), scenario, data.task.id, data.scale)
    return presenter.predict(batch, candidate.context)[0].values.cpu()
