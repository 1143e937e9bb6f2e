"""Normalisation fitted on the training part: physical units to model space and back."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Scale:
    """An affine map of each variable, model = (units − shift) / factor, with the training mean and spread.

    Attributes:
        shift, factor: of the map, float64, shape (channel,).
        mean, std: mean and population standard deviation of the training part in the space at hand, float64,
            shape (channel,).
    """

    shift: torch.Tensor
    factor: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    def to_model(self, values: torch.Tensor) -> torch.Tensor:
        """Physical units to model space; channels last."""
        return (values - self.shift.to(values)) / self.factor.to(values)

    def to_units(self, values: torch.Tensor) -> torch.Tensor:
        """Model space to physical units; channels last."""
        return values * self.factor.to(values) + self.shift.to(values)

    def in_units(self) -> "Scale":
        """The same map, `mean` and `std` as they are in physical units."""
        return self

    def in_model_space(self) -> "Scale":
        """The same map, `mean` and `std` as they are in model space."""
        mean, std = (self.mean - self.shift) / self.factor, self.std / self.factor
        return Scale(self.shift, self.factor, mean, std)

    def channels(self, index: list[int]) -> "Scale":
        """The map of some of the channels."""
        return Scale(self.shift[index], self.factor[index], self.mean[index], self.std[index])


def fit_scale(train: np.ndarray, kind: str) -> Scale:
    """Fit the normalisation of a task on its training rows.

    Args:
        train: float64, shape (row, channel), in physical units; NaN is left out.
        kind: `zscore` (population standard deviation; 1 where a variable is constant) or `none`.
    """
    mean = torch.from_numpy(np.nanmean(train, axis=0))
    std = torch.from_numpy(np.nanstd(train, axis=0))
    if kind == "none":
        return Scale(torch.zeros_like(mean), torch.ones_like(std), mean, std)
    return Scale(mean, torch.where(std > 0, std, 1.0), mean, std)
