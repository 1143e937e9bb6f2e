"""The record of a finished fit (fit.json): its presence marks the weights beside it as final."""

import json
from pathlib import Path
from typing import Any

from tsbench import atomic
from tsbench.contracts import InputError

FIT, WEIGHTS = "fit.json", "weights.safetensors"


def read_fit(folder: Path) -> dict[str, Any]:
    """The record of the finished fit in a run folder; empty where there is none.

    Raises:
        InputError: where the record is damaged.
    """
    path = folder / FIT
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}; start over with --fresh") from error


def write_fit(folder: Path, record: dict[str, Any]) -> None:
    """Mark the fit in a run folder as finished."""
    atomic.write_text(folder / FIT, json.dumps(record, indent=1))
