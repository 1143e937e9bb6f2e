"""Named disturbances of the context: pure functions of a batch, drawn from (task, scenario, case) alone.

Never from the run's seed, the batch size or the worker: the same case is disturbed in the same way for every
model. Draws run backwards in time from the forecast origin, so that a longer look-back sees the same noise at
the same lags.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch

from tsbench.contracts import InputError, Scenario
from tsbench.contracts.conditions import PUBLISHED, Space
from tsbench.contracts.kinds import FURTHER, disturbances_module

from .batch import Batch, by_sample
from .channel_estimation import estimated_lmmse, estimated_ls
from .complex_noise import burst_noise, packet_drop, phase_noise, sample_awgn
from .missing import fill_forward
from .normalisation import Scale

Level = float | torch.Tensor
"""One number, or one for each sample, shape (sample,)."""
Disturbance = Callable[[Batch, Sequence[np.random.Generator], Level, Mapping[str, Any], Any], Batch]


def disturb(batch: Batch, scenario: Scenario, task: str, scale: Any) -> Batch:
    """The batch as the scenario disturbs it.

    Args:
        batch: with `context` and `index`, in model space.
        scenario: names the disturbance, its level and the space in which it works.
        task: name and version of the task, part of the key of the draws.
        scale: between physical units and model space, and the training part's mean and spread in both.

    Raises:
        InputError: where the disturbance has an unknown name.
    """
    if scenario.disturbance is None or scenario.level is None:
        return batch
    # Twins that count for different averages are drawn alike.
    generators = case_generators(task, scenario.key.removesuffix(PUBLISHED), batch["index"])
    return apply(
        scenario.disturbance, batch, generators, scenario.level, scenario.options, scale, scenario.space
    )


def apply(
    name: str,
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: Level,
    options: Mapping[str, Any],
    scale: Any,
    space: Space,
) -> Batch:
    """Apply the disturbance of that name in physical units or in model space; the batch is in model space.

    Padding before the first step of a series stays what it is.

    Raises:
        InputError: where there is no such disturbance.
    """
    function, scale = disturbance(name), scale.of(batch)
    if space == "normalised":
        disturbed = function(batch, generators, level, options, scale.in_model_space())
    else:
        physical = batch.replace(context=scale.to_units(batch["context"]))
        disturbed = function(physical, generators, level, options, scale.in_units())
        disturbed = disturbed.replace(context=scale.to_model(disturbed["context"]))
    if "length" not in batch:
        return disturbed
    own = own_steps(batch)[..., None]
    return disturbed.replace(context=torch.where(own, disturbed["context"], batch["context"]))


def disturbance(name: str) -> Disturbance:
    """The disturbance of that name, of series or of another kind of task.

    Raises:
        InputError: where there is none.
    """
    if name in DISTURBANCES:
        return DISTURBANCES[name]
    further = {kind: import_module(disturbances_module(kind)).DISTURBANCES for kind in FURTHER}
    for own in further.values():
        if name in own:
            return own[name]
    known = [*DISTURBANCES, *(one for own in further.values() for one in own)]
    raise InputError(f"Unknown disturbance '{name}'; there are {', '.join(known)}")


def own_steps(batch: Batch) -> torch.Tensor:
    """Which steps of a context belong to the sample's series, (sample, time); the others are padding."""
    steps = batch["context"].shape[1]
    return torch.arange(steps, device=batch["length"].device) >= steps - batch["length"][:, None]


def case_generators(task: str, scenario: str, index: torch.Tensor) -> list[np.random.Generator]:
    """One counter-based generator a case, keyed by task, scenario and case index."""
    digest = hashlib.blake2b(f"{task}|{scenario}".encode(), digest_size=8).digest()
    key = int.from_bytes(digest, "little")
    # Philox takes a 128-bit key: the upper half names the scenario, the lower half the case.
    return [np.random.Generator(np.random.Philox(key=(key << 64) | case)) for case in index.tolist()]


def awgn(
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: Level,
    options: Mapping[str, Any],
    scale: Scale,
) -> Batch:
    """White Gaussian noise, `level` dB below the training variance of each variable."""
    context = batch["context"]
    _, steps, channels = context.shape
    draws = np.stack([one.standard_normal((steps, channels), np.float32) for one in generators])
    noise = torch.from_numpy(draws).to(context).flip(1)  # (sample, time, channel)
    return batch.replace(context=context + noise * scale.std.to(context) * 10 ** (-by_sample(level, 3) / 20))


def missing_blocks(
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: Level,
    options: Mapping[str, Any],
    scale: Scale,
) -> Batch:
    """Blocks of `options["steps"]` steps go missing, each with probability `level`, for each variable alone.

    The grid of blocks has a random phase for each case and variable. What is missing is marked in `observed`
    and filled with the last observed value, with the training mean before the first.
    """
    context = batch["context"]
    _, steps, channels = context.shape
    length = int(options["steps"])
    blocks = -(-steps // length) + 1
    lag = np.arange(steps)[:, None]
    masks = []
    shares = level.tolist() if isinstance(level, torch.Tensor) else [level] * len(generators)
    for generator, share in zip(generators, shares, strict=True):
        phase = generator.integers(length, size=channels)
        lost = generator.random((blocks, channels)) < share
        masks.append(~np.take_along_axis(lost, (lag + phase) // length, axis=0))
    observed = torch.from_numpy(np.stack(masks)).to(context.device).flip(1)  # (sample, time, channel)
    if "observed" in batch:
        observed &= batch["observed"]
    filled = fill_forward(context, observed, scale.mean)
    return batch.replace(context=filled, observed=observed)


def hidden_channels(
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: Level,
    options: Mapping[str, Any],
    scale: Scale,
) -> Batch:
    """One in `level` of the variables is observed, the first of each run of so many; the others never are.

    Nothing is drawn: the same sensors are there in every case, as where few were put up. What is hidden is
    marked in `observed` and holds the training mean.
    """
    context = batch["context"]
    every = torch.as_tensor(by_sample(level, 3), device=context.device).round()
    kept = torch.arange(context.shape[-1], device=context.device) % every == 0
    observed = kept.expand(context.shape)
    if "observed" in batch:
        observed = observed & batch["observed"]
    return batch.replace(context=fill_forward(context, observed, scale.mean), observed=observed)


DISTURBANCES: dict[str, Disturbance] = {
    "awgn": awgn,
    "missing_blocks": missing_blocks,
    "hidden_channels": hidden_channels,
    "sample_awgn": sample_awgn,
    "phase_noise": phase_noise,
    "burst_noise": burst_noise,
    "packet_drop": packet_drop,
    "estimated_ls": estimated_ls,
    "estimated_lmmse": estimated_lmmse,
}
