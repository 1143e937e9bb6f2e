"""Disturbances of maps: fewer and noisier samples, a transmitter beside its place, missing buildings.

They change the context (in units) and what else the batch says of the same thing; truth and scored cells stay
what they are, so that all levels are scored on the same cells.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from tsbench.contracts import InputError
from tsbench.contracts.field import NO_SIGNAL
from tsbench.data.batch import Batch
from tsbench.data.disturbances import Disturbance, Level

from .frame import log_distance, transmitter_plane
from .scale import FieldScale

CODE_MARGIN = 1e-3
"""dB by which the code of what was not sampled may be off after the way to model space and back."""


def fewer_samples(
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: Level,
    options: Mapping[str, Any],
    scale: FieldScale,
) -> Batch:
    """Only `level` of the samples are left, chosen at random."""
    context, place = _with_samples(batch, scale)
    for case, generator in enumerate(generators):
        flat = context[case, place].view(-1)
        given = _given(flat).nonzero().flatten()
        order = torch.from_numpy(generator.permutation(len(given)))
        flat[given[order[int(_of(level, case)) :]]] = NO_SIGNAL
    return _replaced(batch, context, place)


def noisier_samples(
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: Level,
    options: Mapping[str, Any],
    scale: FieldScale,
) -> Batch:
    """More Gaussian noise on each sample, of the standard deviation `level`, in dB."""
    context, place = _with_samples(batch, scale)
    for case, generator in enumerate(generators):
        flat = context[case, place].view(-1)
        given = _given(flat)
        noise = torch.from_numpy(generator.standard_normal(int(given.sum()), np.float32))
        # A sample at the code's own value would no longer be one.
        flat[given] = (flat[given] + noise * _of(level, case)).clamp_min(NO_SIGNAL + 1)
    return _replaced(batch, context, place)


def position_error(
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: Level,
    options: Mapping[str, Any],
    scale: FieldScale,
) -> Batch:
    """The transmitter is said to be `level` metres from where it is, in a random direction of the plane.

    Height in the `transmitter` channel, distances and `position` move together.
    """
    if "position" not in batch:
        raise InputError("position_error needs a task that says where the transmitter is")
    angles = torch.tensor([one.uniform(0, 2 * np.pi) for one in generators], dtype=torch.float32)
    distance = torch.tensor([_of(level, case) for case in range(batch.size)])
    shift = torch.stack([distance * angles.cos(), distance * angles.sin(), torch.zeros(batch.size)], dim=1)
    context, frame, position = batch["context"].clone(), scale.frame, batch["position"] + shift
    if "transmitter" in scale.channels:
        moved = frame.whole(transmitter_plane(position, frame))
        context[:, scale.channels.index("transmitter")] = moved
    if "log_distance" in scale.channels:
        context[:, scale.channels.index("log_distance")] = log_distance(position, frame)
    return batch.replace(context=context, position=position)


def missing_buildings(
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: Level,
    options: Mapping[str, Any],
    scale: FieldScale,
) -> Batch:
    """Each building is missing with the probability `level`: its cells are as high as the ground.

    A building is a patch of cells of one height that touch along their edges.
    """
    if "building_height" not in scale.channels:
        raise InputError("missing_buildings needs the channel building_height in the context")
    context = batch["context"].clone()
    place = scale.channels.index("building_height")
    for case, generator in enumerate(generators):
        heights = context[case, place]
        plane = heights[0] if scale.frame.volume else heights
        gone = _buildings(plane.numpy())
        lost = generator.random(gone.max() + 1) < _of(level, case)
        lost[0] = False
        cells = torch.from_numpy(lost[gone])
        heights[..., cells] = 0.0
        if "occupied" in scale.channels:
            context[case, scale.channels.index("occupied")][..., cells] = 0.0
    return batch.replace(context=context)


def _buildings(heights: np.ndarray) -> np.ndarray:
    """Number of the building on each cell, 0 on the ground; patches of one height, to the centimetre."""
    rounded = np.round(heights, 2)
    numbers, found = np.zeros(heights.shape, int), 0
    for height in np.unique(rounded[rounded > 0]):
        patches = np.zeros(heights.shape, np.int32)
        count = int(ndimage.label(rounded == height, output=patches))  # type: ignore[arg-type]
        numbers = np.where(patches > 0, patches + found, numbers)
        found += count
    return numbers


def _with_samples(batch: Batch, scale: FieldScale) -> tuple[torch.Tensor, int]:
    if scale.sparse is None:
        raise InputError("the context of this task holds no sparse samples to disturb")
    return batch["context"].clone(), scale.channels.index(scale.sparse)


def _given(values: torch.Tensor) -> torch.Tensor:
    return values > NO_SIGNAL + CODE_MARGIN


def _replaced(batch: Batch, context: torch.Tensor, place: int) -> Batch:
    if "observed" not in batch:
        return batch.replace(context=context)
    observed = batch["observed"].clone()
    observed[:, place] = _given(context[:, place])
    return batch.replace(context=context, observed=observed)


def _of(level: Level, case: int) -> float:
    return float(level[case]) if isinstance(level, torch.Tensor) else float(level)


DISTURBANCES: dict[str, Disturbance] = {
    "fewer_samples": fewer_samples,
    "noisier_samples": noisier_samples,
    "position_error": position_error,
    "missing_buildings": missing_buildings,
}
