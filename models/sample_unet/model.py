"""A U-Net that sees samples of a map and where they are, and nothing else: for places that nobody surveyed.

Each map is seen relative to the mean of its samples, so that made maps teach what measured ones need whatever
power was transmitted; and the U-Net adds to a smooth map through the samples. Batch normalisation keeps what
is forecast at a cell a matter of its surroundings: test maps may be larger than those of the training.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import TaskShape
from tsbench.training.module import NeuralForecaster

from ..layers.filling import filled
from ..layers.maps import in_units, mask_of, only_target, sampled, scale_of, to_model_space
from ..layers.unet import PlainUNet

STEP = (2, 2)


@dataclass(frozen=True)
class Hyperparameters:
    """Of the U-Net of samples.

    Attributes:
        width: maps at full size; each level has twice as many.
        levels: sizes, the full one included.
        spread: what counts as 1 for the network, in units of the target.
    """

    width: int = 64
    levels: int = 5
    spread: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what makes no U-Net."""
        if self.width < 1 or self.levels < 2:
            raise ValueError(f"width must be at least 1 and levels 2, not {self.width} and {self.levels}")
        if self.spread <= 0:
            raise ValueError(f"spread must be positive, not {self.spread}")


class SampleUNet(NeuralForecaster):
    """map = mean + spread · (f + U-Net(samples, mask, f)), with f the filled map of the samples so scaled.

    Raises:
        InputError: for several targets, or a task without samples.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"context", "observed"})
    views: ClassVar[tuple[str, ...]] = ("field",)
    probabilistic: ClassVar[bool] = False
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = hyperparameters or self.Hyperparameters()
        self.target, self.samples = only_target(shape, "sample_unet"), sampled(shape, "sample_unet")
        self.spread = chosen.spread
        widths = [chosen.width * 2**level for level in range(chosen.levels)]
        self.net = PlainUNet(3, 1, widths, [STEP] * (chosen.levels - 1), norm="batch")
        # A fit begins at the smooth map.
        for parameter in self.net.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, 1, y, x)."""
        known = mask_of(batch, self.shape, self.samples)[:, None]
        values = in_units(batch, self.shape, self.samples)[:, None]
        mean = self.mean(values, known)
        relative = torch.where(known, (values - mean) / self.spread, 0.0)
        weights = known.to(values.dtype)
        smooth = filled(relative, weights)
        made = smooth + self.net(torch.cat([relative, weights, smooth], dim=1))
        return to_model_space(mean + self.spread * made, self.shape, self.target)

    def mean(self, values: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """Of the samples of each map, shape (sample, 1, 1, 1); of the training maps where there are none."""
        count = known.sum(dim=(1, 2, 3), keepdim=True)
        total = torch.where(known, values, 0.0).sum(dim=(1, 2, 3), keepdim=True)
        return torch.where(count > 0, total / count.clamp_min(1), scale_of(self.shape, self.target).mean)
