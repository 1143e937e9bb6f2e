"""Every metric of a task against its formula in plain numpy, on random numbers and on the task's own data."""

from collections.abc import Callable

import numpy as np
import torch

from tsbench.contracts import Scenario
from tsbench.data.collection_cases import RollingWindows
from tsbench.data.disturbances import disturb
from tsbench.data.series_data import SeriesData
from tsbench.data.task_data import TaskData
from tsbench.data.views import is_complex
from tsbench.evaluation.evaluate import Presenter, point, tally_for

from .excerpt import thin
from .subject import Finding, Subject

TOLERANCE = 1e-6
CASES = 24
Formula = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], float]
"""(forecast, observed, mask, seasonal difference) → value."""


def metrics(subject: Subject) -> Finding:
    """Score random forecasts, and a model's forecasts of the task, by the suite and by the formula."""
    data, scenario = subject.small, subject.scenarios[0]
    faults = []
    batches = {"random numbers": _random_numbers(subject), "its own data": _own_data(subject)}
    for where, (forecast, observed, valid, seasonal) in batches.items():
        given = _tallied(data, scenario, forecast, observed, valid, seasonal)
        mask = np.ones(observed.shape, bool) if valid is None else valid.numpy()
        for name in subject.task.metrics:
            if name not in FORMULAS:
                faults.append(f"the audit has no formula for {name}")
                continue
            double = [
                one.to(torch.complex128 if one.is_complex() else torch.float64)
                for one in (forecast, observed)
            ]
            value = FORMULAS[name](double[0].numpy(), double[1].numpy(), mask, seasonal.numpy())
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


def _tallied(
    data: TaskData,
    scenario: Scenario,
    forecast: torch.Tensor,
    observed: torch.Tensor,
    valid: torch.Tensor | None,
    seasonal: torch.Tensor,
) -> dict[str, float | None]:
    """What the suite makes of it, tallied in two unequal batches."""
    tally = tally_for(data.task, scenario, data, len(forecast))
    for part in torch.arange(len(forecast)).split(max(1, 2 * len(forecast) // 3)):
        mask = None if valid is None else valid[part]
        tally.update(forecast[part], observed[part], mask, seasonal, part)
    return tally.values()


Numbers = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, torch.Tensor]
"""Forecast, observed, mask, seasonal difference."""


def _random_numbers(subject: Subject) -> Numbers:
    random = torch.Generator().manual_seed(0)
    shape = subject.small.forecast_shape(CASES // 3, subject.context)
    dtype = torch.complex128 if is_complex(subject.task.view) else torch.float64
    observed = 2 * torch.randn(shape, dtype=dtype, generator=random) + 1
    forecast = observed + torch.randn(shape, dtype=dtype, generator=random)
    if is_complex(subject.task.view):
        return forecast, observed, None, subject.small.seasonal_error
    seasonal = torch.rand(shape[-1], dtype=torch.float64, generator=random) + 0.5
    return forecast, observed, torch.rand(shape, generator=random) > 0.1, seasonal


def _own_data(subject: Subject) -> Numbers:
    data, scenario, candidate = subject.small, subject.scenarios[0], subject.candidates[0]
    presenter = Presenter(subject.model(candidate), subject.task)
    cases = thin(data.test_cases(scenario, candidate.context).using(*presenter.model.uses), CASES)
    batch = disturb(cases.gather(torch.arange(len(cases))), scenario, subject.task.id, data.scale)
    forecast = data.to_metric_space(point(presenter.predict(batch, candidate.context)[0]).cpu())
    observed, valid = cases.gather_truth(torch.arange(len(cases)))
    return forecast, observed, valid, data.seasonal_error


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


def _mse(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray, seasonal: np.ndarray) -> float:
    return float(np.mean((forecast[mask] - observed[mask]) ** 2))


def _mae(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray, seasonal: np.ndarray) -> float:
    return float(np.mean(np.abs(forecast[mask] - observed[mask])))


def _rmse(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray, seasonal: np.ndarray) -> float:
    return float(np.linalg.norm(forecast[mask] - observed[mask]) / np.sqrt(mask.sum()))


def _smape(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray, seasonal: np.ndarray) -> float:
    """Mean of 200 |y − f| / (|y| + |f|), 0 where both are 0."""
    wrong, size = np.abs(forecast - observed)[mask], (np.abs(forecast) + np.abs(observed))[mask]
    return float(200 * np.divide(wrong, size, out=np.zeros_like(wrong), where=size != 0).mean())


def _mase(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray, seasonal: np.ndarray) -> float:
    """Mean of |y − f| / seasonal difference, over the variables whose difference is above 0."""
    ratios = [
        np.abs(forecast[..., column] - observed[..., column])[mask[..., column]] / size
        for column, size in enumerate(seasonal)
        if size > 0
    ]
    return float(np.concatenate(ratios).mean()) if ratios else float("nan")


def _nmse(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray, seasonal: np.ndarray) -> float:
    return float(np.mean(_error_ratios(forecast, observed)))


def _nmse_median(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray, seasonal: np.ndarray) -> float:
    return float(np.median(_error_ratios(forecast, observed)))


def _nmse_db(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray, seasonal: np.ndarray) -> float:
    return float(
        20 * np.log10(np.linalg.norm((forecast - observed).ravel()) / np.linalg.norm(observed.ravel()))
    )


def _sse(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray, seasonal: np.ndarray) -> float:
    """Sum of squared errors over the subcarriers, mean over samples, antennas and steps."""
    return float(np.mean(np.linalg.norm(forecast - observed, axis=-1) ** 2))


def _se(forecast: np.ndarray, observed: np.ndarray, mask: np.ndarray, seasonal: np.ndarray) -> float:
    """Mean of log2(1 + 10 |⟨f, h⟩|² / |f|²) over samples, steps and subcarriers; antennas are the vectors."""
    inner = np.abs(np.einsum("satk,satk->stk", forecast.conj(), observed))
    length = np.linalg.norm(forecast, axis=1)
    matched = np.divide(inner, length, out=np.zeros_like(inner), where=length > 0)
    return float(np.log2(1 + 10 * matched**2).mean())


def _error_ratios(forecast: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """|f − h|² / |h|² over the subcarriers, shape (sample, antenna, lead_time)."""
    return (np.linalg.norm(forecast - observed, axis=-1) / np.linalg.norm(observed, axis=-1)) ** 2


FORMULAS: dict[str, Formula] = {
    "mse": _mse,
    "mae": _mae,
    "rmse": _rmse,
    "smape": _smape,
    "mase": _mase,
    "nmse": _nmse,
    "nmse_median": _nmse_median,
    "nmse_db": _nmse_db,
    "sse": _sse,
    "se": _se,
}
