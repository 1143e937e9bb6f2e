"""A map from its samples by pulling and pushing: means over ever larger cells, and back where it is unknown.

Gortler, Grzeszczuk, Szeliski and Cohen, "The Lumigraph", SIGGRAPH 1996, section 3.4: linear in the number of
cells, however many samples there are.
"""

import torch
from torch.nn import functional


def filled(values: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """The whole map.

    Args:
        values: shape (sample, 1, y, x).
        known: weight of each value, from 0 to 1, same shape; where it is 0 the value does not count.

    Returns:
        Same shape; the values where their weight is 1, and 0 where a map has none at all.
    """
    if max(values.shape[2:]) == 1:
        return values * (known > 0)
    pulled = functional.avg_pool2d(known, 2, ceil_mode=True)
    sums = functional.avg_pool2d(values * known, 2, ceil_mode=True)
    means = torch.where(pulled > 0, sums / pulled.clamp_min(torch.finfo(pulled.dtype).tiny), 0.0)
    coarse = filled(means, (4 * pulled).clamp_max(1.0))
    pushed = functional.interpolate(coarse, size=values.shape[2:], mode="bilinear")
    return known * torch.where(known > 0, values, 0.0) + (1 - known) * pushed
