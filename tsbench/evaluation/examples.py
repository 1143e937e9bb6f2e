"""A few cases of the test part, with context, truth and forecast, for pictures."""

from typing import Any

import torch

from tsbench.contracts import Forecast, Scenario
from tsbench.contracts.result import EXAMPLE_BOUNDS, EXAMPLE_COLUMNS
from tsbench.data.cases import Cases
from tsbench.data.task_data import TaskData

from .reading import Reading

LEVELS = (0.1, 0.9)
"""Bounds of the interval that is shown."""


class Examples:
    """Collects the columns of examples.parquet; bounds only of forecasts that have them."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in EXAMPLE_COLUMNS}

    def add(
        self,
        scenario: Scenario,
        data: TaskData,
        cases: Cases,
        index: torch.Tensor,
        forecast: Forecast,
    ) -> None:
        """Add some cases.

        Args:
            scenario: the cell that they belong to.
            data: the task's data.
            cases: of the scenario.
            index: case indices, shape (sample,).
            forecast: in metric space, in the task's own shape.
        """
        reading = Reading(forecast)
        point, bounds = reading.point, _bounds(reading)
        for number, case in enumerate(index.tolist()):
            sides = [
                [example.forecast for example in data.illustrate(cases, case, bound[number])]
                for bound in bounds
            ]
            for place, example in enumerate(data.illustrate(cases, case, point[number])):
                rows = len(example.stamps)
                added = {
                    "scenario": [scenario.key] * rows,
                    "case": [case] * rows,
                    "variable": [example.variable] * rows,
                    "time": example.stamps,
                    "lead_time": example.lead_times,
                    "observed": example.observed,
                    "forecast": [None] * (rows - len(example.forecast)) + example.forecast,
                }
                for name, side in zip(EXAMPLE_BOUNDS, sides, strict=False):
                    added[name] = [None] * (rows - len(side[place])) + side[place]
                for column, values in added.items():
                    self.columns.setdefault(column, []).extend(values)


def _bounds(reading: Reading) -> tuple[torch.Tensor, ...]:
    """Lower and upper bound, (sample, lead_time, channel) each; none where the forecast does not say."""
    forecast = reading.forecast
    known = forecast.kind == "samples" or set(LEVELS) <= set(forecast.quantiles)
    if forecast.values.is_complex() or not known:
        return ()
    return tuple(reading.quantiles(LEVELS).values)
