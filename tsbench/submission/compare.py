"""Compares what a submission says with what was computed: aggregates, and rows of both tables."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tsbench.contracts import InputError
from tsbench.contracts.result import SCORES_FILE, UNITS_FILE
from tsbench.evaluation.record import read_table

TOLERANCE = 1e-6
"""Largest difference of a score: absolute up to 1, relative above."""
KEYS = {
    SCORES_FILE: ("scenario", "condition", "variable", "level", "region", "lead_time", "metric"),
    UNITS_FILE: ("scenario", "condition", "cluster", "unit", "metric"),
}
FORECASTS = "the forecasts give"
Key = tuple[str | None, ...]
Columns = Mapping[str, Sequence[Any]]


def aggregates(
    folder: Path,
    said: Mapping[str, Mapping[str, float | None]],
    found: Mapping[str, Mapping[str, float | None]],
    by: str = FORECASTS,
) -> list[float]:
    """Every aggregate score against the one that was computed.

    Raises:
        InputError: for a score that one of both lacks, or that differs.
    """
    flat_said = {(metric, name): value for metric, one in said.items() for name, value in one.items()}
    flat_found = {(metric, name): value for metric, one in found.items() for name, value in one.items()}
    if flat_said.keys() != flat_found.keys():
        odd = min(flat_said.keys() ^ flat_found.keys())
        raise InputError(f"{folder}: {odd[0][:80]} under {odd[1][:80]} is not a score of both sides")
    return [
        difference(folder, f"{key[0]} under {key[1]}", value, flat_found[key], by)
        for key, value in flat_said.items()
    ]


def rows(
    folder: Path, name: str, columns: Columns, only: Callable[[Key], bool] = lambda key: True
) -> list[float]:
    """Every row of a table against the one that was computed: its weight, and its mean.

    Args:
        folder: of the submission.
        name: of the table.
        columns: of the table that was computed.
        only: which rows of both are compared, by their keys (`KEYS`).

    Raises:
        InputError: for a row that one of both lacks, or that differs.
    """
    said = told_rows(folder, name)
    found = _statistics(columns, KEYS[name])
    said, found = ({key: one for key, one in table.items() if only(key)} for table in (said, found))
    if said.keys() != found.keys():
        raise InputError(f"{folder / name} has other rows than the forecasts give")
    differences = []
    for key, (numerator, denominator) in said.items():
        other, weight = found[key]
        where = f"{name}, {', '.join(str(part) for part in key if part is not None)[:200]}"
        difference(folder, f"weight in {where}", _scaled(denominator, weight), _scaled(weight, weight))
        differences.append(difference(folder, where, _mean(numerator, denominator), _mean(other, weight)))
    return differences


def told_rows(folder: Path, name: str) -> dict[Key, tuple[float, float]]:
    """Rows of a table of a submission, by their keys: numerator and denominator.

    Raises:
        InputError: where a row is there twice.
    """
    table = read_table(folder, name)
    said = _statistics({column: list(table[column]) for column in table.columns}, KEYS[name])
    if len(table) != len(said):
        raise InputError(f"{folder / name} has other rows than the forecasts give")
    return said


def _statistics(columns: Columns, keys: Sequence[str]) -> dict[Key, tuple[float, float]]:
    named = zip(*(map(_text, columns[key]) for key in keys), strict=True)
    sums = zip(columns["numerator"], columns["denominator"], strict=True)
    return {key: (float(one), float(other)) for key, (one, other) in zip(named, sums, strict=True)}


def _text(value: Any) -> str | None:
    """A key of a row, alike from a table and from Python: numbers without a point where they are whole."""
    if value is None or value != value:
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _mean(numerator: float, denominator: float) -> float | None:
    """Null where there is no weight, or the sum itself is no number."""
    if denominator == 0 or not math.isfinite(numerator):
        return None
    return numerator / denominator


def _scaled(value: float, weight: float) -> float:
    return value / weight if weight else value


def difference(
    folder: Path, what: str, said: float | None, found: float | None, by: str = FORECASTS
) -> float:
    """How far two values are apart; refuses more than `TOLERANCE`, also of what is no number."""
    if said is None and found is None:
        return 0.0
    if said is None or found is None:
        raise InputError(f"{folder}: {what} is {said} in the Result; {by} {found}")
    apart = abs(said - found) / max(1.0, abs(found))
    if not apart <= TOLERANCE:
        raise InputError(f"{folder}: {what} is {said:.9g} in the Result; {by} {found:.9g}")
    return apart
