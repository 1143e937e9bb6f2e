"""Disturbances of roll-outs of fields, by name: a coarser input, and one with holes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from tsbench.contracts import InputError
from tsbench.data.batch import Batch
from tsbench.data.disturbances import Disturbance, Level

from .scale import GridScale


def coarse(
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: Level,
    options: Mapping[str, Any],
    scale: GridScale,
) -> Batch:
    """Every block of `level` × `level` points takes its mean: an analysis on a coarser grid.

    Raises:
        InputError: where the grid does not divide into such blocks.
    """
    context = batch["context"]
    size, (rows, columns) = int(level), context.shape[-2:]
    if size < 1 or rows % size or columns % size:
        raise InputError(f"A grid of {rows} × {columns} points has no blocks of {size} × {size}")
    means = functional.avg_pool2d(context.flatten(0, 2), size)
    fine = means.repeat_interleave(size, dim=-2).repeat_interleave(size, dim=-1)
    return batch.replace(context=fine.reshape(context.shape))


def holes(
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: Level,
    options: Mapping[str, Any],
    scale: GridScale,
) -> Batch:
    """Blocks of `options["points"]` × as many points are lost with probability `level`, all channels at once.

    Each step of the context has its own holes, drawn backwards from the origin. What is lost is marked in
    `observed` and filled with the climatology of its location.
    """
    context = batch["context"]
    _, steps, _, rows, columns = context.shape
    size = int(options["points"])
    blocks = -(-rows // size), -(-columns // size)
    share = level.tolist() if isinstance(level, torch.Tensor) else [level] * len(generators)
    lost = np.stack(
        [one.random((steps, *blocks)) < part for one, part in zip(generators, share, strict=True)]
    )
    lost = torch.from_numpy(lost).flip(1).to(context.device)  # (sample, time, block row, block column)
    lost = lost.repeat_interleave(size, dim=-2).repeat_interleave(size, dim=-1)[..., :rows, :columns]
    lost = lost[:, :, None].expand(context.shape)
    filled = torch.where(lost, scale.climatology.to(context), context)
    return batch.replace(context=filled, observed=~lost)


DISTURBANCES: dict[str, Disturbance] = {"coarse": coarse, "holes": holes}
