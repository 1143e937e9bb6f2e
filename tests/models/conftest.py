"""What the tests of models share: shapes of tasks and models built for them."""

from typing import Any

import pytest

from tsbench.contracts import TaskShape
from tsbench.data.calendar import calendar_names


@pytest.fixture
def shape_of():
    """Makes a TaskShape of hourly data: `shape_of(96, 24, channels=3, targets=(2, 0), period=24)`."""

    def make(
        context: int,
        horizon: int,
        channels: int = 1,
        targets: tuple[int, ...] | None = None,
        period: int = 24,
        **changes: Any,
    ) -> TaskShape:
        names = tuple(f"channel{index}" for index in range(channels))
        marks = calendar_names("PT1H", dated=True)
        return TaskShape(
            context=context,
            horizon=horizon,
            period=period,
            channels=names,
            targets=names if targets is None else tuple(names[index] for index in targets),
            past_covariates=changes.get("past_covariates", marks),
            future_covariates=marks,
            step="PT1H",
        )

    return make
