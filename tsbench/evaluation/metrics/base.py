"""The two layers of a metric: a statistic for every scored value, and the value of a sum of statistics."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

Statistic = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""(forecast, observed, scale) → (numerator, denominator): all float64; forecast, observed and both results
have shape (sample, lead_time, channel), scale (the training part's seasonal error) shape (channel,).
Statistics of disjoint sets add up, over batches as over processes."""


@dataclass(frozen=True)
class Metric:
    """A named metric: value = finish(sum of numerators / sum of denominators).

    Attributes:
        name: as tasks write it.
        title: as pages write it.
        statistic: the first layer.
        root: whether `finish` is a square root (else the identity).
        source: reference of the definition.
    """

    name: str
    title: str
    statistic: Statistic
    source: str
    root: bool = False

    def value(self, numerator: float, denominator: float) -> float | None:
        """Value of summed statistics; None where nothing was counted.

        Example:
            >>> from tsbench.evaluation.metrics import metric
            >>> metric("rmse").value(8.0, 2.0)
            2.0
        """
        if denominator == 0:
            return None
        mean = numerator / denominator
        return mean**0.5 if self.root else mean
