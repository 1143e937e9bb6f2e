"""A Result: the record of a model on a task with one seed, in a folder of three files.

`result.json` (at most 64 kB), `scores.parquet` (sufficient statistics) and `units.parquet` (one row per
scenario and independent unit, primary metric). Column names of both tables are fixed here.
"""

from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from .strict import Strict

SCHEMA_VERSION = 1
RESULT_FILE, SCORES_FILE, UNITS_FILE, EXAMPLES_FILE = (
    "result.json",
    "scores.parquet",
    "units.parquet",
    "examples.parquet",
)
RESULT_LIMIT = 64 * 1024

SCORE_COLUMNS = (
    "scenario", "condition", "variable", "level", "region", "lead_time", "metric", "numerator", "denominator",
)  # fmt: skip
"""Marginal statistics. `variable` and `lead_time` are null in a scenario's total; a row that names a
variable sums over lead times, a row that names a lead time (1 = first step) sums over variables. Never add
rows of different marginals. `level` and `region` are null where the data have none. Value of a row =
finish(numerator / denominator), with the metric's own finish (a square root for `rmse`). What is no ratio of
two sums (a median, a mean over channels, an error plus a bias) is recorded as (value × weight, weight). A
metric of all channels together has no rows by variable. Roll-outs of fields have rows that name a variable
(with level and region) and a lead time as well; where variables have units of their own, a metric in these
units has no total and no rows that name a lead time alone. Rows with a region are part of no total."""

UNIT_COLUMNS = ("scenario", "condition", "cluster", "unit", "metric", "numerator", "denominator")
"""One row per scenario and independent unit, for the primary metric; recorded as in scores.parquet."""

EXAMPLE_COLUMNS = ("scenario", "case", "variable", "time", "lead_time", "observed", "forecast")
"""A few cases for pictures. `lead_time` ≤ 0 is context (0 = last context step); `forecast` is null there.
`time` is ISO 8601 text; values are in the task's metric space."""

EXAMPLE_BOUNDS = ("lower", "upper")
"""Further columns of the examples of quantile and sample forecasts: bounds of the central 80 % interval, null
where `forecast` is; a point forecast has no such columns."""


class Column(NamedTuple):
    """What scores are told apart by."""

    variable: str
    level: str | None = None
    region: str | None = None


class Track(Strict):
    """What an entry chose; never mixed in one column of a leaderboard without saying so."""

    context: int | None = None
    """Look-back in steps; null for a forecast made elsewhere that does not say."""
    tuning: str = Field(pattern=r"^(published|default|custom|unknown|swept\(\d+ trials\))$")
    learning: Literal["zero-shot", "fitted", "unknown"]


class StageCost(Strict):
    """Cost of one stage. What cannot be counted is null, never 0; attempts are summed."""

    seconds: float | None = None
    flops: float | None = None
    """Floating-point operations of the whole stage, 2 per multiply-add."""
    peak_memory_bytes: int | None = None
    energy_joules: float | None = None
    attempts: int = 1
    detail: dict[str, float | None] = {}
    """For example epochs, flops_per_step, flops_per_case, seconds_per_case."""


class ModelRecord(Strict):
    """Which model, as it was run."""

    name: str
    version: int
    hyperparameters: dict[str, Any]
    training: dict[str, Any] = {}
    parameters: int | None
    """Number of learned parameters."""
    weights: str | None = None
    """Hash of the weights that were evaluated."""
    start: str = ""
    """Name of the weights that the run was given: of the corpus or task that they were last fitted on before
    it, of the file, or OWNER/NAME. Empty where it was given none, and in older Results."""


class TaskRecord(Strict):
    """Which task, with the hashes of declaration and data."""

    name: str
    version: int
    hash: str
    dataset: str
    recipe: dict[str, str]
    """Data set → recipe hash of its store, for every data set that was read."""
    content: dict[str, str]


