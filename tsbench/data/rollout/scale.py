"""Normalisation of fields: one affine map of each channel, of the logarithm for depths of water."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

LARGEST_LOGARITHM = 20.0
"""What a wild forecast of log(1 + x / ε) is cut to before it becomes a depth: 5·10⁸ ε."""


@dataclass(frozen=True)
class GridScale:
    """model = (t(units) − shift) / factor of each channel, with t the identity or log(1 + x / ε).

    Attributes:
        shift, factor: of the map, float64, shape (channel,).
        epsilon: ε where t is the logarithm, else 0, float64, shape (channel,).
        climatology: mean of the training part at each location, in the space at hand, float64, shape
            (channel, latitude, longitude).
    """

    shift: torch.Tensor
    factor: torch.Tensor
    epsilon: torch.Tensor
    climatology: torch.Tensor

    def to_model(self, values: torch.Tensor) -> torch.Tensor:
        """Physical units to model space, shape (..., channel, latitude, longitude)."""
        values = transformed(values, self.epsilon)
        return (values - _shaped(self.shift, values)) / _shaped(self.factor, values)

    def to_units(self, values: torch.Tensor) -> torch.Tensor:
        """Model space to physical units; depths of water are never negative."""
        values = values * _shaped(self.factor, values) + _shaped(self.shift, values)
        if not bool((self.epsilon > 0).any()):
            return values
        epsilon = _shaped(self.epsilon, values)
        depths = values.clamp(0, LARGEST_LOGARITHM).expm1() * epsilon
        return torch.where(epsilon > 0, depths, values)

    def of(self, batch: Mapping[str, torch.Tensor]) -> "GridScale":
        """The map of a batch: the same for all."""
        return self

    def in_units(self) -> "GridScale":
        """The same map, the climatology in physical units."""
        return self

    def in_model_space(self) -> "GridScale":
        """The same map, the climatology in model space."""
        return replace(self, climatology=self.to_model(self.climatology))

    def channels(self, index: list[int]) -> "GridScale":
        """The map of some of the channels."""
        parts = (self.shift, self.factor, self.epsilon, self.climatology)
        return GridScale(*(one[index] for one in parts))


def transformed(values: torch.Tensor, epsilon: torch.Tensor) -> torch.Tensor:
    """log(1 + x / ε) of the channels with an ε above 0, the others as they are."""
    if not bool((epsilon > 0).any()):
        return values
    shaped = _shaped(epsilon, values)
    logarithms = (values.clamp(min=0) / torch.where(shaped > 0, shaped, 1.0)).log1p()
    return torch.where(shaped > 0, logarithms, values)


def _shaped(one: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return one.to(like)[:, None, None]
