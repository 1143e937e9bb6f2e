"""Disturbances of panels, by name: whole steps of the context go missing. Noise is that of series."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tsbench.data.batch import Batch
from tsbench.data.disturbances import Disturbance, Level
from tsbench.data.missing import fill_forward

from .entities import entity_noise


def missing_steps(
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: Level,
    options: Mapping[str, Any],
    scale: Any,
) -> Batch:
    """Each step is lost with probability `level`, all of its channels together.

    Drawn backwards in time. What is missing is marked in `observed` and filled with the last observed value,
    with the training mean before the first.
    """
    context = batch["context"]
    steps = context.shape[1]
    shares = level.tolist() if isinstance(level, torch.Tensor) else [level] * len(generators)
    lost = np.stack([one.random(steps) < share for one, share in zip(generators, shares, strict=True)])
    kept = torch.from_numpy(~lost).to(context.device).flip(1)[..., None]
    observed = kept.expand(context.shape)
    if "observed" in batch:
        observed = observed & batch["observed"]
    return batch.replace(context=fill_forward(context, observed, scale.mean), observed=observed)


DISTURBANCES: dict[str, Disturbance] = {"missing_steps": missing_steps, "entity_noise": entity_noise}
