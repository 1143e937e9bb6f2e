"""The forecast of a U-Net made faster on a processor, from the same weights and equal to rounding.

Batch normalisation and ReLU become part of each convolution, maps lie innermost (channels last), and weights
are kept in the order in which oneDNN reads them, into which the plain form sorts them at each call. These are
the operators that torch.compile makes of a convolution; where a build of torch lacks them, or for other
numbers than float32, plain convolutions and a ReLU in place do the same. benchmarks/unets.py measures it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import conv_flop_count, register_flop_formula

from .network import LEVELS, DoubleConv, Layers, padded_to

STRIDE = 997
"""Of the weights of a layer, one in so many is looked at for changes."""
Pair = tuple[torch.Tensor, torch.Tensor]
OPERATORS = ("_reorder_convolution_weight", "_convolution_pointwise")
PACKABLE = torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, one) for one in OPERATORS)


def fast(layers: Layers, image: torch.Tensor) -> torch.Tensor:
    """What the layers make of an image: `network.plain` in evaluation mode.

    Args:
        layers: of a U-Net.
        image: shape (sample, inputs, y, x), on the processor.

    Returns:
        Shape (sample, 1, y, x).
    """
    blocks = iter(folded_weights(layers, image))
    image = _double(next(blocks), image.contiguous(memory_format=torch.channels_last))
    skips = []
    for _ in range(LEVELS):
        skips.append(image)
        image = _double(next(blocks), functional.max_pool2d(image, 2))
    for level in range(LEVELS):
        skip, larger = skips.pop(), getattr(layers, f"up{level + 1}").up(image)
        image = _double(next(blocks), torch.cat([skip, padded_to(larger, skip)], dim=1))
    return layers.outc(image).contiguous()


def can_pack(image: torch.Tensor) -> bool:
    """Whether oneDNN's own order of weights, and its convolution with a ReLU, are there for such an image."""
    return PACKABLE and image.dtype == torch.float32


if PACKABLE:

    @register_flop_formula(torch.ops.mkldnn._convolution_pointwise)
    def _operations(
        image: Sequence[int], weight: Sequence[int], *args: Any, out_shape: Sequence[int], **kwargs: Any
    ) -> int:
        """Of the convolution alone, as torch counts it; it has no formula for this operator."""
        return conv_flop_count(list(image), list(weight), list(out_shape))


def _double(pairs: list[Pair], image: torch.Tensor) -> torch.Tensor:
    for weight, bias in pairs:
        if can_pack(image):
            ones = [1, 1]  # padding, stride, dilation
            image = torch.ops.mkldnn._convolution_pointwise(
                image, weight, bias, ones, ones, ones, 1, "relu", [], ""
            )
        else:
            image = functional.conv2d(image, weight, bias, padding=1).relu_()
    return image


@dataclass(frozen=True)
class Folded:
    """Weights of all blocks, and what they were made from.

    Attributes:
        shape: of the image that they were sorted for.
        versions: of the tensors that they were made from.
        sample: some values of these: fused optimisers change weights and leave versions as they were.
        blocks: two convolutions for each double convolution.
    """

    shape: torch.Size
    versions: list[int]
    sample: torch.Tensor
    blocks: list[list[Pair]]


_KEPT: "WeakKeyDictionary[nn.Module, Folded]" = WeakKeyDictionary()


def folded_weights(layers: Layers, image: torch.Tensor) -> list[list[Pair]]:
    """Weights and biases of the blocks on the way down and up again, folded anew when any has changed.

    Args:
        layers: of a U-Net.
        image: that they will meet.
    """
    module: nn.Module = layers  # type: ignore[assignment]
    blocks = list(_blocks(layers))
    sources = [one for block in blocks for one in block.state_dict(keep_vars=True).values()]
    if any(one.is_inference() for one in sources):
        # Such tensors tell nothing of their changes.
        return _fold_all(blocks, image)
    versions = [one._version for one in sources]
    sample = torch.cat([one.detach().flatten()[::STRIDE].double() for one in sources])
    kept = _KEPT.get(module)
    same = kept is not None and kept.shape == image.shape and kept.versions == versions
    if kept is None or not same or not torch.equal(kept.sample, sample):
        kept = _KEPT[module] = Folded(image.shape, versions, sample, _fold_all(blocks, image))
    return kept.blocks


def _blocks(layers: Layers) -> Iterator[DoubleConv]:
    yield layers.inc
    for level in range(LEVELS):
        yield getattr(layers, f"down{level + 1}").maxpool_conv[1]
    for level in range(LEVELS):
        yield getattr(layers, f"up{level + 1}").conv


def _fold_all(blocks: list[DoubleConv], image: torch.Tensor) -> list[list[Pair]]:
    made = []
    for place, block in enumerate(blocks):
        halvings = min(place, 2 * LEVELS - place)
        size = [one >> halvings for one in image.shape[2:]]
        first, first_norm, _, second, second_norm, _ = block.double_conv
        pairs = [folded(first, first_norm), folded(second, second_norm)]  # type: ignore[arg-type]
        if can_pack(image):
            pairs = [(_packed(weight, len(image), size), bias) for weight, bias in pairs]
        made.append(pairs)
    return made


def _packed(weight: torch.Tensor, samples: int, size: list[int]) -> torch.Tensor:
    ones = [1, 1]  # padding, stride, dilation
    shape = [samples, weight.shape[1], *size]
    return torch.ops.mkldnn._reorder_convolution_weight(weight, ones, ones, ones, 1, shape)


@torch.no_grad()
def folded(layer: nn.Conv2d, norm: nn.BatchNorm2d) -> Pair:
    """Weight and bias of a convolution without bias and the normalisation after it, in one."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    weight = torch.empty_like(layer.weight, memory_format=torch.channels_last)
    torch.mul(layer.weight, scale[:, None, None, None], out=weight)
    return weight, norm.bias - norm.running_mean * scale
