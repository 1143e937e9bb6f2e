"""The suite's words as types. Imports pydantic, numpy and typing only; never torch."""

from .dataset import DatasetCard, Provenance, Sentinel, SourceFile, TimeAxis, Variant
from .errors import InputError, JobFailed
from .forecast import Forecast, ForecastKind
from .model import Model, ModelCard, ModelSettings, Paper, PublishedFigure, TaskShape
from .result import (
    ModelRecord,
    Result,
    ResultProvenance,
    StageCost,
    TaskRecord,
    Track,
    TrainedOn,
)
from .strict import Strict, canonical_hash, parse
from .suite import Suite, SuiteEntry
from .task import CONDITIONS, Condition, Conditions, NotApplicable, Scenario, Split, Task

__all__ = [
    "CONDITIONS", "Condition", "Conditions", "DatasetCard", "Forecast", "ForecastKind", "InputError",
    "JobFailed", "Model", "ModelCard", "ModelRecord", "ModelSettings", "NotApplicable", "Paper",
    "Provenance", "PublishedFigure", "Result", "ResultProvenance", "Scenario", "Sentinel", "SourceFile",
    "Split", "StageCost", "Strict", "Suite", "SuiteEntry", "Task", "TaskRecord", "TaskShape", "TimeAxis",
    "Track", "TrainedOn", "Variant", "canonical_hash", "parse",
]  # fmt: skip
