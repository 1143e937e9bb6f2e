"""Disturbances of complex responses over elements, time and features: noise, phase, bursts, lost snapshots.

Defined by arXiv 2510.12996. Two layers: pure functions that take what is random as tensors, and disturbances
that draw it, sample by sample, from the sample's generator. Draws are laid out time first and run backwards
from the last snapshot. Results are the same to the bit for any size of the batch: sums and angles, whose last
bit may depend on how an array is cut for the processor, are worked in double precision.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tsbench.contracts import InputError

from .batch import Batch, by_sample
from .imputation import impute_snapshots

BURST_LENGTH = 10


def sample_awgn(
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: float | torch.Tensor,
    options: Mapping[str, Any],
    scale: Any,
) -> Batch:
    """White circular Gaussian noise, `level` dB below the mean power of each sample."""
    normal = complex_normal(generators, batch["context"])
    return batch.replace(context=add_white_noise(batch["context"], normal, level))


def phase_noise(
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: float | torch.Tensor,
    options: Mapping[str, Any],
    scale: Any,
) -> Batch:
    """Every value's phase is turned by a normal angle of standard deviation `level`, in radians."""
    normal = _real_normal(generators, batch["context"])
    return batch.replace(context=turn_phases(batch["context"], normal, level))


def burst_noise(
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: float | torch.Tensor,
    options: Mapping[str, Any],
    scale: Any,
) -> Batch:
    """At most one burst a sample, of peak amplitude 2 · `level` in each part, in units of the context.

    A burst occurs with probability 1 − (1 − 2 · level)^(time + 1), and starts at any snapshot alike.

    Raises:
        InputError: where twice the level is no probability above 0.
    """
    context = batch["context"]
    steps = context.shape[2]
    occurs, starts = [], []
    for generator, degree in zip(generators, levels_of(level, len(generators)), strict=True):
        if not 0 < degree <= 0.5:
            raise InputError(f"burst_noise takes levels above 0 up to 0.5, not {degree:g}")
        # Published rule: a count from 0, less 1, is below the number of snapshots. NumPy counts from 1.
        occurs.append(generator.geometric(2 * degree) - 2 < steps)
        starts.append(generator.integers(steps))
    occurring = torch.tensor(occurs, device=context.device)
    start = torch.tensor(starts, device=context.device)
    normal = complex_normal(generators, context)
    return batch.replace(context=add_burst(context, normal, start, occurring, level))


def packet_drop(
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: float | torch.Tensor,
    options: Mapping[str, Any],
    scale: Any,
) -> Batch:
    """Whole snapshots are lost, each with probability `level`, and filled from their neighbours.

    Options: `impute` (default true; else they stay 0) and `compat` (default false), see `impute_snapshots`.
    """
    context = batch["context"]
    lost = np.stack(
        [
            (generator.random(context.shape[2], np.float32) < share)[::-1]
            for generator, share in zip(generators, levels_of(level, len(generators)), strict=True)
        ]
    )
    dropped = drop_snapshots(context, torch.from_numpy(lost).to(context.device))
    if options.get("impute", True):
        dropped = impute_snapshots(dropped, compat=bool(options.get("compat", False)))
    return batch.replace(context=dropped)


def add_white_noise(values: torch.Tensor, normal: torch.Tensor, snr_db: float | torch.Tensor) -> torch.Tensor:
    """Add CN(0, s²), s² = mean |values|² of the sample · 10^(−snr_db/10).

    Args:
        values: complex, shape (sample, element, time, feature).
        normal: draws with N(0, 1) in each part, same shape.
        snr_db: signal-to-noise ratio in dB; a number, or shape (sample,).

    Returns:
        Disturbed values, same shape and dtype.
    """
    squares = torch.view_as_real(values).square()  # (sample, element, time, feature, part)
    power = squares.sum(dim=(-2, -1), dtype=torch.float64).mean(dim=(1, 2), keepdim=True) / values.shape[-1]
    ratio = 10 ** (-by_sample(snr_db, 4) / 10)
    amplitude = (power[..., None] * ratio / 2).sqrt()  # (sample, 1, 1, 1)
    return values + normal * amplitude.to(squares)


def turn_phases(values: torch.Tensor, normal: torch.Tensor, degree: float | torch.Tensor) -> torch.Tensor:
    """Turn the phase of every value: values · exp(j · degree · normal).

    Args:
        values: complex, shape (sample, element, time, feature).
        normal: real draws from N(0, 1), same shape.
        degree: standard deviation of the angle in radians; a number, or shape (sample,).

    Returns:
        Disturbed values, same shape and dtype.
    """
    angle = normal.double() * by_sample(degree, 4)
    return (values * torch.polar(torch.ones_like(angle), angle)).to(values)


def add_burst(
    values: torch.Tensor,
    normal: torch.Tensor,
    start: torch.Tensor,
    occurs: torch.Tensor,
    degree: float | torch.Tensor,
) -> torch.Tensor:
    """Add noise under the envelope 2 · degree · exp(−u²/2), u from −1 to 1 over the burst.

    A burst has 10 snapshots; one that would run past the end is cut there, and u spans what is left.

    Args:
        values: complex, shape (sample, element, time, feature).
        normal: draws with N(0, 1) in each part, same shape; those outside the burst are not used.
        start: first snapshot of the burst, int64, shape (sample,).
        occurs: whether there is a burst, bool, shape (sample,).
        degree: half the peak of the envelope, in units of `values`; a number, or shape (sample,).

    Returns:
        Disturbed values, same shape and dtype.
    """
    steps = values.shape[2]
    length = (steps - start).clamp_max(BURST_LENGTH)[:, None]
    place = torch.arange(steps, device=values.device) - start[:, None]  # (sample, time)
    inside = (place >= 0) & (place < length) & occurs[:, None]
    # A burst of one snapshot has u = −1, as linspace.
    u = 2 * place.double() / (length - 1).clamp_min(1) - 1
    envelope = torch.where(inside, 2 * by_sample(degree, 2) * torch.exp(-0.5 * u.square()), 0.0)
    return values + normal * envelope[:, None, :, None].to(normal.real)


def drop_snapshots(values: torch.Tensor, lost: torch.Tensor) -> torch.Tensor:
    """Set lost snapshots to 0 at all elements and features.

    Args:
        values: complex, shape (sample, element, time, feature).
        lost: bool, shape (sample, time).

    Returns:
        Disturbed values, same shape and dtype.
    """
    return values.masked_fill(lost[:, None, :, None], 0)


def complex_normal(generators: Sequence[np.random.Generator], context: torch.Tensor) -> torch.Tensor:
    """N(0, 1) in each part, complex64, of the context's shape."""
    return torch.view_as_complex(_normal(generators, context, parts=2))


def levels_of(level: float | torch.Tensor, samples: int) -> list[float]:
    """The level of each sample."""
    return level.tolist() if isinstance(level, torch.Tensor) else [level] * samples


def _real_normal(generators: Sequence[np.random.Generator], context: torch.Tensor) -> torch.Tensor:
    """N(0, 1), float32, of the context's shape."""
    return _normal(generators, context, parts=1)[..., 0]


def _normal(generators: Sequence[np.random.Generator], context: torch.Tensor, parts: int) -> torch.Tensor:
    samples, elements, steps, features = context.shape
    draws = np.empty((samples, elements, steps, features, parts), np.float32)
    for row, generator in zip(draws, generators, strict=True):
        backwards = generator.standard_normal((steps, elements, features, parts), np.float32)
        row[:] = backwards[::-1].swapaxes(0, 1)
    return torch.from_numpy(draws).to(context.device)
