"""An entry of a GluonTS data set, checked: one series with its start and features. Imports no GluonTS."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsbench.contracts import InputError

STATIC = ("feat_static_real", "feat_static_cat")
KNOWN = ("feat_dynamic_real", "feat_dynamic_cat")
PAST = ("past_feat_dynamic_real", "past_feat_dynamic_cat")
LEGACY = {"dynamic_feat": "feat_dynamic_real", "cat": "feat_static_cat"}
"""Names in older files → names now."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Entry:
    """One series.

    Attributes:
        item: its name, or None.
        start: time stamp of the first value, datetime64[ns], or None.
        target: float64, NaN where missing, shape (time,), or (channel, time) of a multivariate series.
        features: name of the GluonTS field → float64, shape (feature,) or (feature, time).
    """

    item: str | None
    start: np.datetime64 | None
    target: np.ndarray
    features: Mapping[str, np.ndarray]

    @property
    def steps(self) -> int:
        """Number of values."""
        return self.target.shape[-1]

    @property
    def layout(self) -> tuple[Any, ...]:
        """What all series of a data set have in common."""
        channels = 0 if self.target.ndim == 1 else len(self.target)
        return channels, self.start is None, tuple((name, len(one)) for name, one in self.features.items())


def entry_of(record: Any, where: str) -> Entry:
    """Check an entry as GluonTS has it: a mapping with `target`, and mostly `start` and `item_id`.

    Args:
        record: the mapping; lists, arrays, null and "NaN" as missing values.
        where: file and line, for messages.

    Raises:
        InputError: where there is no target, a value is no number, or a feature has another length.
    """
    if not isinstance(record, Mapping):
        raise InputError(f"{where}: an entry is an object with `target`, not {type(record).__name__}")
    record = {LEGACY.get(name, name): value for name, value in record.items()}
    if record.get("target") is None:
        raise InputError(f"{where}: the entry has no `target`")
    target = _numbers(record["target"], f"{where}: target")
    if target.ndim not in (1, 2) or target.shape[-1] == 0:
        raise InputError(f"{where}: target must be a list of numbers, or one a channel, and not empty")
    features = {}
    for name in (*STATIC, *KNOWN, *PAST):
        if record.get(name) is not None and np.size(record[name]):
            features[name] = _feature(name, record[name], target.shape[-1], f"{where}: {name}")
    item = record.get("item_id")
    return Entry(None if item is None else str(item), _start(record.get("start"), where), target, features)


def _feature(name: str, value: Any, steps: int, where: str) -> np.ndarray:
    found = _numbers(value, where)
    if name in STATIC:
        if found.ndim != 1:
            raise InputError(f"{where}: a static feature is a list of numbers")
    else:
        found = found[None] if found.ndim == 1 else found
        if found.ndim != 2 or found.shape[1] != steps:
            raise InputError(f"{where}: it has {found.shape[-1]} steps, target has {steps}")
    if name.endswith("_cat") and not ((found >= 0) & (found == np.floor(found))).all():
        raise InputError(f"{where}: categories are whole numbers from 0 on")
    return found


def _start(value: Any, where: str) -> np.datetime64 | None:
    if value is None:
        return None
    if isinstance(value, pd.Period):
        value = value.to_timestamp()
    if isinstance(value, str) and not _DATE.match(value):
        raise InputError(f"{where}: start is '{value[:50]}', not a date as 2024-01-31 or 2024-01-31 12:00:00")
    try:
        moment = pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise InputError(f"{where}: start is no time stamp: {str(error)[:100]}") from error
    if moment is pd.NaT or isinstance(value, int | float):
        raise InputError(f"{where}: start is '{value}', not a date as 2024-01-31")
    if moment.tzinfo is not None:
        moment = moment.tz_convert("UTC").tz_localize(None)
    return moment.to_datetime64().astype("datetime64[ns]")


def _numbers(value: Any, where: str) -> np.ndarray:
    """Numbers as float64; None and "NaN" are missing."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        found = value.astype(np.float64)
    else:
        found = _of_lists(value, where)
    if np.isinf(found).any():
        raise InputError(f"{where}: it holds an infinite value")
    return found


def _of_lists(value: Any, where: str) -> np.ndarray:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        raise InputError(f"{where}: '{str(value)[:50]}' is no list of numbers")
    if value and all(isinstance(one, list | tuple | np.ndarray) for one in value):
        rows = [_numbers(one, where) for one in value]
        if any(one.ndim != 1 for one in rows) or len({len(one) for one in rows}) != 1:
            raise InputError(
                f"{where}: its rows have different lengths ({', '.join(str(one.size) for one in rows[:5])})"
            )
        return np.stack(rows)
    for kind in set(map(type, value)) - {float, int, type(None)}:
        for position, one in enumerate(value):
            if type(one) is kind and not _is_number(one):
                raise InputError(f"{where}: value {position + 1} is '{str(one)[:50]}', not a number")
    try:
        return np.array(value, np.float64)
    except (OverflowError, ValueError, TypeError) as error:
        raise InputError(f"{where}: {str(error)[:100]}") from error


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.lower() == "nan"
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
