"""The denoiser of CSI-4CAST: a small convolutional autoencoder that says the noise, which is then taken away.

Cheng et al., "CSI-4CAST", arXiv 2510.12996. Parameter names are the official ones.
"""

import math
from itertools import pairwise

import torch
from torch import nn

from ..csi_cnn.model import from_image, to_image
from .activation import activation


class Denoiser(nn.Module):
    """Noise as an image of real and imaginary part, from convolutions that widen and narrow again.

    With ReLU after the last block and no stage after it, as in both released models, the estimate of the
    noise is never negative. `last_activation=False` leaves that ReLU out.

    Args:
        context: steps of the series.
        filters: number of widths 2, 4, 8, …, 2^filters that the image passes on its way in and out.
        kernel: side of the convolutions, odd.
        post_kernel: size of the convolution after the blocks, odd.
        activation_name: after each block.
        post: whether a convolution over the channels, from steps to steps, follows the blocks.
        residual: whether the output is the series less the estimate, and not the estimate.
        last_activation: whether the last block ends in the activation as well.
    """

    def __init__(
        self,
        context: int,
        filters: int,
        kernel: int,
        post_kernel: int,
        activation_name: str,
        post: bool,
        residual: bool,
        last_activation: bool,
    ) -> None:
        super().__init__()
        widths = [2**power for power in range(1, filters + 1)]
        self.encoder = nn.ModuleList(_block(*pair, kernel) for pair in pairwise(widths))
        self.decoder = nn.ModuleList(_block(*pair, kernel) for pair in pairwise(reversed(widths)))
        if post:
            self.post_processor = nn.Conv1d(context, context, post_kernel, padding=post_kernel // 2)
            self.post_bn = nn.BatchNorm1d(context)
        self.activation = activation(activation_name)
        self.post, self.residual, self.last_activation = post, residual, last_activation

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """The series without its noise, shape (sample, time, channel) as it came."""
        image = to_image(series)  # (sample, 2, time, subcarrier)
        blocks = [*self.encoder, *self.decoder]
        for number, block in enumerate(blocks, start=1):
            image = block(image)
            if self.last_activation or number < len(blocks):
                image = self.activation(image)
        estimate = from_image(image)
        if self.post:
            estimate = self.post_bn(self.post_processor(estimate))
        return series - estimate if self.residual else estimate


def _block(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Convolution and normalisation; weights start uniform in ±1/√inputs whatever the kernel, biases at 0."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.uniform_(layer.weight, -1 / math.sqrt(inputs), 1 / math.sqrt(inputs))
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))
