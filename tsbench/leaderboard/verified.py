"""Reads what the check of a submission left beside an accepted Result: how much was computed again."""

from pathlib import Path

from tsbench.contracts import InputError, parse
from tsbench.contracts.commitment import VERIFIED_FILE, Verified
from tsbench.contracts.strict import parse_json

BYTES = 10_000
"""Most that a record holds."""


def verified_at(folder: Path) -> Verified | None:
    """How much of a Result's forecasts was seen; None where no submission was checked.

    Args:
        folder: of the Result.

    Raises:
        InputError: where the record is damaged.
    """
    path = folder / VERIFIED_FILE
    if not path.is_file():
        return None
    if path.stat().st_size > BYTES:
        raise InputError(f"{path} is larger than {BYTES} bytes")
    return parse(Verified, parse_json(path.read_bytes(), path), path)
