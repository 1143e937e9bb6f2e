"""What `pgn_gate` and `pgn_history` compute, in plain torch (PGN paper, arXiv 2409.17703, eqs. 4-7)."""

import torch
from einops import rearrange
from torch.nn import functional


def gate_reference(
    present: torch.Tensor, history: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Shape (channel, width, column); arguments as of `pgn_gate`."""
    gates = torch.bmm(weight, torch.cat([present, history], dim=1)) + bias[..., None]
    share, new = gates.chunk(2, dim=1)
    share = share.sigmoid()
    return share * history + (1 - share) * new.tanh()


def history_reference(grid: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Shape (channel, width, row, column): a convolution over rows behind as many rows of zeros."""
    channels, _, rows, _ = grid.shape
    padded = functional.pad(rearrange(grid, "n i row column -> column (n i) row"), (rows - 1, -1))
    found = functional.conv1d(padded, weight.flatten(0, 1), bias.flatten(), groups=channels)
    return rearrange(found, "column (n d) row -> n d row column", n=channels)
