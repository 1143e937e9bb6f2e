"""The forecast of a U-Net made faster on a processor, from the same weights and equal to rounding.

Batch normalisation becomes part of each convolution, maps lie innermost (channels last), which is what the
processor's convolutions work in, and what follows works in place. benchmarks/unets.py measures it.
"""

import torch
from torch import nn
from torch.nn import functional

from .network import LEVELS, DoubleConv, Layers, Up, padded_to


def fast(layers: Layers, image: torch.Tensor) -> torch.Tensor:
    """What the layers make of an image: `network.plain` in evaluation mode.

    Weights are folded in every call: nothing is kept that could grow stale, and fused optimisers change
    weights without a trace.

    Args:
        layers: of a U-Net.
        image: shape (sample, inputs, y, x), on the processor.

    Returns:
        Shape (sample, 1, y, x).
    """
    image = _double(layers.inc, image.contiguous(memory_format=torch.channels_last))
    skips = []
    for level in range(LEVELS):
        skips.append(image)
        down = getattr(layers, f"down{level + 1}").maxpool_conv[1]
        image = _double(down, functional.max_pool2d(image, 2))
    for level in range(LEVELS):
        image = _up(getattr(layers, f"up{level + 1}"), image, skips.pop())
    return layers.outc(image).contiguous()


def _up(up: Up, image: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
    return _double(up.conv, torch.cat([skip, padded_to(up.up(image), skip)], dim=1))


def _double(block: DoubleConv, image: torch.Tensor) -> torch.Tensor:
    first, first_norm, _, second, second_norm, _ = block.double_conv
    for convolution, norm in ((first, first_norm), (second, second_norm)):
        weight, bias = folded(convolution, norm)  # type: ignore[arg-type]
        image = functional.conv2d(image, weight, bias, padding=1).relu_()
    return image


def folded(layer: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a convolution without bias and the normalisation after it, in one."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    weight = (layer.weight * scale[:, None, None, None]).contiguous(memory_format=torch.channels_last)
    return weight, norm.bias - norm.running_mean * scale
