"""Least squares of base stations, one small system a station, and the relative error that all share."""

from collections.abc import Mapping
from typing import Any

import torch

from tsbench.training.source import TaskSource

BATCH = 4096


class SiteSums:
    """Sums of the normal equations of every station, in double precision.

    Args:
        stations: number of codes.
        columns: inputs of a station's map.
    """

    def __init__(self, stations: int, columns: int) -> None:
        self.gram = torch.zeros(stations, columns, columns, dtype=torch.float64)
        self.moment = torch.zeros(stations, columns, dtype=torch.float64)

    def add(self, codes: torch.Tensor, inputs: torch.Tensor, energy: torch.Tensor) -> None:
        """Add samples.

        Args:
            codes: of their stations, int64, shape (sample,).
            inputs: shape (sample, column); the first column is 1.
            energy: shape (sample,).
        """
        wide = inputs.double()
        self.gram.index_add_(0, codes, wide[:, :, None] * wide[:, None])
        self.moment.index_add_(0, codes, wide * energy.double()[:, None])

    @property
    def seen(self) -> torch.Tensor:
        """Stations of which there was a sample, shape (station,)."""
        return self.gram[:, 0, 0] > 0

    def solve(self) -> torch.Tensor:
        """Coefficients of every station, shape (station, column); 0 where there was no sample.

        The solution of smallest norm where a station's inputs do not vary.
        """
        # Scaled to the number of samples, so that the cut-off of tiny directions is the same for all.
        count = self.gram[:, :1, :1].clamp_min(1)
        inverse = torch.linalg.pinv(self.gram / count, rtol=1e-10, hermitian=True)
        return (inverse @ (self.moment[..., None] / count))[..., 0]


def validation_error(model: Any, source: TaskSource) -> float:
    """Mean |y − f| / y over the validation samples with a positive energy."""
    total, number = 0.0, 0
    for batch in source.validation.batches(BATCH):
        target = batch["target"].double()
        there = target > 0
        error = (model.predict(batch).values.double() - target).abs()[there] / target[there]
        total, number = total + float(error.sum()), number + int(there.sum())
    return total / max(number, 1)


def total_load(batch: Mapping[str, torch.Tensor], column: int) -> torch.Tensor:
    """Sum of the loads of a sample's cells, shape (sample,); what is not there is 0."""
    return (batch["entity"][..., column] * batch["entity_mask"]).sum(dim=1)
