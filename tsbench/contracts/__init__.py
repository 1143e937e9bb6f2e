"""The suite's words as types. Imports pydantic, numpy and typing only; never torch."""

from .conditions import CONDITIONS, Condition, Conditions, NotApplicable, Scenario, averages
from .corpus import Corpus, Member
from .dataset import DatasetCard, Provenance, Sentinel, SourceFile, TimeAxis, Variant
from .errors import InputError, JobFailed
from .field import NO_SIGNAL, ChannelScale, FieldLayout, SparseSamples
from .forecast import Forecast, ForecastKind
from .leakage import Leakage, leakage_of
from .model import (
    DeclaredGap,
    Model,
    ModelCard,
    ModelSettings,
    Paper,
    PublishedFigure,
    PublishedWeights,
    TaskShape,
)
from .panel import PanelCorpus, PanelLayout
from .result import (
    DataRange,
    ModelRecord,
    OperatorsUsed,
    Result,
    ResultProvenance,
    StageCost,
    TaskRecord,
    TestedOn,
    Track,
    TrainedOn,
)
from .rollout import RolloutLayout
from .search_space import Range, SearchSpace
from .split import LabelledSplit, PeriodSplit, RollingSplit, SeriesSplit, Split, WindowRule
from .strict import Strict, canonical_hash, parse
from .suite import Suite, SuiteEntry
from .task import SampleLayout, Task, TrainingNoise

__all__ = [
    "CONDITIONS", "NO_SIGNAL", "ChannelScale", "Condition", "Conditions", "Corpus", "DataRange",
    "DatasetCard", "DeclaredGap", "FieldLayout", "Forecast", "ForecastKind", "InputError", "JobFailed",
    "LabelledSplit", "Leakage", "Member", "Model", "ModelCard", "ModelRecord", "ModelSettings",
    "NotApplicable", "OperatorsUsed", "PanelCorpus", "PanelLayout", "Paper", "PeriodSplit", "Provenance",
    "PublishedFigure", "PublishedWeights", "Range", "Result", "ResultProvenance", "RollingSplit",
    "RolloutLayout", "SampleLayout", "Scenario", "SearchSpace", "Sentinel", "SeriesSplit", "SourceFile",
    "SparseSamples", "Split", "StageCost", "Strict", "Suite", "SuiteEntry", "Task", "TaskRecord",
    "TaskShape", "TestedOn", "TimeAxis", "Track", "TrainedOn", "TrainingNoise", "Variant", "WindowRule",
    "averages", "canonical_hash", "leakage_of", "parse",
]  # fmt: skip
