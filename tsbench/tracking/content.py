"""What of a Result goes to MLflow, as plain dictionaries that keep to MLflow's limits. Imports no MLflow.

A Result may come from elsewhere: names that MLflow refuses are rewritten, long values are cut with a note,
and what is null in the Result is absent, never 0.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tsbench.contracts import Result, StageCost, canonical_hash

RESULT_TAG = "tsbench.result"
"""Tag that holds the Result's content hash: by it a Result is found again."""

LONGEST_NAME, LONGEST_VALUE, LONGEST_DATASET, LONGEST_DIGEST = 250, 6000, 500, 36


def result_hash(result: Result) -> str:
    """Hash of the whole record; a repetition differs in its moment and cost, so it is logged as well."""
    return canonical_hash(result.model_dump(mode="json"))


def run_name(result: Result) -> str:
    """Name of the run in MLflow's table."""
    return clean_value(f"{result.model.name} {result.task.name} seed {result.seed}")[:LONGEST_NAME]


def params(result: Result) -> dict[str, str]:
    """Everything that was chosen."""
    model, task, track = result.model, result.task, result.track
    chosen: dict[str, Any] = {
        "model": model.name,
        "model_version": model.version,
        "task": task.name,
        "task_version": task.version,
        "dataset": task.dataset,
        "seed": result.seed,
        "context": "unknown" if track.context is None else track.context,
        "tuning": track.tuning,
        "learning": track.learning,
        "forecast_kind": result.forecast_kind,
        "primary": result.primary,
    }
    chosen |= {clean_name("hyperparameters", name): value for name, value in model.hyperparameters.items()}
    chosen |= {clean_name("training", name): value for name, value in model.training.items()}
    return {name: clean_value(value) for name, value in chosen.items()}


def metrics(result: Result) -> dict[str, float]:
    """Aggregate scores as `<metric>/<condition>`, cost as `cost/<stage>/<what>`, the host's as `system/…`."""
    found: dict[str, float | None] = {"cost/parameters": result.model.parameters, "cases": result.cases}
    for metric, by_condition in result.scores.items():
        found |= {clean_name(metric, condition): value for condition, value in by_condition.items()}
    for stage, cost in result.cost.items():
        numbers = cost.model_dump(exclude={"detail"}) | cost.detail
        found |= {clean_name("cost", stage, what): value for what, value in numbers.items()}
        found |= _system(stage, cost)
    found["system/threads"] = result.provenance.threads
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}


def _system(stage: str, cost: StageCost) -> dict[str, float | None]:
    """What MLflow shows under "System metrics": names that begin with `system/`.

    They are what the run measured itself: a thread that samples beside the training slows it down.
    """
    peak = cost.peak_memory_bytes
    return {
        clean_name("system", stage, "seconds"): cost.seconds,
        clean_name("system", stage, "peak_memory_megabytes"): None if peak is None else peak / 1e6,
        clean_name("system", stage, "energy_joules"): cost.energy_joules,
    }


def history(epochs: Sequence[Mapping[str, float]]) -> Iterator[tuple[str, float, int]]:
    """Name, value and step of each number of a training history."""
    for number, record in enumerate(epochs, start=1):
        step = int(record.get("epoch", number))
        for name, value in record.items():
            if name != "epoch" and value is not None and math.isfinite(value):
                yield clean_name("history", name), float(value), step


def tags(result: Result) -> dict[str, str]:
    """Where the Result comes from, and its hash."""
    made = result.provenance
    found = {
        RESULT_TAG: result_hash(result),
        "tsbench.code": made.code,
        "tsbench.host": made.host,
        "tsbench.command": made.command,
        "tsbench.entry": result.entry,
        "tsbench.weights": result.model.weights or "",
        "tsbench.parity": clean_value(result.parity) if result.parity else "none",
        "tsbench.deterministic": str(made.deterministic).lower(),
    }
    return {name: clean_value(value) for name, value in found.items() if value}


def inputs(result: Result) -> list[dict[str, str]]:
    """Data sets that were read: name, digest, source and use (`training`, `evaluation` or both)."""
    trained = {part.dataset for part in result.trained_on}
    found = []
    for name, recipe in result.task.recipe.items():
        content = result.task.content.get(name, "")
        uses = [use for use, applies in (("training", name in trained), ("evaluation", True)) if applies]
        found.append(
            {
                "name": clean_value(name)[:LONGEST_DATASET],
                "digest": clean_value(f"{recipe}/{content}".rstrip("/"))[:LONGEST_DIGEST],
                "source": json.dumps({"dataset": name, "recipe": recipe, "content": content}),
                "use": ",".join(uses),
            }
        )
    return found


def moment(result: Result) -> int:
    """When the Result was made, in milliseconds since 1970; now, where it does not say so legibly."""
    try:
        made = datetime.fromisoformat(result.provenance.created)
    except ValueError:
        made = datetime.now(UTC)
    return int(made.timestamp() * 1000)


def now() -> int:
    """The present moment in milliseconds since 1970."""
    return int(datetime.now(UTC).timestamp() * 1000)


def duration(result: Result) -> int:
    """Milliseconds that all stages took, as far as they are known."""
    return int(1000 * sum(cost.seconds or 0.0 for cost in result.cost.values()))


def clean_name(*parts: str) -> str:
    """A name of a metric or parameter that every MLflow server takes; a changed one gets a hash."""
    cleaned = [re.sub(r"[^A-Za-z0-9_.\- ]", "_", part).strip() for part in parts]
    cleaned = [part if part.strip(".") else "_" * max(len(part), 1) for part in cleaned]
    name = "/".join(cleaned)
    if tuple(cleaned) == parts and len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 10]}-{canonical_hash(parts)[:8]}"


def clean_value(value: Any) -> str:
    """Text of a value, cut to what MLflow takes; numbers and structures as JSON."""
    text = (
        value
        if isinstance(value, str)
        else json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    )
    text = text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) <= LONGEST_VALUE:
        return text
    rest = f"… ({len(text)} characters; the whole is in result/result.json)"
    return text[: LONGEST_VALUE - len(rest)] + rest
