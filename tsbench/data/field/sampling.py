"""Sparse samples of a map: which cells are given, with what noise; drawn case by case."""

from collections.abc import Sequence

import numpy as np
import torch

SHARE = 2
"""Of the cells that could be sampled, one in so many at most is: something must be left to score."""


def draw(
    available: torch.Tensor,
    generators: Sequence[np.random.Generator],
    counts: tuple[int, int],
    noise: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw cells of each case and the noise of what is measured there.

    Args:
        available: cells that could be sampled, bool, shape (sample, ...).
        generators: one for each case; equal states draw equal samples.
        counts: least and most samples; uniform between them, and at most half of the available cells.
        noise: standard deviation.

    Returns:
        Which cells are given, bool, and their noise, float32, 0 elsewhere; both shaped as `available`.
    """
    given = torch.zeros(available.shape, dtype=torch.bool)
    added = torch.zeros(available.shape)
    for one, mask, errors, generator in zip(available, given, added, generators, strict=True):
        cells = one.flatten().nonzero().flatten().numpy()
        wanted = int(generator.integers(counts[0], counts[1] + 1))
        chosen = torch.from_numpy(generator.permutation(cells)[: min(wanted, len(cells) // SHARE)])
        mask.view(-1)[chosen] = True
        drawn = generator.standard_normal(len(chosen), np.float32) * np.float32(noise)
        errors.view(-1)[chosen] = torch.from_numpy(drawn)
    return given, added
