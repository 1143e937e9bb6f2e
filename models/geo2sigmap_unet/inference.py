"""The forecast of a U-Net made faster on a processor, from the same weights and equal to rounding.

Batch normalisation becomes part of each convolution, maps lie innermost (channels last), which is what the
processor's convolutions work in, and what follows works in place. benchmarks/unets.py measures it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn import functional

from .network import LEVELS, DoubleConv, Layers, padded_to

STRIDE = 997
"""Of the weights of a layer, one in so many is looked at for changes."""
Pair = tuple[torch.Tensor, torch.Tensor]


def fast(layers: Layers, image: torch.Tensor) -> torch.Tensor:
    """What the layers make of an image: `network.plain` in evaluation mode.

    Args:
        layers: of a U-Net.
        image: shape (sample, inputs, y, x), on the processor.

    Returns:
        Shape (sample, 1, y, x).
    """
    blocks = iter(folded_weights(layers))
    image = _double(next(blocks), image.contiguous(memory_format=torch.channels_last))
    skips = []
    for _ in range(LEVELS):
        skips.append(image)
        image = _double(next(blocks), functional.max_pool2d(image, 2))
    for level in range(LEVELS):
        skip, larger = skips.pop(), getattr(layers, f"up{level + 1}").up(image)
        image = _double(next(blocks), torch.cat([skip, padded_to(larger, skip)], dim=1))
    return layers.outc(image).contiguous()


def _double(pairs: list[Pair], image: torch.Tensor) -> torch.Tensor:
    for weight, bias in pairs:
        image = functional.conv2d(image, weight, bias, padding=1).relu_()
    return image


@dataclass(frozen=True)
class Folded:
    """Weights of all blocks, and what they were made from.

    Attributes:
        versions: of the tensors that they were made from.
        sample: some values of these: fused optimisers change weights and leave versions as they were.
        blocks: two convolutions for each double convolution.
    """

    versions: list[int]
    sample: torch.Tensor
    blocks: list[list[Pair]]


_KEPT: "WeakKeyDictionary[nn.Module, Folded]" = WeakKeyDictionary()


def folded_weights(layers: Layers) -> list[list[Pair]]:
    """Weights and biases of the blocks on the way down and up again, folded anew when any has changed."""
    module: nn.Module = layers  # type: ignore[assignment]
    blocks = list(_blocks(layers))
    sources = [one for block in blocks for one in block.state_dict(keep_vars=True).values()]
    if any(one.is_inference() for one in sources):
        # Such tensors tell nothing of their changes.
        return [_fold(block) for block in blocks]
    versions = [one._version for one in sources]
    sample = torch.cat([one.detach().flatten()[::STRIDE].double() for one in sources])
    kept = _KEPT.get(module)
    if kept is None or kept.versions != versions or not torch.equal(kept.sample, sample):
        kept = _KEPT[module] = Folded(versions, sample, [_fold(block) for block in blocks])
    return kept.blocks


def _blocks(layers: Layers) -> Iterator[DoubleConv]:
    yield layers.inc
    for level in range(LEVELS):
        yield getattr(layers, f"down{level + 1}").maxpool_conv[1]
    for level in range(LEVELS):
        yield getattr(layers, f"up{level + 1}").conv


def _fold(block: DoubleConv) -> list[Pair]:
    first, first_norm, _, second, second_norm, _ = block.double_conv
    return [folded(first, first_norm), folded(second, second_norm)]  # type: ignore[arg-type]


@torch.no_grad()
def folded(layer: nn.Conv2d, norm: nn.BatchNorm2d) -> Pair:
    """Weight and bias of a convolution without bias and the normalisation after it, in one."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    weight = torch.empty_like(layer.weight, memory_format=torch.channels_last)
    torch.mul(layer.weight, scale[:, None, None, None], out=weight)
    return weight, norm.bias - norm.running_mean * scale