class DataRange(Strict):
    """A range of data, first and last value included.

    `start` and `end` are ISO 8601 stamps, or positions in a series without stamps: from 0 on, or from −1 back
    where series of different length were left out to the same distance from their end; or the label of a part
    of independent samples.
    """

    dataset: str
    series: tuple[str, ...] | Literal["all"] = "all"
    without: tuple[str, ...] = ()
    """Series that are left out of `all`."""
    variables: tuple[str, ...] | Literal["all"] = "all"
    start: str
    end: str
    files: str | None = None
    """Hash of the published files that the data set was made of: two data sets of the same files are one."""


class TrainedOn(DataRange):
    """A range of data that the weights have seen."""

    stage: str = "fit"


class TestedOn(DataRange):
    """A range of data in test windows: as targets, or as inputs beyond the task's training part."""

    __test__: ClassVar[bool] = False  # pytest takes classes of such a name for tests
    role: Literal["inputs", "targets"]


class OperatorsUsed(Strict):
    """How the operators of `tsbench.cuda_ops` were computed, by fit and evaluation."""

    choice: Literal["reference", "auto", "cuda"]
    """What TSBENCH_OPS, or the block around the run, asked for."""
    paths: dict[str, str] = {}
    """Operator → path of its calls: `reference`, `torch` (operations, on any device) or `cuda` (a kernel);
    several with commas. Operators that were not called are absent."""


class ResultProvenance(Strict):
    """Who made the Result, with what."""

    created: str
    command: str
    code: str
    """Hash of the syntax trees of the modules that the run uses."""
    versions: dict[str, str]
    host: str
    """Class of the host: system, processor, cores, accelerator. Never its name."""
    threads: int
    deterministic: bool = True
    operators: OperatorsUsed | None = None
    """Null where it was not recorded: in older Results, and for forecasts made elsewhere."""


class Result(Strict):
    """The record of a model on a task with one seed."""

    schema_version: int = SCHEMA_VERSION
    model: ModelRecord
    task: TaskRecord
    seed: int
    track: Track
    trained_on: tuple[TrainedOn, ...]
    tested_on: tuple[TestedOn, ...] = ()
    """What the scores were computed on; `leakage` compares it with `trained_on`. Empty in older Results."""
    forecast_kind: Literal["point", "quantiles", "samples"] = "point"
    primary: str
    scores: dict[str, dict[str, float | None]]
    """Metric → condition → mean over the condition's scenarios; null where a scenario has no value. Where a
    task's authors average over other scenarios, their mean is under the condition with `-published`."""
    scenarios: dict[str, int]
    """Condition (and published average) → number of scenarios that were evaluated."""
    cases: int
    """Forecast windows or samples in the first regular scenario."""
    skipped: dict[str, str] = {}
    """Scenario → why it was not evaluated (a data set that is not at hand)."""
    parity: dict[str, Any] = {}
    """Deviations from the protocol that were asked for by name (`drop_last`); such a Result is not ranked."""
    cost: dict[str, StageCost]
    """Stage (`sweep`, `pretraining`, `fit`, `predict`) → cost."""
    provenance: ResultProvenance

    @model_validator(mode="after")
    def _plausible(self) -> "Result":
        """Refuse another schema and counts below zero; the JSON Schema is that of the fields alone."""
        if self.schema_version != SCHEMA_VERSION:
            raise ValueError(f"schema_version is {self.schema_version}; this tsbench reads {SCHEMA_VERSION}")
        stages = self.cost.values()
        counts = {
            "cases": (self.cases,),
            "scenarios": self.scenarios.values(),
            "model.parameters": (self.model.parameters or 0,),
            "provenance.threads": (self.provenance.threads,),
            "cost": [value or 0 for one in stages for value in (one.seconds, one.flops, one.attempts)],
        }
        for name, values in counts.items():
            if min(values, default=0) < 0:
                raise ValueError(f"{name} holds a number below zero")
        return self

    @property
    def entry(self) -> str:
        """Model with its track: what a leaderboard ranks."""
        return f"{self.model.name} (context {self.track.context}, {self.track.tuning}, {self.track.learning})"
