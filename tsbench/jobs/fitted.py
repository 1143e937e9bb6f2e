"""The record of a finished fit (fit.json): its presence marks the weights beside it as final."""

import json
from pathlib import Path
from typing import Any

from tsbench import atomic
from tsbench.contracts import InputError

FIT, WEIGHTS = "fit.json", "weights.safetensors"
LAST, TOGETHER = "last.ckpt", "together.ckpt"
"""State of an unfinished fit: of one seed by itself, of several together in the folder of one of them."""


def read_fit(folder: Path) -> dict[str, Any]:
    """The record of the finished fit in a run folder; empty where there is none.

    Raises:
        InputError: where the record is damaged.
    """
    path = folder / FIT
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_bytes())
        if not isinstance(record, dict):
            raise ValueError("it holds no object")
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {str(error)[:300]}; start over with --fresh") from error
    return record


def write_fit(folder: Path, record: dict[str, Any]) -> None:
    """Mark the fit in a run folder as finished."""
    atomic.write_text(folder / FIT, json.dumps(record, indent=1))
