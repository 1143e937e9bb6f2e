"""Climatology: the mean of the training part at each location, or for each day of the year and hour."""

from dataclasses import dataclass

import numpy as np
import torch

DAYS = 366


@dataclass(frozen=True)
class Climatology:
    """What anomalies are taken from.

    Attributes:
        table: float64, shape (day, hour, channel, latitude, longitude); one day and hour where it does not
            depend on time.
        day, hour: rows of the table of each step of the store, int64, shape (time,).
    """

    table: torch.Tensor
    day: torch.Tensor
    hour: torch.Tensor

    @property
    def constant(self) -> torch.Tensor | None:
        """The climatology itself where it does not depend on time, (channel, latitude, longitude)."""
        return self.table[0, 0] if self.table.shape[:2] == (1, 1) else None

    def at(self, steps: torch.Tensor) -> torch.Tensor:
        """Climatology of some steps of the store, shape (..., channel, latitude, longitude)."""
        return self.table[self.day[steps], self.hour[steps]]


def by_location(mean: torch.Tensor, steps: int) -> Climatology:
    """The same at all times; `mean`: float64, shape (channel, latitude, longitude)."""
    nowhere = torch.zeros(steps, dtype=torch.int64)
    return Climatology(mean[None, None], nowhere, nowhere)


def by_day_of_year(
    fields: torch.Tensor, chosen: torch.Tensor, time: np.ndarray, window_days: int
) -> Climatology:
    """Mean over the training years for each day of the year and hour, over a window of days around it.

    The days of the window weigh alike and go around the turn of the year; every value counts once.

    Args:
        fields: shape (member, time, channel, latitude, longitude).
        chosen: which steps of which member are training, shape (member, time).
        time: datetime64 of each step, shape (time,).
        window_days: odd.
    """
    days = (time.astype("datetime64[D]") - time.astype("datetime64[Y]")).astype(np.int64)  # 0 = 1 January
    stamps = (time - time.astype("datetime64[D]")).astype("timedelta64[m]").astype(np.int64)
    hours, hour = np.unique(stamps, return_inverse=True)
    day_of, hour_of = torch.from_numpy(days), torch.from_numpy(hour.astype(np.int64))
    shape = (DAYS, len(hours), *fields.shape[2:])
    sums, counts = torch.zeros(shape, dtype=torch.float64), torch.zeros(shape[:2], dtype=torch.float64)
    for member in range(len(fields)):
        for step in chosen[member].nonzero().flatten().tolist():
            sums[day_of[step], hour_of[step]] += fields[member, step]
            counts[day_of[step], hour_of[step]] += 1
    half = window_days // 2
    window = [(sums.roll(shift, dims=0), counts.roll(shift, dims=0)) for shift in range(-half, half + 1)]
    total = torch.stack([one for one, _ in window]).sum(dim=0)
    number = torch.stack([one for _, one in window]).sum(dim=0)[..., None, None, None]
    # A day without a training value near it stands at the mean of all.
    overall = sums.sum(dim=(0, 1)) / counts.sum()
    table = torch.where(number > 0, total / number.clamp(min=1), overall)
    return Climatology(table, day_of, hour_of)
