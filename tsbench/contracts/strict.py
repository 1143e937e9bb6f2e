"""The base of every declared type: unknown keys are refused, and a wrong file is named with its key."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import InputError

StrictT = TypeVar("StrictT", bound="Strict")

LONGEST_KEY, LONGEST_REASON = 100, 300
"""What a message repeats of a file from others."""


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
        key = ".".join(str(part) for part in first["loc"])[:LONGEST_KEY] or "(top level)"
        raise InputError(f"{where}: {key}: {first['msg'][:LONGEST_REASON]}") from error
    except RecursionError as error:
        raise InputError(f"{where}: it is nested too deeply") from error


def parse_json(text: bytes, where: Path | str) -> Any:
    """Read JSON that may come from others: UTF-8, each key once, no NaN and no number beyond a float.

    Raises:
        InputError: with the reason, in one line.
    """
    try:
        return json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_each_key_once,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        # An integer of thousands of digits and a wrong encoding are ValueErrors too.
        raise InputError(f"{where} is not JSON: {str(error)[:LONGEST_REASON]}") from error


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"the key '{twice[:LONGEST_KEY]}' is there twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:LONGEST_KEY]} is no finite number")
    return number


def canonical_hash(data: Any) -> str:
    """Hash of JSON-like data, independent of key order: 16 hexadecimal digits."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
