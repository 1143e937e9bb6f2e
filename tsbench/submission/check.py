"""Checks a submission: files, manifest, schema, recipe; then computes every score again from the forecasts.

What comes from others is untrusted. Nothing is opened before names, kinds and sizes of all files are known,
and the whole runs in a process with limits (`tsbench.submission.confined`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsbench import registry
from tsbench.contracts import InputError, ModelCard, Result, Task, averages, parse
from tsbench.contracts.commitment import COMMITMENT_FILE, Verified
from tsbench.contracts.result import EXAMPLES_FILE, RESULT_FILE, SCORES_FILE, UNITS_FILE
from tsbench.contracts.strict import parse_json
from tsbench.contracts.submission import CARD_FILE, FORECAST_FOLDER, SUBMISSION_FILE, Submission
from tsbench.data.sources import sha256
from tsbench.evaluation.array_check import BYTE_LIMIT, JSON_LIMIT, check_files
from tsbench.evaluation.record import read_result
from tsbench.jobs.score import Scored, score_saved

from .compare import aggregates, rows

REQUIRED = {RESULT_FILE, SCORES_FILE, UNITS_FILE, CARD_FILE}
PLAIN = {*REQUIRED, EXAMPLES_FILE, COMMITMENT_FILE}


@dataclass(frozen=True)
class Checked:
    """What was found of a submission that passed.

    Attributes:
        model, task, seed: which Result it is.
        scores: aggregate scores that were computed again.
        rows: rows of both tables that were computed again.
        largest: largest difference found.
        notes: what a reader should know, and what cannot be checked.
        verified: how much of the forecasts was seen.
    """

    model: str
    task: str
    seed: int
    scores: int
    rows: int
    largest: float
    notes: tuple[str, ...]
    verified: Verified


def read_manifest(folder: Path) -> Submission:
    """The manifest of a submission, after a look at its directory entries; hashes are not compared yet.

    Raises:
        InputError: for links, too many or too large files, or a manifest that does not follow the schema.
    """
    if not folder.is_dir() or folder.is_symlink():
        raise InputError(f"{folder} is not a folder")
    check_files(folder)
    return parse(Submission, _json(folder / SUBMISSION_FILE), folder / SUBMISSION_FILE)


def check(folder: Path, challenge: str = "", limit: int = BYTE_LIMIT) -> Checked:
    """Check a submission, in this process.

    Args:
        folder: of the submission.
        challenge: decides with the manifest which part of large forecasts is looked at; the checker makes it
            up when the manifest is fixed.
        limit: bytes of forecasts that are looked at, where the submission holds hashes of larger ones.

    Raises:
        InputError: with the first thing that is wrong.
    """
    manifest = read_manifest(folder)
    if (folder / COMMITMENT_FILE).is_file():
        from .partial import check_part

        return check_part(folder, manifest, challenge, limit)
    if challenge:
        raise InputError(f"{folder} holds its forecasts whole; a challenge belongs to hashes of larger ones")
    check_listed(folder, manifest)
    result, task = read_parts(folder, manifest)
    scored = score_saved(folder / FORECAST_FOLDER, task)
    notes = check_data(folder, result, scored)
    check_frame(folder, result, scored, task)
    evaluation = scored.evaluation
    differences = [
        *aggregates(folder, result.scores, evaluation.scores()),
        *rows(folder, SCORES_FILE, evaluation.score_columns()),
        *rows(folder, UNITS_FILE, evaluation.unit_columns()),
    ]
    scores = sum(len(one) for one in result.scores.values())
    units = sum(len(tally.unit_columns()["unit"]) for tally in evaluation.tallies)
    size = sum(one.size for one in manifest.files if one.path.startswith(f"{FORECAST_FOLDER}/"))
    return Checked(
        result.model.name,
        task.name,
        result.seed,
        scores,
        len(differences) - scores,
        max(differences, default=0.0),
        notes,
        Verified(
            manifest=sha256(folder / SUBMISSION_FILE),
            units=units,
            units_in_all=units,
            bytes=size,
            bytes_in_all=size,
        ),
    )


def read_parts(folder: Path, manifest: Submission) -> tuple[Result, Task]:
    """The record of a submission, and the task that it answers.

    Raises:
        InputError: where manifest, card, record and task do not fit each other.
    """
    result = read_result(folder)
    card = parse(ModelCard, _json(folder / CARD_FILE), folder / CARD_FILE)
    return result, _declared(folder, manifest, result, card)


def check_listed(folder: Path, manifest: Submission, chunks: frozenset[str] = frozenset()) -> None:
    """The files are those of the manifest, with its sizes and hashes, and none is of a kind of its own.

    Args:
        folder: of the submission.
        manifest: its manifest.
        chunks: files that came after the manifest, whose hashes are looked at elsewhere.
    """
    told = {one.path: one for one in manifest.files}
    if len(told) < len(manifest.files):
        raise InputError(f"{folder / SUBMISSION_FILE} lists a file twice")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    there -= {SUBMISSION_FILE, *chunks}
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


def check_data(folder: Path, result: Result, scored: Scored) -> tuple[str, ...]:
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


def check_frame(folder: Path, result: Result, scored: Scored, task: Task) -> None:
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


def _json(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path.parent} lacks {path.name}")
    if path.stat().st_size > JSON_LIMIT:
        raise InputError(f"{path} is larger than {JSON_LIMIT} bytes")
    return parse_json(path.read_bytes(), path)
