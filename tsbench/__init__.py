"""tsbench: one benchmark suite for forecasting across time series, wireless and science.

Everything below is imported when it is first used, so that `import tsbench` is instant.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsbench import registry
    from tsbench.contracts import Forecast, InputError, Result, Suite, Task, TaskShape
    from tsbench.data.batch import Batch
    from tsbench.data.task_data import TaskData
    from tsbench.evaluation.record import read_result
    from tsbench.gluonts.datasets import prepare_gluonts
    from tsbench.gluonts.export import gluonts_dataset
    from tsbench.gluonts.forecaster import GluonTSForecaster
    from tsbench.gluonts.predictor import gluonts_model
    from tsbench.jobs.api import evaluate, fit, run, score
    from tsbench.jobs.job import Options
    from tsbench.training.module import NeuralForecaster

_HOMES = {
    "Batch": "tsbench.data.batch",
    "Forecast": "tsbench.contracts",
    "GluonTSForecaster": "tsbench.gluonts.forecaster",
    "InputError": "tsbench.contracts",
    "NeuralForecaster": "tsbench.training.module",
    "Options": "tsbench.jobs.job",
    "Result": "tsbench.contracts",
    "Suite": "tsbench.contracts",
    "Task": "tsbench.contracts",
    "TaskData": "tsbench.data.task_data",
    "TaskShape": "tsbench.contracts",
    "evaluate": "tsbench.jobs.api",
    "fit": "tsbench.jobs.api",
    "gluonts_dataset": "tsbench.gluonts.export",
    "gluonts_model": "tsbench.gluonts.predictor",
    "prepare_gluonts": "tsbench.gluonts.datasets",
    "read_result": "tsbench.evaluation.record",
    "run": "tsbench.jobs.api",
    "score": "tsbench.jobs.api",
}

__all__ = [
    "Batch", "Forecast", "GluonTSForecaster", "InputError", "NeuralForecaster", "Options", "Result", "Suite",
    "Task", "TaskData", "TaskShape", "evaluate", "fit", "gluonts_dataset", "gluonts_model", "prepare_gluonts",
    "read_result", "registry", "run", "score",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "registry":
        return importlib.import_module("tsbench.registry")
    if name not in _HOMES:
        raise AttributeError(f"module 'tsbench' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
