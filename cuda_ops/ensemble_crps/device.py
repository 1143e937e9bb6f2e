"""The scores as CUDA kernels: which kernel an ensemble needs, its blocks and its memory."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch

from .. import launch
from .eager import place_of, precision

SOURCE = Path(__file__).with_name("ensemble_crps.cu")
IN_REGISTERS, IN_BLOCK = 64, 1024
"""Most members that a thread, and a block, sorts."""
THREADS, SORTING_THREADS, SECTOR = 128, 256, 32
"""Threads of a block; bytes of a memory sector, whose cases a sorting block takes together."""
SHARED_BYTES = 48 * 1024

Run = Callable[..., None]


def scores(
    forecast: torch.Tensor,
    observed: torch.Tensor,
    levels: Sequence[float],
    fair: bool,
    run: Run | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `reference.scores`, for up to 1,024 members without weights.

    Args:
        forecast: members, shape (member, case), all on one device.
        observed: shape (case,).
        levels: of the quantiles.
        fair: without the bias of few members.
        run: runs a kernel, (name, grid, block, arguments, shared_bytes); by default on the GPU.
    """
    run = run or partial(launch.launch, SOURCE)
    forecast, observed = _widened(forecast), _widened(observed)
    members, cases = forecast.shape
    real = precision(forecast)
    crps = torch.empty(cases, dtype=real, device=forecast.device)
    losses = torch.empty(len(levels), cases, dtype=real, device=forecast.device)
    if not cases:
        return crps, losses
    places = [place_of(level, members) for level in levels]
    below = torch.tensor([one for one, _ in places], dtype=torch.int64, device=forecast.device)
    share = torch.tensor([one for _, one in places], dtype=real, device=forecast.device)
    level = torch.tensor(list(levels), dtype=real, device=forecast.device)
    arrays = [forecast, observed, below, share, level, crps, losses]
    sizes = [members, cases, len(levels), int(fair)]
    name = _name(forecast)
    if members <= IN_REGISTERS:
        run(f"registers_{name}_{_power(members)}", (-(-cases // THREADS),), THREADS, [*arrays, *sizes])
        return crps, losses
    size, width = _power(members), SECTOR // real.itemsize
    shared = (size * width + SORTING_THREADS) * real.itemsize
    run(f"block_{name}", (-(-cases // width),), SORTING_THREADS, [*arrays, *sizes, size], shared)
    return crps, losses


def gradient(
    forecast: torch.Tensor, observed: torch.Tensor, outer: torch.Tensor, fair: bool, run: Run | None = None
) -> torch.Tensor:
    """As `eager.gradient`, for up to 64 members without weights and levels; in the precision of the scores.

    Args:
        forecast: members, shape (member, case), all on one device.
        observed: shape (case,).
        outer: gradient with respect to the CRPS, shape (case,).
        fair: as in the scores.
        run: as in `scores`.
    """
    run = run or partial(launch.launch, SOURCE)
    forecast, observed = _widened(forecast), _widened(observed)
    members, cases = forecast.shape
    found = torch.empty(forecast.shape, dtype=precision(forecast), device=forecast.device)
    if cases:
        name = f"gradient_{_name(forecast)}_{_power(members)}"
        arrays = [forecast, observed, outer.to(found.dtype).contiguous(), found]
        run(name, (-(-cases // THREADS),), THREADS, [*arrays, members, cases, int(fair)])
    return found


def energy(
    forecast: torch.Tensor, observed: torch.Tensor, fair: bool, run: Run | None = None
) -> torch.Tensor:
    """As `reference.energy_by_pairs` without weights, where `holds` the ensemble.

    Args:
        forecast: members, shape (member, case, channel), all on one device.
        observed: shape (case, channel).
        fair: without the bias of few members.
        run: as in `scores`.
    """
    run = run or partial(launch.launch, SOURCE)
    forecast, observed = _widened(forecast), _widened(observed)
    members, cases, channels = forecast.shape
    score = torch.empty(cases, dtype=precision(forecast), device=forecast.device)
    if cases:
        threads = min(SORTING_THREADS, -(-members // 32) * 32)
        shared = (members * channels + threads) * score.element_size()
        arguments = [forecast, observed, score, members, cases, channels, int(fair)]
        run(f"energy_{_name(forecast)}", (cases,), threads, arguments, shared)
    return score


def holds(forecast: torch.Tensor) -> bool:
    """Whether a block's memory holds all members of a case, (member, case, channel)."""
    numbers = forecast.shape[0] * forecast.shape[2] + SORTING_THREADS
    return numbers * precision(forecast).itemsize <= SHARED_BYTES


def _widened(numbers: torch.Tensor) -> torch.Tensor:
    """Contiguous, in the precision of the scores: kernels read float32 and float64."""
    return numbers.to(precision(numbers)).contiguous()


def _name(forecast: torch.Tensor) -> str:
    return str(forecast.dtype).removeprefix("torch.")


def _power(members: int) -> int:
    """The power of two that holds that many."""
    return 1 << (members - 1).bit_length()
