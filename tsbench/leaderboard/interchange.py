"""Tables of results as fev and GIFT-Eval exchange them: written from Results, and read as Results.

What is read was not recomputed here. It becomes a Result with the parity mark `imported`, which no
leaderboard of ours ranks; the aggregations of parity.py take it beside our own.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from tsbench.contracts import (
    InputError,
    ModelRecord,
    Result,
    ResultProvenance,
    Task,
    TaskRecord,
    Track,
    canonical_hash,
)

FormatName = Literal["fev", "gift-eval"]
IMPORTED = "imported"
BYTE_LIMIT = 2**26
FEV_VERSION = "0.10.0"
"""Of the columns that are written."""
FEV_METRICS = {
    "mase": "MASE",
    "wql": "WQL",
    "sql": "SQL",
    "mse": "MSE",
    "mae": "MAE",
    "rmse": "RMSE",
    "mql": "MQL",
}
"""Ours → fev's name, of metrics that agree where a series has one channel."""
GIFT_EVAL = "gift_eval-"
GIFT_EVAL_COLUMNS = {
    "eval_metrics/MSE[0.5]": ("mse", 1.0),
    "eval_metrics/MAE[0.5]": ("mae", 1.0),
    "eval_metrics/MASE[0.5]": ("mase", 1.0),
    "eval_metrics/sMAPE[0.5]": ("smape", 0.01),
    "eval_metrics/MSIS": ("msis", 1.0),
    "eval_metrics/mean_weighted_sum_quantile_loss": ("wql", 1.0),
}
"""Column → our metric, and what our value is multiplied by."""
GIFT_EVAL_OTHERS = (
    "eval_metrics/MSE[mean]", "eval_metrics/MAPE[0.5]", "eval_metrics/RMSE[mean]", "eval_metrics/NRMSE[mean]",
    "eval_metrics/ND[0.5]", "domain", "num_variates",
)  # fmt: skip
"""Columns that stay empty: means of forecasts, which are not kept, and facts of the data set."""


@dataclass(frozen=True)
class Row:
    """A model on a task, as a table says it.

    Attributes:
        model: name.
        task: name in the table.
        scores: our metric → value.
        seconds: stage → seconds, of those that are known.
    """

    model: str
    task: str
    scores: Mapping[str, float]
    seconds: Mapping[str, float]


def checked_format(name: str) -> FormatName:
    """The format of that name.

    Raises:
        InputError: where there is none.
    """
    if name in ("fev", "gift-eval"):
        return name
    raise InputError(f"Unknown format '{name}'; there are fev, gift-eval")


def export_table(
    results: Iterable[tuple[str, Result]], tasks: Mapping[str, Task], form: FormatName
) -> pd.DataFrame:
    """One row an entry and task: its regular scores, the mean over seeds.

    Args:
        results: with the name of the entry that they belong to; those with a parity mark are left out.
        tasks: name → declaration.
        form: of the table.

    Raises:
        InputError: where no Result is of a task that the table can hold.
    """
    grouped: dict[tuple[str, str], list[Result]] = {}
    for entry, result in results:
        if not result.parity and result.task.name in tasks:
            grouped.setdefault((result.task.name, entry), []).append(result)
    make = {"fev": _fev_row, "gift-eval": _gift_eval_row}[form]
    rows = [row for key, found in sorted(grouped.items()) if (row := make(*key, found, tasks[key[0]]))]
    if not rows:
        raise InputError(f"There is no Result of a task that a table of {form} can hold")
    return pd.DataFrame(rows)


