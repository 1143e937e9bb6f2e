"""What models of maps share: channels in units, the samples of a map, where cells lie, and the way back.

The batch of a field task and its scales are described in `tsbench.contracts.field`. Shapes here leave z out;
maps of a volume have it before y.
"""

from collections.abc import Mapping
from typing import Any

import torch

from tsbench.contracts import ChannelScale, InputError, TaskShape

Batch = Mapping[str, torch.Tensor]


def require(shape: TaskShape, who: str, *channels: str) -> None:
    """Refuse a task whose maps lack a channel.

    Raises:
        InputError: naming what is missing and what there is.
    """
    missing = [name for name in channels if name not in shape.channels]
    if missing:
        raise InputError(f"{who} reads the channels {', '.join(channels)}; the task has {_listed(shape)}")


def only_target(shape: TaskShape, who: str) -> str:
    """The one target of a task.

    Raises:
        InputError: where there are several.
    """
    if len(shape.targets) != 1:
        raise InputError(f"{who} forecasts one map a case; the task has {', '.join(shape.targets)}")
    return shape.targets[0]


def sampled(shape: TaskShape, who: str) -> str:
    """The channel of sparse samples: it bears the name of the target that it samples.

    Raises:
        InputError: where there is none.
    """
    for name in shape.targets:
        if name in shape.channels:
            return name
    raise InputError(f"{who} reads samples of the map; the task has {_listed(shape)}")


def has_samples(shape: TaskShape) -> bool:
    """Whether the context holds samples of the target."""
    return any(name in shape.channels for name in shape.targets)


def in_units(batch: Batch, shape: TaskShape, name: str) -> torch.Tensor:
    """A channel of the context in units, shape (sample, y, x)."""
    values, scale = batch["context"][:, shape.channels.index(name)], scale_of(shape, name)
    return values * scale.factor + scale.shift


def mask_of(batch: Batch, shape: TaskShape, name: str) -> torch.Tensor:
    """Where a channel holds a value, bool, shape (sample, y, x)."""
    return batch["observed"][:, shape.channels.index(name)]


def to_model_space(values: torch.Tensor, shape: TaskShape, name: str) -> torch.Tensor:
    """A map in units, in model space."""
    scale = scale_of(shape, name)
    return (values - scale.shift) / scale.factor


def scale_of(shape: TaskShape, name: str) -> ChannelScale:
    """Between model space and units."""
    return shape.scales[name]


def told(batch: Batch, shape: TaskShape, name: str, who: str) -> torch.Tensor:
    """A column of the batch's `environment`, shape (sample,).

    Raises:
        InputError: where the task does not tell it.
    """
    require_told(shape, who, name)
    return batch["environment"][:, shape.environment.index(name)]


def require_told(shape: TaskShape, who: str, *names: str) -> None:
    """Refuse a task that does not tell something of its transmitters.

    Raises:
        InputError: naming what is missing and what there is.
    """
    for name in names:
        if name not in shape.environment:
            known = ", ".join(shape.environment) or "nothing"
            raise InputError(f"{who} needs {name} of each transmitter; the task tells {known}")


def cell_centres(shape: TaskShape, like: torch.Tensor) -> torch.Tensor:
    """Where the receivers of a map are.

    Args:
        shape: of the task; it says how far apart and how high they are.
        like: a map, which says how many: shape (..., y, x). Test maps may be larger than those of the shape.

    Returns:
        Metres east, north and above the ground, float64, shape (y, x, 3), of a volume (z, y, x, 3).
    """
    assert shape.spacing is not None
    rows, columns = like.shape[-2:]
    options: dict[str, Any] = {"dtype": torch.float64, "device": like.device}
    north = ((rows - 1) / 2 - torch.arange(rows, **options)) * shape.spacing
    east = (torch.arange(columns, **options) - (columns - 1) / 2) * shape.spacing
    z, y, x = torch.meshgrid(torch.tensor(shape.heights, **options), north, east, indexing="ij")
    places = torch.stack([x, y, z], dim=-1)
    return places if "z" in shape.sizes else places[0]


def _listed(shape: TaskShape) -> str:
    return ", ".join(shape.channels) or "none"
