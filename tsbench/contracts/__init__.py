"""The suite's words as types. Imports pydantic, numpy and typing only; never torch."""

from .conditions import CONDITIONS, Condition, Conditions, NotApplicable, Scenario, averages
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
from .split import LabelledSplit, RollingSplit, Split, WindowRule
from .strict import Strict, canonical_hash, parse
from .suite import Suite, SuiteEntry
from .task import SampleLayout, Task, TrainingNoise

__all__ = [
    "CONDITIONS", "Condition", "Conditions", "DatasetCard", "Forecast", "ForecastKind", "InputError",
    "JobFailed", "LabelledSplit", "Model", "ModelCard", "ModelRecord", "ModelSettings", "NotApplicable",
    "Paper", "Provenance", "PublishedFigure", "Result", "ResultProvenance", "RollingSplit", "SampleLayout", "Scenario",
    "Sentinel", "SourceFile", "Split", "StageCost", "Strict", "Suite", "SuiteEntry", "Task",
    "TaskRecord", "TaskShape", "TimeAxis", "Track", "TrainedOn", "TrainingNoise", "Variant", "WindowRule", "averages",
    "canonical_hash", "parse",
]  # fmt: skip