def read_table(path: Path, form: FormatName) -> list[Row]:
    """Rows of a table, CSV or (fev) JSON records.

    Raises:
        InputError: where the file cannot be read, is too large, lacks a column or holds text for a number.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}")
    if path.stat().st_size > BYTE_LIMIT:
        raise InputError(f"{path} is larger than {BYTE_LIMIT} bytes")
    try:
        table = pd.read_json(path, orient="records") if path.suffix == ".json" else pd.read_csv(path)
    except (ValueError, UnicodeDecodeError, pd.errors.ParserError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise InputError(f"{path} is not a table of {form}: {reason[:200]}") from error
    wanted = (
        ("model_name", "dataset_path", "eval_metric", "test_error") if form == "fev" else ("dataset", "model")
    )
    if missing := [name for name in wanted if name not in table]:
        raise InputError(f"{path} is not a table of {form}: it has no column '{missing[0]}'")
    read = {"fev": _read_fev, "gift-eval": _read_gift_eval}[form]
    return [
        row
        for number, record in enumerate(table.to_dict("records"))
        if (row := read(record, f"{path}, row {number + 1}"))
    ]


def find_task(name: str, tasks: Mapping[str, Task], form: FormatName) -> Task | None:
    """The task that a table means, if it is installed."""
    if form == "fev":
        return tasks.get(name.partition("@")[0])
    return tasks.get(GIFT_EVAL + re.sub(r"[^a-z0-9_.]+", "-", name.lower()))


def as_result(row: Row, task: Task, form: FormatName, file: str) -> Result:
    """A row as a Result that says where it comes from, and that nothing of it was recomputed."""
    model = re.sub(r"[^A-Za-z0-9_.-]+", "_", row.model).strip("_.-") or "unnamed"
    return Result(
        model=ModelRecord(name=model, version=1, hyperparameters={}, parameters=None),
        task=TaskRecord(
            name=task.name, version=task.version, hash=task.hash, dataset=task.dataset, recipe={}, content={}
        ),
        seed=0,
        track=Track(context=None, tuning="unknown", learning="unknown"),
        trained_on=(),
        primary=task.primary,
        scores={name: {"regular": value} for name, value in row.scores.items()},
        scenarios={"regular": 1},
        cases=0,
        parity={IMPORTED: form},
        cost={stage: {"seconds": value} for stage, value in row.seconds.items()},  # type: ignore[arg-type]
        provenance=ResultProvenance(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=f"tsbench results import --format {form} {file}",
            code=canonical_hash([form, row.model, row.task, dict(row.scores)]),
            versions={},
            host="unknown",
            threads=0,
        ),
    )


def errors_of(results: Iterable[tuple[str, Result]], metric: Callable[[Result], str]) -> pd.DataFrame:
    """Tasks × models: the regular value of a metric, the mean over seeds; NaN where there is none.

    Args:
        results: with the name of the model or entry that they are shown as.
        metric: which metric counts for a Result.
    """
    rows = [
        (name, result.task.name, result.scores.get(metric(result), {}).get("regular"))
        for name, result in results
    ]
    table = pd.DataFrame(rows, columns=["model", "task", "error"]).astype({"error": float})
    return table.pivot_table(index="task", columns="model", values="error", aggfunc="mean")


def _fev_row(task_name: str, entry: str, results: Sequence[Result], task: Task) -> dict[str, Any]:
    first = results[0]
    scores = {name: _mean(results, name) for name in first.scores}
    named = {_fev_name(name): value for name, value in scores.items()}
    return {
        "model_name": entry,
        "dataset_path": task_name,
        "dataset_config": None,
        "horizon": task.horizon,
        "seasonality": task.period,
        "eval_metric": _fev_name(first.primary),
        "quantile_levels": str(list(task.quantiles)),
        "test_error": scores[first.primary],
        "training_time_s": _seconds(results, "fit"),
        "inference_time_s": _seconds(results, "predict"),
        "trained_on_this_dataset": False,
        "num_forecasts": first.cases,
        "fev_version": FEV_VERSION,
        **named,
    }


def _gift_eval_row(
    task_name: str, entry: str, results: Sequence[Result], task: Task
) -> dict[str, Any] | None:
    if not task_name.startswith(GIFT_EVAL):
        return None
    scores = {
        column: value * factor
        for column, (name, factor) in GIFT_EVAL_COLUMNS.items()
        if (value := _mean(results, name)) is not None
    }
    # The title holds the configuration's own spelling: frequencies are capitals there.
    return {
        "dataset": task.title.rpartition(" ")[2],
        "model": entry,
        **{column: scores.get(column) for column in GIFT_EVAL_COLUMNS},
        **dict.fromkeys(GIFT_EVAL_OTHERS),
    }


def _read_fev(record: Mapping[Any, Any], where: str) -> Row | None:
    metric = str(record["eval_metric"])
    ours = {theirs: name for name, theirs in FEV_METRICS.items()}
    names = {name for name in record if name in ours.keys() | {metric}} | {metric}
    values = {name: record.get(name, record["test_error"] if name == metric else None) for name in names}
    values[metric] = record["test_error"]
    scores = {
        ours.get(name, name): number
        for name, value in values.items()
        if (number := _number(value, where, name)) is not None
    }
    stages = {"fit": "training_time_s", "predict": "inference_time_s"}
    seconds = {
        stage: number
        for stage, name in stages.items()
        if (number := _number(record.get(name), where, name)) is not None
    }
    return Row(str(record["model_name"]), str(record["dataset_path"]), scores, seconds) if scores else None


def _read_gift_eval(record: Mapping[Any, Any], where: str) -> Row | None:
    scores = {
        name: number / factor
        for column, (name, factor) in GIFT_EVAL_COLUMNS.items()
        if (number := _number(record.get(column), where, column)) is not None
    }
    return Row(str(record["model"]), str(record["dataset"]), scores, {}) if scores else None


def _number(value: Any, where: str, column: str) -> float | None:
    if value is None or value == "" or value != value:
        return None
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: '{column}' is '{str(value)[:60]}', not a number") from error


def _fev_name(metric: str) -> str:
    return metric.removeprefix("fev.") if metric.startswith("fev.") else FEV_METRICS.get(metric, metric)


def _mean(results: Sequence[Result], metric: str) -> float | None:
    values = [result.scores.get(metric, {}).get("regular") for result in results]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _seconds(results: Sequence[Result], stage: str) -> float | None:
    values = [result.cost[stage].seconds for result in results if stage in result.cost]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
