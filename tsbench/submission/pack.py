"""Packs a Result for submission: the record and its tables, the forecasts, the card, and a manifest.

Forecasts that are too large to hand in are packed as hashes, with the metadata of their arrays; when the
checker has given a challenge, `answer` adds the part that belongs to it.
"""

import re
import shutil
from pathlib import Path

from tsbench import atomic, registry
from tsbench.contracts import InputError, ModelCard, Result, parse
from tsbench.contracts.commitment import CHALLENGE, COMMITMENT_FILE
from tsbench.contracts.result import EXAMPLES_FILE, RESULT_FILE, SCORES_FILE, UNITS_FILE
from tsbench.contracts.submission import (
    CARD_FILE,
    FORECAST_FOLDER,
    NAME,
    SUBMISSION_FILE,
    Submission,
    SubmittedFile,
)
from tsbench.data.sources import sha256
from tsbench.evaluation.array_check import BYTE_LIMIT, FILE_LIMIT, JSON_LIMIT, check_files
from tsbench.evaluation.record import read_result

from .commitment import CHUNKS, commit, row_of, rows_there

TABLES = (RESULT_FILE, SCORES_FILE, UNITS_FILE)
FOLDER = "submissions"


def pack(
    result_folder: Path,
    *,
    forecast: Path | None = None,
    card: Path | None = None,
    out: Path | None = None,
    limit: int = BYTE_LIMIT,
) -> Path:
    """Pack a Result.

    Args:
        result_folder: of the Result.
        forecast: the Zarr directory that it was computed from; by default the one that `--save-forecasts`
            left in the run folder around it.
        card: card.yaml of a model that is not installed here.
        out: folder to write, which must not exist; by default submissions/TASK/MODEL/seed-N.
        limit: bytes up to which forecasts are handed in whole; of larger ones their hashes are.

    Returns:
        The folder.

    Raises:
        InputError: for a folder that is no Result, one that is not ranked, or where forecasts or card are
            missing, or the whole is too large.
    """
    result = read_result(result_folder)
    if result.parity:
        raise InputError(f"{result_folder} is a parity run ({', '.join(result.parity)}): it is not ranked")
    if not re.fullmatch(NAME, result.model.name):
        raise InputError(
            f"The model's name '{result.model.name[:80]}' is not one of letters, digits, '_', '.', '-'"
        )
    source = forecast or result_folder.parent / FORECAST_FOLDER
    if not source.is_dir():
        raise InputError(
            f"{source} is not there. Keep the forecasts with: {result.provenance.command} --save-forecasts; "
            "or name them with --forecast"
        )
    large = sum(path.stat().st_size for path in source.rglob("*") if path.is_file()) > limit
    if not large:
        check_files(source)
    declared = _card(result, card)
    target = out or Path(FOLDER, result.task.name, result.model.name, f"seed-{result.seed}")
    if target.exists() or target.is_symlink():
        raise InputError(f"{target} exists; choose another folder with --out")
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic.new_folder(target) as folder:
        for name in (*TABLES, EXAMPLES_FILE):
            if (result_folder / name).is_file():
                shutil.copyfile(result_folder / name, folder / name)
        (folder / CARD_FILE).write_text(declared.model_dump_json(indent=1) + "\n", encoding="utf-8")
        if large:
            _write_hashes(source, folder)
        else:
            shutil.copytree(source, folder / FORECAST_FOLDER)
        submission = Submission(
            model=result.model.name, task=result.task.name, seed=result.seed, files=listed(folder)
        )
        text = submission.model_dump_json(indent=1) + "\n"
        (folder / SUBMISSION_FILE).write_text(text, encoding="utf-8")
        _check_size(folder)
    return target


def answer(folder: Path, forecast: Path, challenge: str, limit: int = BYTE_LIMIT) -> int:
    """Add to a submission with hashes the part of the forecasts that belongs to a challenge.

    Args:
        folder: of one's own submission; chunks of an earlier challenge are removed.
        forecast: the Zarr directory that the hashes were taken of.
        challenge: from the checker.
        limit: as the checker has it.

    Returns:
        Bytes that were added.

    Raises:
        InputError: where the submission has no hashes, or the forecast has changed since they were taken.
    """
    from .check import read_manifest
    from .partial import open_committed

    if not re.fullmatch(CHALLENGE, challenge):
        raise InputError("A challenge is a text of 8 to 64 letters, digits, '.', '_' and '-'")
    if not (folder / COMMITMENT_FILE).is_file():
        raise InputError(f"{folder} holds no {COMMITMENT_FILE}: its forecasts are there whole")
    if not forecast.is_dir():
        raise InputError(f"{forecast} is not there; name the forecasts with --forecast")
    opened = open_committed(folder, registry.task(read_manifest(folder).task))
    drawn = opened.drawn(folder, challenge, limit)
    for array in opened.commitment.arrays:
        source, target = forecast / array.name, folder / FORECAST_FOLDER / array.name
        for row in drawn.rows[array.name]:
            if row_of(source, row) != (array.sizes[row], array.hashes[row]):
                raise InputError(f"{source}: row {row} is not what was hashed; pack the Result again")
        for old in rows_there(target):
            shutil.rmtree(target / CHUNKS / old)
        for row in drawn.rows[array.name]:
            shutil.copytree(source / CHUNKS / str(row), target / CHUNKS / str(row))
    return drawn.size


def listed(folder: Path) -> tuple[SubmittedFile, ...]:
    """Every file of a submission but its manifest, with size and hash, sorted by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in paths]
    return tuple(
        SubmittedFile(path=name, size=path.stat().st_size, sha256=sha256(path))
        for name, path in sorted(zip(names, paths, strict=True))
        if name != SUBMISSION_FILE
    )


def _card(result: Result, given: Path | None) -> ModelCard:
    if given is not None:
        if not given.is_file():
            raise InputError(f"There is no file {given}")
        card = parse(ModelCard, registry.read_yaml(given), given)
    elif result.model.name in registry.models():
        card = registry.model(result.model.name)
    else:
        raise InputError(f"{result.model.name} is not installed here; name its card.yaml with --card")
    if card.name != result.model.name:
        raise InputError(f"The card is of {card.name}, the Result of {result.model.name}")
    return card


def _write_hashes(source: Path, folder: Path) -> None:
    """Hashes of the forecasts, and their metadata: what is there before a part is drawn."""
    text = commit(source).model_dump_json() + "\n"
    if len(text) > JSON_LIMIT:
        raise InputError(f"{source} has so many chunks that their hashes take more than {JSON_LIMIT} bytes")
    (folder / COMMITMENT_FILE).write_text(text, encoding="utf-8")
    for path in [source / "zarr.json", *source.glob("*/zarr.json")]:
        place = folder / FORECAST_FOLDER / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _check_size(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    if len(files) > FILE_LIMIT or size > BYTE_LIMIT:
        raise InputError(
            f"The submission holds {len(files)} files and {size / 1e9:.2f} GB; {FILE_LIMIT} files and "
            f"{BYTE_LIMIT / 1e9:g} GB are checked"
        )
