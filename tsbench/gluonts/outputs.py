"""What the network of a GluonTS model gives, as quantiles or samples: the same for any size of the batch."""

import inspect
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from gluonts.model.forecast_generator import (
    DistributionForecastGenerator,
    QuantileForecastGenerator,
    SampleForecastGenerator,
)
from scipy.special import stdtrit
from torch.distributions import Distribution, StudentT, TransformedDistribution

from tsbench.contracts import Forecast, InputError, TaskShape

from .drawing import can_draw, case_uniforms, drawing_from, generators_of

SAMPLES = 100
"""Sample paths where nobody said how many, as in GluonTS."""
PATHS = 4096
"""Sample paths that are drawn at once: more of them leave the cache of a processor."""
Inputs = Mapping[str, torch.Tensor]


def forecast_of(
    network: Any,
    forecasts: Any,
    inputs: Inputs,
    index: torch.Tensor,
    shape: TaskShape,
    realizations: int | None = None,
) -> Forecast:
    """Run a network, and read its forecast.

    Args:
        network: of the predictor.
        forecasts: the predictor's forecast generator, which says how outputs are meant.
        inputs: of the network, one row a sequence: sample by sample, target by target.
        index: cases of the batch, shape (sample,).
        shape: of the task; its quantiles are those of a network that gives a distribution.
        realizations: sample paths of a network that gives samples.

    Returns:
        Quantiles, shape (quantile, sample, lead_time, target), or samples, (realization, sample, …).

    Raises:
        InputError: where the network forecasts fewer steps than the horizon, or in a way that is not known.
    """
    if isinstance(forecasts, QuantileForecastGenerator):
        levels = tuple(float(level) for level in forecasts.quantiles)
        return _quantiles(_levels_of(network(**inputs)), levels, shape)
    if isinstance(forecasts, DistributionForecastGenerator):
        output = network(**inputs)
        values = _distribution_quantiles(forecasts.distr_output, output, index, shape)
        return _quantiles(values, shape.quantiles, shape)
    if isinstance(forecasts, SampleForecastGenerator):
        samples = _samples(network, inputs, index, shape, realizations)
        return Forecast(_by_sample(samples.transpose(0, 1), shape), "samples")
    raise InputError(f"tsbench cannot read the forecasts of a {type(forecasts).__name__}")


def _quantiles(values: torch.Tensor, levels: tuple[float, ...], shape: TaskShape) -> Forecast:
    """Quantiles at the task's levels where the network has them, else at its own; `values`: level first."""
    if set(shape.quantiles) <= set(levels):
        values, levels = values[[levels.index(level) for level in shape.quantiles]], shape.quantiles
    return Forecast(_by_sample(values, shape), "quantiles", levels)


def _by_sample(values: torch.Tensor, shape: TaskShape) -> torch.Tensor:
    """(first, sequence, lead_time) as (first, sample, lead_time, target), cut to the horizon."""
    if values.shape[-1] < shape.horizon:
        raise InputError(f"The network forecasts {values.shape[-1]} steps; the horizon is {shape.horizon}")
    return values[..., : shape.horizon].unflatten(1, (-1, len(shape.targets))).transpose(2, 3)


def _levels_of(output: Any) -> torch.Tensor:
    """Quantiles in the scale of the series, shape (level, sequence, lead_time)."""
    (values,), loc, scale = output
    if scale is not None:
        values = values * scale[..., None]
    if loc is not None:
        values = values + loc[..., None]
    return values.movedim(-1, 0)


def _distribution_quantiles(kind: Any, output: Any, index: torch.Tensor, shape: TaskShape) -> torch.Tensor:
    """Quantiles of a distribution, shape (level, sequence, lead_time); of samples where it has no formula."""
    distribution = kind.distribution(*output)
    try:
        return quantiles(distribution, shape.quantiles)
    except NotImplementedError:
        samples = _each_case(
            lambda rows: kind.distribution(*_rows(output, rows)).sample(torch.Size((SAMPLES,))).movedim(0, 1),
            index,
            len(shape.targets),
        )
        levels = torch.tensor(shape.quantiles, dtype=samples.dtype, device=samples.device)
        return samples.quantile(levels, dim=1)


def quantiles(distribution: Distribution, levels: tuple[float, ...]) -> torch.Tensor:
    """Quantiles of a distribution, shape (level, ...).

    Raises:
        NotImplementedError: where the distribution has no quantile function.
    """
    if isinstance(distribution, TransformedDistribution) and isinstance(distribution.base_dist, StudentT):
        values = quantiles(distribution.base_dist, levels)
        for transform in distribution.transforms:
            values = cast(torch.Tensor, transform(values))  # scales are positive
        return values
    if isinstance(distribution, StudentT):
        standard = torch.from_numpy(_student_quantiles(distribution.df, levels)).to(distribution.loc)
        return distribution.loc + distribution.scale * standard
    device = distribution.mean.device
    each = [distribution.icdf(torch.tensor([level], device=device)) for level in levels]
    return torch.stack([cast(torch.Tensor, one) for one in each])


def _student_quantiles(df: torch.Tensor, levels: tuple[float, ...]) -> np.ndarray:
    """Quantiles of Student's t, shape (level, ...), by scipy's formula itself and by symmetry.

    Most of a forecast's time goes into them; scipy's distribution object takes ten times as long.
    """
    degrees = df.detach().double().cpu().numpy()
    lower: dict[float, np.ndarray] = {0.5: np.zeros_like(degrees)}
    for level in levels:
        tail = round(min(level, 1 - level), 12)
        if tail not in lower:
            lower[tail] = np.asarray(stdtrit(degrees, tail))
    return np.stack(
        [lower[round(level, 12)] if level <= 0.5 else -lower[round(1 - level, 12)] for level in levels]
    )


def _samples(
    network: Any,
    inputs: Inputs,
    index: torch.Tensor,
    shape: TaskShape,
    realizations: int | None,
) -> torch.Tensor:
    """Sample paths, shape (sequence, realization, lead_time)."""
    inner = getattr(network, "model", network)
    takes = inspect.signature(inner.forward).parameters
    count = realizations or getattr(inner, "num_parallel_samples", SAMPLES)
    asked = {"num_parallel_samples": count} if "num_parallel_samples" in takes else {}
    targets = len(shape.targets)

    def run(rows: slice) -> torch.Tensor:
        return network(**{name: one[rows] for name, one in inputs.items()}, **asked)

    if not asked or not can_draw(getattr(inner, "distr_output", None)):
        return _each_case(run, index, targets)
    steps = getattr(inner, "prediction_length", shape.horizon)
    parts, first = [], 0
    for cases in index.split(max(1, PATHS // (targets * count))):
        uniforms = case_uniforms(cases, (targets, count, steps, 2))
        with drawing_from(inner, uniforms.flatten(0, 2)):
            parts.append(run(slice(first, first + len(cases) * targets)))
        first += len(cases) * targets
    return torch.cat(parts)


def _each_case(run: Any, index: torch.Tensor, targets: int) -> torch.Tensor:
    """Run case by case with the global generator seeded by the case: slow, and the same for any batch."""
    parts = []
    seeds = [int(one.integers(2**62)) for one in generators_of(index)]
    for number, seed in enumerate(seeds):
        with torch.random.fork_rng(devices=[index.device] if index.is_cuda else []):
            torch.manual_seed(seed)
            parts.append(run(slice(number * targets, (number + 1) * targets)))
    return torch.cat(parts)


def _rows(output: Any, rows: slice) -> Any:
    if isinstance(output, tuple | list):
        return type(output)(_rows(one, rows) for one in output)
    return output if output is None else output[rows]
