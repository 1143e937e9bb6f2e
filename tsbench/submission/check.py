"""Checks a submission: files, manifest, schema, recipe; then computes every score again from the forecasts.

What comes from others is untrusted. Nothing is opened before names, kinds and sizes of all files are known,
and the whole runs in a process with limits (`tsbench.submission.confined`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsbench import registry
from tsbench.contracts import InputError, ModelCard, Result, Task, averages, parse
from tsbench.contracts.result import EXAMPLES_FILE, RESULT_FILE, SCORES_FILE, UNITS_FILE
from tsbench.contracts.strict import parse_json
from tsbench.contracts.submission import CARD_FILE, FORECAST_FOLDER, SUBMISSION_FILE, Submission
from tsbench.data.sources import sha256
from tsbench.evaluation.array_check import JSON_LIMIT, check_files
from tsbench.evaluation.record import read_result, read_table
from tsbench.jobs.score import Scored, score_saved

TOLERANCE = 1e-6
"""Largest difference of a score: absolute up to 1, relative above."""
REQUIRED = {RESULT_FILE, SCORES_FILE, UNITS_FILE, CARD_FILE}
PLAIN = {*REQUIRED, EXAMPLES_FILE}
KEYS = ("scenario", "condition", "variable", "level", "region", "lead_time", "metric")
UNIT_KEYS = ("scenario", "condition", "cluster", "unit", "metric")


@dataclass(frozen=True)
class Checked:
    """What was found of a submission that passed.

    Attributes:
        model, task, seed: which Result it is.
        scores: aggregate scores that were computed again.
        rows: rows of both tables that were computed again.
        largest: largest difference found.
        notes: what a reader should know, and what cannot be checked.
    """

    model: str
    task: str
    seed: int
    scores: int
    rows: int
    largest: float
    notes: tuple[str, ...]


def read_manifest(folder: Path) -> Submission:
    """The manifest of a submission, after a look at its directory entries; hashes are not compared yet.

    Raises:
        InputError: for links, too many or too large files, or a manifest that does not follow the schema.
    """
    if not folder.is_dir() or folder.is_symlink():
        raise InputError(f"{folder} is not a folder")
    check_files(folder)
    return parse(Submission, _json(folder / SUBMISSION_FILE), folder / SUBMISSION_FILE)


def check(folder: Path) -> Checked:
    """Check a submission, in this process.

    Raises:
        InputError: with the first thing that is wrong.
    """
    manifest = read_manifest(folder)
    _check_files(folder, manifest)
    result = read_result(folder)
    card = parse(ModelCard, _json(folder / CARD_FILE), folder / CARD_FILE)
    task = _declared(folder, manifest, result, card)
    scored = score_saved(folder / FORECAST_FOLDER, task)
    notes = _check_data(folder, result, scored)
    _check_frame(folder, result, scored, task)
    evaluation = scored.evaluation
    differences = [
        *_aggregates(folder, result.scores, evaluation.scores()),
        *_rows(folder, SCORES_FILE, KEYS, evaluation.score_columns()),
        *_rows(folder, UNITS_FILE, UNIT_KEYS, evaluation.unit_columns()),
    ]
    scores = sum(len(one) for one in result.scores.values())
    largest = max(differences, default=0.0)
    return Checked(
        result.model.name, task.name, result.seed, scores, len(differences) - scores, largest, notes
    )


def _check_files(folder: Path, manifest: Submission) -> None:
    """The files are those of the manifest, with its sizes and hashes, and none is of a kind of its own."""
    told = {one.path: one for one in manifest.files}
    if len(told) < len(manifest.files):
        raise InputError(f"{folder / SUBMISSION_FILE} lists a file twice")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    there.discard(SUBMISSION_FILE)
    for name in sorted(there ^ set(told)):
        where = "is not in the manifest" if name in there else "is in the manifest and not there"
        raise InputError(f"{folder}: {name[:200]} {where}")
    for name in sorted(REQUIRED - there):
        raise InputError(f"{folder} lacks {name}")
    for name in sorted(there - PLAIN):
        if not name.startswith(f"{FORECAST_FOLDER}/"):
            raise InputError(f"{folder}: {name[:200]} does not belong to a submission")
    for name, one in told.items():
        path = folder / name
        if path.stat().st_size != one.size or sha256(path) != one.sha256:
            raise InputError(f"{path} has another size or hash than the manifest says")


def _declared(folder: Path, manifest: Submission, result: Result, card: ModelCard) -> Task:
    """What the parts say of each other, and of the task that is installed here."""
    said = (manifest.model, manifest.task, manifest.seed)
    if said != (result.model.name, result.task.name, result.seed) or card.name != result.model.name:
        raise InputError(f"{folder}: manifest, card and Result are not of the same model, task and seed")
    task = registry.task(result.task.name)
    if result.task.version != task.version or result.task.hash != task.hash:
        raise InputError(
            f"{folder} is of version {result.task.version} of {task.name} ({result.task.hash}); here is "
            f"version {task.version} ({task.hash})"
        )
    if result.parity:
        raise InputError(f"{folder} is a parity run ({', '.join(result.parity)[:200]}): it is not ranked")
    if result.primary != task.primary:
        raise InputError(f"{folder}: the primary metric is '{result.primary[:80]}', not '{task.primary}'")
    return task


def _check_data(folder: Path, result: Result, scored: Scored) -> tuple[str, ...]:
    """Recipes must be those of the stores here; other values of the same recipe are worth a note."""
    notes = []
    used = {scenario.dataset for scenario in scored.saved.scenarios}
    for name in sorted(used):
        opened, recipe = scored.data[name], result.task.recipe.get(name)
        if recipe != opened.recipe:
            raise InputError(f"{folder} was made on {name} of recipe {recipe}; here it is {opened.recipe}")
        if result.task.content.get(name) != opened.content:
            notes.append(f"{name} has other values here, of the same recipe: processors differ in rounding")
    notes.append("that test targets were unseen, cost and settings are the maker's word")
    return tuple(notes)


def _check_frame(folder: Path, result: Result, scored: Scored, task: Task) -> None:
    """What was evaluated: scenarios, cases, kind of forecast."""
    counts = {name: len(keys) for name, keys in averages(scored.saved.scenarios).items()}
    for what, said, found in (
        ("model of the forecasts", result.model.name, scored.saved.model),
        ("kind of the forecasts", result.forecast_kind, scored.saved.kind),
        ("number of scenarios", result.scenarios, counts),
        ("number of cases", result.cases, scored.evaluation.cases),
    ):
        if said != found:
            raise InputError(f"{folder}: the {what} is {found}, and {str(said)[:200]} in the Result")
    known = {scenario.key for scenario in task.scenarios()}
    if set(result.skipped) - known:
        raise InputError(f"{folder}: the Result names scenarios that {task.name} does not have")


def _aggregates(
    folder: Path,
    said: Mapping[str, Mapping[str, float | None]],
    found: Mapping[str, Mapping[str, float | None]],
) -> list[float]:
    flat_said = {(metric, name): value for metric, one in said.items() for name, value in one.items()}
    flat_found = {(metric, name): value for metric, one in found.items() for name, value in one.items()}
    if flat_said.keys() != flat_found.keys():
        odd = min(flat_said.keys() ^ flat_found.keys())
        raise InputError(f"{folder}: {odd[0][:80]} under {odd[1][:80]} is not a score of both sides")
    return [
        _difference(folder, f"{key[0]} under {key[1]}", value, flat_found[key])
        for key, value in flat_said.items()
    ]


def _rows(folder: Path, name: str, keys: Sequence[str], columns: Mapping[str, Sequence[Any]]) -> list[float]:
    """Every row of a table against the one that was computed: its weight, and its mean."""
    table = read_table(folder, name)
    said = _statistics({column: list(table[column]) for column in table.columns}, keys)
    found = _statistics(columns, keys)
    if len(table) != len(said) or said.keys() != found.keys():
        raise InputError(f"{folder / name} has other rows than the forecasts give")
    differences = []
    for key, (numerator, denominator) in said.items():
        other, weight = found[key]
        where = f"{name}, {', '.join(str(part) for part in key if part is not None)[:200]}"
        _difference(folder, f"weight in {where}", _scaled(denominator, weight), _scaled(weight, weight))
        differences.append(_difference(folder, where, _mean(numerator, denominator), _mean(other, weight)))
    return differences


def _statistics(
    columns: Mapping[str, Sequence[Any]], keys: Sequence[str]
) -> dict[tuple[str | None, ...], tuple[float, float]]:
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


def _difference(folder: Path, what: str, said: float | None, found: float | None) -> float:
    """How far two values are apart; refuses more than `TOLERANCE`, also of what is no number."""
    if said is None and found is None:
        return 0.0
    if said is None or found is None:
        raise InputError(f"{folder}: {what} is {said} in the Result; the forecasts give {found}")
    apart = abs(said - found) / max(1.0, abs(found))
    if not apart <= TOLERANCE:
        raise InputError(f"{folder}: {what} is {said:.9g} in the Result; the forecasts give {found:.9g}")
    return apart


def _json(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path.parent} lacks {path.name}")
    if path.stat().st_size > JSON_LIMIT:
        raise InputError(f"{path} is larger than {JSON_LIMIT} bytes")
    return parse_json(path.read_bytes(), path)
