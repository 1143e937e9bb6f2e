"""Filling of lost snapshots: with the last good one, and before the first good one with that."""

import torch

TOLERANCE = 1e-6


def impute_snapshots(values: torch.Tensor, compat: bool = False) -> torch.Tensor:
    """Replace each lost snapshot by the last good one; those before the first good one by the first good one.

    A snapshot is lost where all its features are about 0. A series that is lost as a whole stays so.

    Args:
        values: shape (..., time, feature), floating or complex.
        compat: fill as the published code of arXiv 2510.12996, whose backward fill always takes the first
            snapshot: lost snapshots at the start stay lost.

    Returns:
        Filled values, same shape and dtype; good snapshots are unchanged.

    Example:
        >>> impute_snapshots(torch.tensor([0.0, 1, 0, 3])[:, None]).flatten().tolist()
        [1.0, 1.0, 1.0, 3.0]
    """
    good = ~lost_snapshots(values)  # (..., time)
    steps = torch.arange(good.shape[-1], device=values.device)
    last = torch.where(good, steps, -1).cummax(dim=-1).values  # (..., time), −1 before the first good one
    # argmax of a mask is its first true place, and 0 where there is none.
    first = torch.zeros_like(last[..., :1]) if compat else good.int().argmax(dim=-1, keepdim=True)
    source = torch.where(last < 0, first, last)  # (..., time)
    return values.gather(-2, source[..., None].expand(values.shape))


def lost_snapshots(values: torch.Tensor) -> torch.Tensor:
    """Where all features of a snapshot, both parts of complex ones, are about 0.

    As `torch.isclose` to 0 with atol 1e-6; a relative tolerance has no effect there.

    Args:
        values: shape (..., time, feature), floating or complex.

    Returns:
        Mask of shape (..., time).
    """
    parts = torch.view_as_real(values).flatten(-2) if values.is_complex() else values
    return (parts.abs() <= TOLERANCE).all(dim=-1)
