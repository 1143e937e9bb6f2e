"""A few cases of the test part, with context, truth and forecast, for pictures."""

from typing import Any

import torch

from tsbench.contracts import Scenario
from tsbench.contracts.result import EXAMPLE_COLUMNS
from tsbench.data.cases import Cases
from tsbench.data.task_data import TaskData


class Examples:
    """Collects the columns of examples.parquet."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in EXAMPLE_COLUMNS}

    def add(
        self,
        scenario: Scenario,
        data: TaskData,
        cases: Cases,
        index: torch.Tensor,
        forecast: torch.Tensor,
    ) -> None:
        """Add some cases.

        Args:
            scenario: the cell that they belong to.
            data: the task's data.
            cases: of the scenario.
            index: case indices, shape (sample,).
            forecast: in metric space, in the task's own shape.
        """
        for number, case in enumerate(index.tolist()):
            for example in data.illustrate(cases, case, forecast[number]):
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
                for column, values in added.items():
                    self.columns[column] += values
