"""Disturbances of the parts of a sample: what is measured of them is noisy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tsbench.data.batch import Batch, by_sample
from tsbench.data.disturbances import Level


def entity_noise(
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: Level,
    options: Mapping[str, Any],
    scale: Any,
) -> Batch:
    """White noise of deviation `level` on one feature of every entity, in its own units.

    What comes out is kept between `options["low"]` and `options["high"]`. The task must leave the features of
    its entities as they are (`static_normalisation: none`); `options["column"]` is the feature's number. A
    batch without `entity` has nothing to disturb.
    """
    if "entity" not in batch:
        return batch
    entity, column = batch["entity"], int(options["column"])
    draws = np.stack([one.standard_normal(entity.shape[1], np.float32) for one in generators])
    noise = torch.from_numpy(draws).to(entity) * by_sample(level, 2)
    noisy = (entity[..., column] + noise).clamp(float(options["low"]), float(options["high"]))
    noisy = torch.where(batch["entity_mask"], noisy, entity[..., column]) if "entity_mask" in batch else noisy
    disturbed = entity.clone()
    disturbed[..., column] = noisy
    return batch.replace(entity=disturbed)
