"""Normalisation of maps, channel by channel, with what a disturbance of maps has to know of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from tsbench.contracts import InputError
from tsbench.contracts.field import DIRECTION, ChannelScale

from .frame import Frame
from .maps import Maps

UNSHIFTED = (*DIRECTION, "occupied", "transmitter")
"""Channels that keep their zero; only the height of the transmitter is divided, by its mean."""


@dataclass(frozen=True)
class FieldScale:
    """Between units and model space, model = (units - shift) / factor of each channel.

    Attributes:
        scales: channel or target → its scale.
        channels, targets: names, in the order of the batch.
        frame: where the cells lie.
        sparse: name of the channel of sparse samples, or None.
    """

    scales: Mapping[str, ChannelScale]
    channels: tuple[str, ...]
    targets: tuple[str, ...]
    frame: Frame
    sparse: str | None = None

    def to_model(self, values: torch.Tensor) -> torch.Tensor:
        """A context in units, (sample, channel, ...), in model space."""
        shift, factor = self._map(self.channels, values)
        return (values - shift) / factor

    def to_units(self, values: torch.Tensor) -> torch.Tensor:
        """A context in model space, in units."""
        shift, factor = self._map(self.channels, values)
        return values * factor + shift

    def targets_to_model(self, values: torch.Tensor) -> torch.Tensor:
        """Targets in units, (..., channel, z, y, x) or (..., channel, y, x), in model space."""
        shift, factor = self._map(self.targets, values)
        return (values - shift) / factor

    def targets_to_units(self, values: torch.Tensor) -> torch.Tensor:
        """Targets in model space, in units; also with further dimensions before the sample."""
        shift, factor = self._map(self.targets, values)
        return values * factor + shift

    def on(self, frame: Frame) -> "FieldScale":
        """The same scale for maps of another frame."""
        return replace(self, frame=frame)

    def of(self, batch: Mapping[str, torch.Tensor]) -> "FieldScale":
        """The scale of a batch: the same for all."""
        return self

    def in_units(self) -> "FieldScale":
        """The same scale."""
        return self

    def in_model_space(self) -> "FieldScale":
        """There is none: disturbances of maps put metres and dB in.

        Raises:
            InputError: always.
        """
        raise InputError("disturbances of maps work in `space: units`, not `normalised`")

    def _map(self, names: Sequence[str], values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        shape = (-1, *[1] * len(self.frame.shape))
        found = [[getattr(self.scales[name], one) for name in names] for one in ("shift", "factor")]
        shift, factor = (torch.tensor(one, dtype=values.dtype).reshape(shape) for one in found)
        return shift.to(values.device), factor.to(values.device)


def fit_scales(
    blocks: Iterable[Maps], channels: Sequence[str], targets: Sequence[str], kind: str
) -> dict[str, ChannelScale]:
    """Fit the scale of each channel and target on the training part.

    What is a target is measured over the cells that are trained on, anything else over all cells.

    Args:
        blocks: the training part.
        channels: of the context; one that is also a target is sampled from it.
        targets: what is forecast.
        kind: `zscore` (mean and population standard deviation; 1 where a channel is constant) or `none`.

    Raises:
        ValueError: where a value is not finite, or nothing can be learned of a target.
    """
    names = tuple(dict.fromkeys([*channels, *targets]))
    sums = np.zeros((len(names), 3))  # (name, (count, sum, sum of squares))
    masts: list[torch.Tensor] = []
    for maps in blocks:
        masts.append(maps.position[:, 2])
        for place, name in enumerate(names):
            values = maps.channel(name)
            wide = (values[maps.reached(name)] if name in targets else values).double()
            sums[place] += wide.numel(), float(wide.sum()), float(wide.square().sum())
    mast = float(torch.cat(masts).mean())
    return {
        name: _fitted(name, (count, total, squares), mast, kind)
        for name, (count, total, squares) in zip(names, sums.tolist(), strict=True)
    }


def _fitted(name: str, sums: tuple[float, float, float], mast: float, kind: str) -> ChannelScale:
    count, total, squares = sums
    if not count:
        raise ValueError(f"the training part holds no value of '{name}'")
    if not np.isfinite(squares):
        raise ValueError(f"the training part holds NaN or infinite values of '{name}'")
    mean = total / count
    std = max(squares / count - mean**2, 0.0) ** 0.5
    shift, factor = mean, std
    if kind == "none":
        shift, factor = 0.0, 1.0
    elif name in UNSHIFTED:
        shift, factor = 0.0, mast if name == "transmitter" else 1.0
    return ChannelScale(shift, factor if factor > 0 else 1.0, mean, std)
