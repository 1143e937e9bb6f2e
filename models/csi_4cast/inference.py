"""The forecast of CSI-4CAST made faster on a processor, from the same weights and equal to 1e-5.

Most of the plain form's time goes into moving tensors of 32 × 64 × 16 × 300 through one layer at a time. Here
BatchNorm is folded into the convolutions, the channel shuffle into the place where the first one writes, what
follows works in place, and the batch goes through in pieces that stay in the processor's cache: after the
scaling nothing couples the sequences. benchmarks/csi_4cast.py measures it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from ..csi_cnn.model import from_image, to_image
from .correction import AdaptiveCorrection, CorrectionLayer
from .embedding import AverageAttention, ShuffleBlock

if TYPE_CHECKING:
    from .model import Csi4Cast

IMAGE_BYTES = 5 * 2**18
"""Most that the maps of a piece may take: one sequence of the released TDD model, about a level-2 cache."""
ROWS_BYTES = 2**22
"""Most that the hidden features of a piece may take in the correction, whose weights each piece reads."""

Layer = Callable[[torch.Tensor], torch.Tensor]


def fast_forecast(model: "Csi4Cast", series: torch.Tensor) -> torch.Tensor:
    """Forecast, shape (sample, lead_time, channel), of a series (sample, time, channel).

    Weights are folded in every call, which takes a thousandth of it: nothing is kept that could grow stale,
    and fused optimisers change weights without a trace.

    Args:
        model: in evaluation mode.
        series: the look-back, on the processor.
    """
    scaled, mean, deviation = model.standardise(model.denoiser(series))
    delay, frequency = _corrected(model.arl, scaled)
    branches = [_folded_branch(branch, model.embedding.as_image) for branch in model.embedding.branches()]
    embedded = branches[0](frequency)
    if delay is not None:
        embedded = embedded + branches[1](delay)
    tokens = model.transformer(model.embedding.tokens(embedded))
    return model.mlp(tokens) * deviation + mean


def _corrected(arl: nn.Module, series: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
    if not isinstance(arl, AdaptiveCorrection):
        return arl(series)

    def in_rows(layer: CorrectionLayer, rows: torch.Tensor) -> torch.Tensor:
        return in_pieces(layer, rows, rows.shape[1] * layer.hidden * rows.element_size(), ROWS_BYTES)

    return arl(series, in_rows)


def in_pieces(layer: Layer, rows: torch.Tensor, each: int, most: int) -> torch.Tensor:
    """What a layer makes of a batch, in pieces of at most so many bytes.

    Args:
        layer: in which samples do not mix.
        rows: shape (sample, ...).
        each: bytes that the layer needs for a sample.
        most: bytes of a piece; a single sample may take more.
    """
    pieces = rows.split(max(1, most // each))
    return layer(rows) if len(pieces) == 1 else torch.cat([layer(piece) for piece in pieces])


def _folded_branch(branch: nn.Module, as_image: bool) -> Layer:
    """A branch from series to series; folded where it is one of shuffle blocks."""
    if not as_image:
        return branch
    if isinstance(branch, nn.Sequential) and isinstance(branch[1], ShuffleBlock):
        return FoldedBranch.of(branch)
    return lambda series: from_image(branch(to_image(series)))


@dataclass(frozen=True)
class FoldedBranch:
    """A shuffle branch with its maps first, (map, sample, time, subcarrier): 1×1 is one product.

    Attributes:
        first: weight and bias of the convolution from re and im.
        blocks: the shuffle blocks.
        last: the convolution to re and im as a matrix (re or im × step of its kernel, map), and its bias.
    """

    first: tuple[torch.Tensor, torch.Tensor]
    blocks: "list[FoldedBlock]"
    last: tuple[torch.Tensor, torch.Tensor]

    @classmethod
    def of(cls, branch: nn.Sequential) -> "FoldedBranch":
        """From the layers of `shuffle_branch`."""
        first, *blocks, last = branch
        weight, bias = _parameters(last)
        # Each step of the kernel is one row of a product, and rows are added up shifted the other way.
        matrix = weight.flip(2, 3).permute(0, 2, 3, 1).flatten(0, 2).contiguous()
        return cls(_parameters(first), [FoldedBlock.of(block) for block in blocks], (matrix, bias))  # type: ignore[arg-type]

    def __call__(self, series: torch.Tensor) -> torch.Tensor:
        """Shape (sample, time, channel) as it came."""
        maps = len(self.first[1])
        each = maps * series[0].numel() // 2 * series.element_size()
        return in_pieces(self._piece, series, each, IMAGE_BYTES)

    def _piece(self, series: torch.Tensor) -> torch.Tensor:
        image = to_image(series).contiguous()
        samples, size = len(image), image.shape[2:]
        maps = functional.conv2d(image, *self.first, padding=1).transpose(0, 1).contiguous()
        for block in self.blocks:
            maps = block(maps)
        matrix, bias = self.last
        rows = (matrix @ maps.flatten(1)).unflatten(1, (samples, -1)).transpose(0, 1)
        made = functional.fold(rows, size, kernel_size=3, padding=1)  # (sample, 2, time, subcarrier)
        return from_image(made + bias[:, None, None])


@dataclass(frozen=True)
class FoldedBlock:
    """A shuffle block whose normalisations are part of its convolutions.

    Attributes:
        inner: first 1×1 convolution, weight (group, output, input) and bias (group, output, 1).
        depthwise: weight of the 3×3 convolution, in the shuffled order.
        outer: second 1×1 convolution, like the first; its bias holds that of the depthwise one.
        attention: matrices of the channel attention.
        maximum: whether maxima are pooled beside means.
    """

    inner: tuple[torch.Tensor, torch.Tensor]
    depthwise: torch.Tensor
    outer: tuple[torch.Tensor, torch.Tensor]
    attention: tuple[torch.Tensor, torch.Tensor]
    maximum: bool

    @classmethod
    def of(cls, block: ShuffleBlock) -> "FoldedBlock":
        """From a block's layers and the statistics of its normalisations."""
        groups = block.g_pw_conv_in.groups
        inner, inner_bias = _folded(block.g_pw_conv_in, block.g_pw_conv_in_bn)
        depthwise, depthwise_bias = _folded(block.dw_conv, block.dw_conv_bn)
        outer, outer_bias = _folded(block.g_pw_conv_out, block.g_pw_conv_out_bn)
        inner, outer = (one[..., 0, 0].unflatten(0, (groups, -1)) for one in (inner, outer))
        through = (outer * depthwise_bias.view(groups, 1, -1)).sum(dim=2)
        bias = outer_bias + through.flatten()
        average = isinstance(block.ca, AverageAttention)
        down, up = block.ca.matrices()
        return cls(
            (inner, inner_bias.view(groups, -1, 1)),
            depthwise,
            (outer, bias.view(groups, -1, 1)),
            (down.detach(), up.detach()),
            maximum=not average,
        )

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Shape (map, sample, time, subcarrier) as it came; `image` is overwritten."""
        maps, samples = image.shape[:2]
        weight, bias = self.inner
        groups, each = weight.shape[:2]
        columns = image.view(groups, each, -1)
        inner = columns.new_empty(each, groups, columns.shape[2])
        # The shuffle turns (group, map of the group) around: that is where this product writes.
        torch.baddbmm(bias, weight, columns, out=inner.transpose(0, 1))
        kernel = self.depthwise.repeat_interleave(samples, 0) if samples > 1 else self.depthwise
        alone = inner.relu_().view(1, maps * samples, *image.shape[2:])
        alone = functional.conv2d(alone, kernel, padding=1, groups=maps * samples)
        weight, bias = self.outer
        made = torch.baddbmm(bias, weight, alone.view(groups, each, -1)).view(maps, samples, -1)
        image.flatten(2).addcmul_(made, self._attend(made)[..., None])
        return image.relu_()

    def _attend(self, made: torch.Tensor) -> torch.Tensor:
        """Weight of each map of a sample, shape (map, sample), in (0, 1)."""
        down, up = self.attention
        weight = up @ (down @ made.mean(dim=2)).relu_()
        if self.maximum:
            weight += up @ (down @ made.amax(dim=2)).relu_()
        return weight.sigmoid_()


def _folded(layer: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a convolution without bias and the normalisation after it, in one."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight.detach() * (norm.running_var + norm.eps).rsqrt()
    return layer.weight.detach() * scale[:, None, None, None], norm.bias.detach() - norm.running_mean * scale


def _parameters(layer: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a convolution that has both."""
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    return layer.weight.detach(), layer.bias.detach()
