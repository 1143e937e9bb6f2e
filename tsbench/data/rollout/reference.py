"""What metrics of fields read beside forecast and truth: weights, climatology, spread, names of channels."""

from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class GridReference:
    """The reference of some cases, all in metric space.

    Attributes:
        weights: of each row of the grid, for the whole and for each region, each sums to 1, float64, shape
            (1 + region, latitude).
        climatology: float64, shape (channel, latitude, longitude), or (sample, lead_time, channel, latitude,
            longitude) where it depends on the valid time.
        spread: root mean square distance of the training part from its climatology, shape (channel,).
        winds: positions of the eastward and northward wind, a pair for each level.
    """

    weights: torch.Tensor
    climatology: torch.Tensor
    spread: torch.Tensor
    winds: tuple[tuple[int, int], ...] = ()

    def __getitem__(self, part: slice) -> "GridReference":
        """The reference of some of the cases."""
        if self.climatology.ndim == 3:
            return self
        return replace(self, climatology=self.climatology[part])
