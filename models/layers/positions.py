"""Sinusoidal positions (Vaswani et al., 2017, section 3.5)."""

import math

import torch
from torch import nn

ROWS = 5000
"""Rows of the official tables."""


class SinusoidalPositions(nn.Module):
    """A table of sines and cosines, kept as the buffer `pe` (1, row, width) as in the official weights.

    Args:
        width: of a token.
        tokens: at most needed; the table is never shorter than the official one.
    """

    pe: torch.Tensor

    def __init__(self, width: int, tokens: int = ROWS) -> None:
        super().__init__()
        self.register_buffer("pe", sinusoids(max(tokens, ROWS), width)[None])

    def forward(self, tokens: int) -> torch.Tensor:
        """The first rows of the table, shape (1, tokens, width)."""
        return self.pe[:, :tokens]


def sinusoids(rows: int, width: int) -> torch.Tensor:
    """sin(p ω_i) in column 2i and cos(p ω_i) in column 2i + 1 of row p, ω_i = 10000^(−2i / width).

    Returns:
        float32, shape (rows, width).
    """
    frequency = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    angle = torch.arange(rows).float()[:, None] * frequency  # (row, half the width)
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)[:, :width]
