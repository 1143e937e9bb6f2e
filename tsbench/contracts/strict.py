"""The base of every declared type: unknown keys are refused, and a wrong file is named with its key."""

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import InputError

StrictT = TypeVar("StrictT", bound="Strict")


class Strict(BaseModel):
    """A frozen pydantic model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(kind: type[StrictT], data: Any, where: Path | str) -> StrictT:
    """Validate `data` as `kind`.

    Raises:
        InputError: with the file, the key and the reason of the first mistake, in one line.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "(top level)"
        raise InputError(f"{where}: {key}: {first['msg']}") from error


def canonical_hash(data: Any) -> str:
    """Hash of JSON-like data, independent of key order: 16 hexadecimal digits."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
