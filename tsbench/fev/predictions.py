"""Saved forecasts of a task as the predictions that fev scores, window by window."""

from pathlib import Path
from typing import Any

import torch

from tsbench.contracts import Task
from tsbench.evaluation.forecast_store import check_forecast
from tsbench.evaluation.reading import Reading
from tsbench.extras import require

from .definitions import USER
from .windows import Windows


def predictions_of(forecast: Path, task: Task, fev_task: Any, windows: Windows) -> list[Any]:
    """Predictions of each window, as `fev.Task.evaluation_summary` takes them.

    The point is that of our metrics: the point itself, the median, or the median member. A point forecast
    stands at every quantile level.

    Args:
        forecast: the saved forecasts, in units.
        task: ours.
        fev_task: the `fev.Task`, of which `task` was made.
        windows: of the same data.

    Returns:
        One `datasets.DatasetDict` a window: target column → rows of the series that have the window.

    Raises:
        InputError: where the forecasts are not those of the task, or lack a quantile level.
    """
    datasets: Any = require("datasets", "fev", USER)
    columns = fev_task.target_columns
    (scenario,) = task.scenarios()
    shape = (len(windows.cases), task.horizon, len(columns))
    saved = check_forecast(forecast, task, {scenario.key: shape})
    points, quantiles = [], []
    for _, block in saved.batches(scenario):
        reading = Reading(block)
        points.append(reading.point)
        quantiles.append(reading.quantiles(fev_task.quantile_levels, "fev").values)
    point, levels = torch.cat(points).numpy(), torch.cat(quantiles, dim=1).numpy()
    found = []
    for window in range(fev_task.num_windows):
        cases = windows.cases == window
        tables = {}
        for column, name in enumerate(columns):
            made = {"predictions": list(point[cases, :, column])}
            for level, values in zip(fev_task.quantile_levels, levels, strict=True):
                made[str(level)] = list(values[cases, :, column])
            tables[name] = datasets.Dataset.from_dict(made)
        found.append(datasets.DatasetDict(tables))
    return found
