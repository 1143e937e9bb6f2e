"""County mean with trend: y = a(place) + b · year, by least squares over the training samples.

The trend is common to all places. A place that was not trained on has the mean of its past targets, moved
along the trend.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.contracts.model import Fits
from tsbench.data.cases import Cases
from tsbench.training.source import FitReport, TaskSource

YEAR = 365.2425 * 86_400 * 1e9
FIT_BATCH = 1024


class CountyTrend(nn.Module):
    """Mean of each place and a common trend. Its tensors are positions, means and slope.

    Raises:
        InputError: for a task without past targets.
    """

    fits: ClassVar[Fits] = "task"
    uses: ClassVar[frozenset[str]] = frozenset({"past_covariates", "time", "position"})
    views: ClassVar[tuple[str, ...]] = ("panel",)
    place: torch.Tensor
    mean: torch.Tensor
    slope: torch.Tensor

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__()
        if not shape.past_covariates:
            raise InputError("county_trend reads the targets of past periods, which the task does not give")
        self._hold(torch.zeros(0, 2), torch.zeros(0), torch.zeros(()))

    def resize(self, sizes: Mapping[str, torch.Size]) -> None:
        """Make room for the places of a file of weights; `sizes`: of its tensors, by name."""
        self._hold(
            *(torch.zeros(sizes.get(name, getattr(self, name).shape)) for name in ("place", "mean", "slope"))
        )

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast, shape (sample, 1, 1)."""
        year = _year(batch)
        past = batch["past_covariates"][..., 0]
        # The last of the past targets is there twice where there are more.
        distinct = past[:, :-1] if past.shape[1] > 1 else past
        back = torch.arange(distinct.shape[1], 0, -1, device=past.device)
        unseen = (distinct - self.slope * (year[:, None] - back)).mean(dim=1)
        level = unseen
        if len(self.place):
            distance = torch.cdist(batch["position"].float(), self.place)
            nearest, row = distance.min(dim=1)
            level = torch.where(nearest < 1e-4, self.mean[row], unseen)
        return Forecast((level + self.slope * year)[:, None, None])

    def fit(self, source: TaskSource, init: Any = None) -> FitReport:
        """Least squares with one level a place and one slope for all."""
        position, year, target = _gathered(source.train)
        place, row = position.unique(dim=0, return_inverse=True)
        count = torch.zeros(len(place), dtype=torch.float64).index_add(0, row, torch.ones_like(year))

        def means(values: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(count).index_add(0, row, values) / count

        centred = year - means(year)[row]
        slope = (centred * target).sum() / centred.square().sum().clamp_min(1e-12)
        self._hold(place, (means(target) - slope * means(year)).float(), slope.float())
        held = source.validation.gather(torch.arange(len(source.validation)))
        error = self.predict(held).values - held["target"]
        return FitReport(validation_loss=float(error.square().mean()))

    def _hold(self, place: torch.Tensor, mean: torch.Tensor, slope: torch.Tensor) -> None:
        self.register_buffer("place", place)
        self.mean, self.slope = (nn.Parameter(one, requires_grad=False) for one in (mean, slope))


def _year(batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Years since 2000 of each sample's own period, whole numbers, shape (sample,)."""
    return torch.floor(batch["time"][:, -1].double() / YEAR - 30).float()


def _gathered(cases: Cases) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Position, year and target of all cases, the last two float64."""
    batches = [cases.gather(rows) for rows in torch.arange(len(cases)).split(FIT_BATCH)]
    position = torch.cat([one["position"].float() for one in batches])
    year = torch.cat([_year(one) for one in batches]).double()
    return position, year, torch.cat([one["target"][:, 0, 0] for one in batches]).double()
