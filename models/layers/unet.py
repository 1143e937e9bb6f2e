"""A plain U-Net over planes or volumes of any size, for models without published parameter names."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Norm = Literal["group", "batch"]
CONVOLUTIONS: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
POOLS = {2: functional.max_pool2d, 3: functional.max_pool3d}
SMOOTH = {2: "bilinear", 3: "trilinear"}
BATCH_NORMS: dict[int, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class PlainUNet(nn.Module):
    """At each level twice: convolution over 3 cells each way, normalisation, SiLU; then half the size.

    The way up is linear interpolation to the size that came down, beside what came down.

    Args:
        inputs: channels of an image.
        outputs: of the map that is made.
        widths: maps of each level.
        steps: by how much each level but the last shrinks, one number a dimension: 2-D or 3-D.
        norm: `group` (over a map, whatever the batch) or `batch` (fixed once it is trained, so that what is
            made at a cell depends on its surroundings alone).
        groups: of a group normalisation.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        widths: Sequence[int],
        steps: Sequence[tuple[int, ...]],
        norm: Norm = "group",
        groups: int = 8,
    ) -> None:
        super().__init__()
        self.steps, self.dimensions = tuple(steps), len(steps[0])
        pairs = list(pairwise((inputs, *widths)))
        self.down = nn.ModuleList(self._level(before, after, norm, groups) for before, after in pairs)
        back = list(pairwise(reversed(widths)))
        self.up = nn.ModuleList(self._level(below + here, here, norm, groups) for below, here in back)
        self.head = CONVOLUTIONS[self.dimensions](widths[0], outputs, kernel_size=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (sample, outputs, y, x) of (sample, inputs, y, x); of volumes with z before y."""
        skips = []
        for level, step in zip(self.down, self.steps, strict=False):
            skips.append(level(image))
            # A size of 1 has nothing to shrink.
            step = tuple(min(size, one) for size, one in zip(skips[-1].shape[2:], step, strict=True))
            image = POOLS[self.dimensions](skips[-1], step)
        image = self.down[-1](image)
        for level, skip in zip(self.up, reversed(skips), strict=True):
            larger = functional.interpolate(image, size=skip.shape[2:], mode=SMOOTH[self.dimensions])
            image = level(torch.cat([skip, larger], dim=1))
        return self.head(image)

    def _level(self, inputs: int, outputs: int, norm: Norm, groups: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for before in (inputs, outputs):
            kind = CONVOLUTIONS[self.dimensions]
            layers += [
                kind(before, outputs, kernel_size=3, padding=1, bias=False),
                self._norm(outputs, norm, groups),
            ]
            layers.append(nn.SiLU(inplace=True))
        return nn.Sequential(*layers)

    def _norm(self, maps: int, norm: Norm, groups: int) -> nn.Module:
        return nn.GroupNorm(groups, maps) if norm == "group" else BATCH_NORMS[self.dimensions](maps)


def with_masks(context: torch.Tensor, observed: torch.Tensor | None, sampled: Sequence[int]) -> torch.Tensor:
    """The context with 0 where a channel of samples holds none, and a mask for each such channel after it.

    Args:
        context: in model space, shape (sample, channel, y, x).
        observed: its mask; not needed where nothing is sampled.
        sampled: positions of the channels of samples.
    """
    if not sampled:
        return context
    assert observed is not None
    masks = observed[:, list(sampled)].to(context.dtype)
    return torch.cat([torch.where(observed, context, 0.0), masks], dim=1)
