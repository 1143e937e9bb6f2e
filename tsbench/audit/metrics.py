"""Every metric of a task against its formula in plain numpy, on random numbers and on the task's own data."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from tsbench.contracts import Forecast, Scenario
from tsbench.data.collection_cases import RollingWindows
from tsbench.data.disturbances import disturb
from tsbench.data.series_data import SeriesData
from tsbench.data.task_data import TaskData
from tsbench.data.views import is_complex
from tsbench.evaluation.evaluate import Presenter, in_metric_space, tally_for

from .excerpt import thin
from .formulas import FORMULAS, Numbers
from .subject import Finding, Subject

TOLERANCE = 1e-6
CASES, MEMBERS = 24, 6


@dataclass(frozen=True)
class Scored:
    """What is scored by the suite and by the formulas.

    Attributes:
        forecast: in metric space.
        observed: truth.
        valid: mask of `observed`, or None for all.
        seasonal: power → mean of seasonal differences, to be broadcast to `observed`.
    """

    forecast: Forecast
    observed: torch.Tensor
    valid: torch.Tensor | None
    seasonal: dict[int, torch.Tensor]

    def numbers(self, levels: tuple[float, ...]) -> Numbers:
        """The same in plain numpy and double precision; `levels`: the task's."""
        mask = np.ones(self.observed.shape, bool) if self.valid is None else self.valid.numpy()
        return Numbers(
            forecast=_double(self.forecast.values),
            kind=self.forecast.kind,
            given=self.forecast.quantiles,
            observed=_double(self.observed),
            mask=mask,
            seasonal=self.seasonal[1].numpy(),
            squared=self.seasonal[2].numpy(),
            levels=levels,
        )


def metrics(subject: Subject) -> Finding:
    """Score random forecasts, and a model's forecasts of the task, by the suite and by the formula."""
    data, scenario = subject.small, subject.scenarios[0]
    faults = []
    for where, scored in {
        "random numbers": _random_numbers(subject),
        "its own data": _own_data(subject),
    }.items():
        given = _tallied(data, scenario, scored)
        numbers = scored.numbers(subject.task.quantiles)
        for name in subject.task.metrics:
            if name not in FORMULAS:
                faults.append(f"the audit has no formula for {name}")
                continue
            with np.errstate(all="ignore"):
                value = FORMULAS[name](numbers)
            found = given[name]
            # Where nothing is defined (a perfect forecast in dB), the suite has no value.
            same = found is None if not np.isfinite(value) else _close(found, value)
            if not same:
                faults.append(f"{name} of {where} is {found}, by its formula {value:.9g}")
    faults += _space_faults(subject)
    listed = ", ".join(subject.task.metrics)
    compared = f"{listed} with their formulas, on random numbers and its own data, in {subject.task.space}"
    return Finding("metrics", compared, tuple(faults))


def _close(found: float | None, value: float) -> bool:
    return found is not None and bool(np.isclose(found, value, rtol=TOLERANCE, atol=TOLERANCE * 1e-3))


def _double(values: torch.Tensor) -> np.ndarray:
    return values.to(torch.complex128 if values.is_complex() else torch.float64).numpy()


def _tallied(data: TaskData, scenario: Scenario, scored: Scored) -> dict[str, float | None]:
    """What the suite makes of it, tallied in two unequal batches."""
    cases = len(scored.observed)
    tally = tally_for(data.task, scenario, data, cases)
    for part in torch.arange(cases).split(max(1, 2 * cases // 3)):
        values = scored.forecast.values
        forecast = replace(
            scored.forecast, values=values[part] if scored.forecast.kind == "point" else values[:, part]
        )
        mask = None if scored.valid is None else scored.valid[part]
        # One number a channel, or numbers of each case.
        seasonal = {power: one if one.ndim == 1 else one[part] for power, one in scored.seasonal.items()}
        tally.update(forecast, scored.observed[part], mask, seasonal.__getitem__, part)
    return tally.values()


def _random_numbers(subject: Subject) -> Scored:
    """Members around random truths; of complex responses a point."""
    random = torch.Generator().manual_seed(0)
    shape = subject.small.forecast_shape(CASES // 3, subject.context)
    dtype = torch.complex128 if is_complex(subject.task.view) else torch.float64
    observed = 2 * torch.randn(shape, dtype=dtype, generator=random) + 1
    if is_complex(subject.task.view):
        forecast = observed + torch.randn(shape, dtype=dtype, generator=random)
        unused = {power: subject.small.seasonal_difference(power) for power in (1, 2)}
        return Scored(Forecast(forecast), observed, None, unused)
    members = observed + torch.randn((MEMBERS, *shape), dtype=dtype, generator=random)
    seasonal = torch.rand(shape[-1], dtype=torch.float64, generator=random) + 0.5
    valid = torch.rand(shape, generator=random) > 0.1
    return Scored(Forecast(members, "samples"), observed, valid, {1: seasonal, 2: 1.5 * seasonal**2})


def _own_data(subject: Subject) -> Scored:
    data, scenario, candidate = subject.small, subject.scenarios[0], subject.candidates[0]
    presenter = Presenter(subject.model(candidate), subject.task)
    cases = thin(data.test_cases(scenario, candidate.context).using(*presenter.model.uses), CASES)
    index = torch.arange(len(cases))
    batch = disturb(cases.gather(index), scenario, subject.task.id, data.scale)
    forecast = in_metric_space(presenter.predict(batch, candidate.context)[0], cases, index)
    seasonal = {power: cases.seasonal_error(index, power) for power in (1, 2)}
    return Scored(forecast, *cases.gather_truth(index), seasonal)


def _space_faults(subject: Subject) -> list[str]:
    """Whether forecasts in model space are brought to where the task is scored: values · factor + shift."""
    data = subject.small
    dtype = torch.complex64 if is_complex(subject.task.view) else torch.float32
    shape = data.forecast_shape(2, subject.context)
    given = torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(1))
    cases, index = data.test_cases(subject.scenarios[0], subject.context), torch.tensor([0, 1])
    wanted, shift, factor = given.numpy(), data.scale.shift.numpy(), data.scale.factor.numpy()
    if subject.task.space == "units" and isinstance(cases, RollingWindows):
        columns = list(cases.held.target_index)
        own = cases.series[index].numpy()[:, None], columns
        wanted = wanted * factor[own][:, None] + shift[own][:, None]
    elif subject.task.space == "units" and isinstance(data, SeriesData):
        columns = [data.table.variables.index(name) for name in data.targets]
        wanted = wanted * factor[columns] + shift[columns]
    elif subject.task.space == "units":
        wanted = np.real(wanted) * factor[0] + shift[0] + 1j * (np.imag(wanted) * factor[1] + shift[1])
    found = cases.to_metric_space(given, index).numpy()
    if np.allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE * 1e-3):
        return []
    return [f"forecasts are not scored in {subject.task.space}"]
