"""The two layers of a metric: a statistic for every scored value, and the value of a sum of statistics."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

Statistic = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""(forecast, observed, scale) → (numerator, denominator): forecast and observed in double precision, in the
task's own shape; both results float64, shape (sample, lead_time, channel); scale (the training part's
seasonal error) shape (channel,). Where scores are not told apart by variable, the results' last dimension is
whatever the statistic leaves. Statistics of disjoint sets add up, over batches as over processes."""
Finish = Literal["mean", "root", "decibel", "median"]


@dataclass(frozen=True)
class Metric:
    """A named metric: value = finish(sum of numerators / sum of denominators).

    A median is not such a sum. Its statistics are kept one by one for a scenario, and recorded as
    (median × count, count), so that a row's value is read like any other's; rows must not be added.

    Attributes:
        name: as tasks write it.
        title: as pages write it.
        statistic: the first layer.
        source: reference of the definition.
        finish: `mean` (as it is), `root` (square root), `decibel` (10 log10), or `median`.
        better: which direction is good.
        view: shape of the tasks that it is for.
    """

    name: str
    title: str
    statistic: Statistic
    source: str
    finish: Finish = "mean"
    better: Literal["lower", "higher"] = "lower"
    view: str = "sequence"

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
        if self.finish == "root":
            return mean**0.5
        if self.finish == "decibel":
            return 10 * math.log10(mean) if mean > 0 else None
        return mean
