"""The 3-D U-Net of radio maps over heights: baseline of UrbanRadio3D, arXiv 2507.12166.

The paper says "U-Net with 3D convolutional operators" and no more; widths, normalisation and steps are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from tsbench.contracts import InputError, TaskShape
from tsbench.training.module import NeuralForecaster

from ..layers.unet import PlainUNet, with_masks

FIRST_STEP, STEP = (1, 2, 2), (2, 2, 2)


@dataclass(frozen=True)
class Hyperparameters:
    """Of the 3-D U-Net.

    Attributes:
        width: maps at full size; each level has twice as many.
        levels: sizes, the full one included; the first step down leaves the heights as they are.
        groups: of the group normalisations.
        sigmoid: forecasts between 0 and 1, for grey values.
    """

    width: int = 32
    levels: int = 4
    groups: int = 8
    sigmoid: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no U-Net."""
        if self.levels < 2:
            raise ValueError(f"levels must be at least 2, not {self.levels}")
        if self.groups < 1 or self.width < 1 or self.width % self.groups:
            raise ValueError(f"width must be a multiple of groups, not {self.width} of {self.groups}")


class UNet3d(NeuralForecaster):
    """targets = U-Net(context, and where the samples in it are), all in model space; or a sigmoid of it.

    Raises:
        InputError: for a sigmoid on a task that normalises its targets.
    """

    views: ClassVar[tuple[str, ...]] = ("volume",)
    probabilistic: ClassVar[bool] = False
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = hyperparameters or self.Hyperparameters()
        scaled = [name for name in shape.targets if name in shape.scales and shape.scales[name].shift]
        if chosen.sigmoid and scaled:
            raise InputError(
                f"unet_3d: a sigmoid forecasts values between 0 and 1; {scaled[0]} is normalised"
            )
        self.sigmoid = chosen.sigmoid
        self.sampled = tuple(shape.channels.index(name) for name in shape.targets if name in shape.channels)
        if self.sampled:
            self.uses = frozenset({"context", "observed"})  # type: ignore[misc]
        widths = [chosen.width * 2**level for level in range(chosen.levels)]
        inputs = len(shape.channels) + len(self.sampled)
        steps = [FIRST_STEP, *[STEP] * (chosen.levels - 2)]
        self.net = PlainUNet(inputs, len(shape.targets), widths, steps, groups=chosen.groups)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, target, z, y, x)."""
        made = self.net(with_masks(batch["context"], batch.get("observed"), self.sampled))
        return made.sigmoid() if self.sigmoid else made
