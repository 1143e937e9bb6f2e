"""A few cases of the test part, with context, truth and forecast, for pictures."""

from typing import Any

import torch

from tsbench.contracts import Scenario
from tsbench.contracts.result import EXAMPLE_COLUMNS
from tsbench.data.task_data import TaskData
from tsbench.data.windows import Windows

CASES = 3
VARIABLES = 3


class Examples:
    """Collects the columns of examples.parquet."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in EXAMPLE_COLUMNS}

    @staticmethod
    def choose(cases: int) -> torch.Tensor:
        """Case indices spread evenly over the test part: the same for every model."""
        shares = [(2 * number + 1) / (2 * CASES) for number in range(CASES)]
        return torch.tensor(sorted({int(share * cases) for share in shares}))

    def add(
        self,
        scenario: Scenario,
        data: TaskData,
        windows: Windows,
        cases: torch.Tensor,
        forecast: torch.Tensor,
    ) -> None:
        """Add some cases.

        Args:
            scenario: the cell that they belong to.
            data: the task's data.
            windows: of the test part.
            cases: case indices, shape (sample,).
            forecast: in metric space, shape (sample, lead_time, target).
        """
        tail = min(windows.context, 2 * windows.horizon)
        for number, case in enumerate(cases.tolist()):
            origin = int(windows.origins[case])
            rows = range(origin - tail, origin + windows.horizon)
            stamps = [data.table.stamp(row) for row in rows]
            for variable, name in list(enumerate(data.targets))[-VARIABLES:]:
                predicted = forecast[number, :, variable].float().tolist()
                added = {
                    "scenario": [scenario.key] * len(rows),
                    "case": [case] * len(rows),
                    "variable": [name] * len(rows),
                    "time": stamps,
                    "lead_time": [row - origin + 1 for row in rows],
                    "observed": windows.truth[rows.start : rows.stop, variable].tolist(),
                    "forecast": [None] * tail + predicted,
                }
                for column, values in added.items():
                    self.columns[column] += values
