"""A plain 2-D U-Net from every channel of a context to the targets: what an uninformed designer would try.

Ronneberger, Fischer and Brox, "U-Net", MICCAI 2015, with group normalisation and SiLU in place of ReLU.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from tsbench.contracts import TaskShape
from tsbench.training.module import NeuralForecaster

from ..layers.unet import PlainUNet, with_masks

STEP = (2, 2)


@dataclass(frozen=True)
class Hyperparameters:
    """Of the plain U-Net.

    Attributes:
        width: maps at full size; each level has twice as many.
        levels: sizes, the full one included.
        groups: of the group normalisations.
    """

    width: int = 64
    levels: int = 5
    groups: int = 8

    def __post_init__(self) -> None:
        """Refuse what makes no U-Net."""
        if self.levels < 2:
            raise ValueError(f"levels must be at least 2, not {self.levels}")
        if self.groups < 1 or self.width < 1 or self.width % self.groups:
            raise ValueError(f"width must be a multiple of groups, not {self.width} of {self.groups}")


class UNet2d(NeuralForecaster):
    """targets = U-Net(context, and where the samples in it are), all in model space."""

    views: ClassVar[tuple[str, ...]] = ("field",)
    probabilistic: ClassVar[bool] = False
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = hyperparameters or self.Hyperparameters()
        self.sampled = tuple(shape.channels.index(name) for name in shape.targets if name in shape.channels)
        if self.sampled:
            self.uses = frozenset({"context", "observed"})  # type: ignore[misc]
        widths = [chosen.width * 2**level for level in range(chosen.levels)]
        inputs = len(shape.channels) + len(self.sampled)
        steps = [STEP] * (chosen.levels - 1)
        self.net = PlainUNet(inputs, len(shape.targets), widths, steps, groups=chosen.groups)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, target, y, x)."""
        return self.net(with_masks(batch["context"], batch.get("observed"), self.sampled))
