"""Time steps as GluonTS names them (pandas frequencies, `h`, `15min`, `W`) and as stores do (ISO 8601)."""

import re

from tsbench.contracts import InputError

_FREQUENCY = re.compile(r"(\d*)([A-Za-z]+)(-[A-Za-z]{3})?")
_DURATION = re.compile(r"P(T?)(\d+)([YMWDHS])")
_LONGER = {"T": "T", "MIN": "T", "H": "H", "S": "S", "D": "D", "W": "W"}
"""Frequency in capitals → letter of the duration; minutes are kept apart from months."""
_MONTHS = {"M": 1, "ME": 1, "MS": 1, "Q": 3, "QE": 3, "QS": 3, "A": 12, "AS": 12, "Y": 12, "YE": 12, "YS": 12}
UNKNOWN = "h"
"""Frequency of the stamps that stand in where data have no calendar."""


def frequency_of(step: str | None) -> str:
    """The pandas frequency of an ISO 8601 duration; of data without a calendar the one of stand-in stamps.

    Raises:
        InputError: for a duration of several parts, or of a fraction of a second.

    Example:
        >>> [frequency_of(step) for step in ("PT1H", "PT15M", "P3M", "P1W", None)]
        ['h', '15min', '3M', 'W', 'h']
    """
    if step is None:
        return UNKNOWN
    found = _DURATION.fullmatch(step)
    if found is None:
        raise InputError(f"GluonTS has no frequency for the step {step}")
    within_day, count, letter = found[1] == "T", int(found[2]), found[3]
    name = {"H": "h", "M": "min", "S": "s"}[letter] if within_day else letter
    return name if count == 1 else f"{count}{name}"


def step_of(frequency: str) -> str | None:
    """The ISO 8601 duration of a pandas frequency; None for steps of different length, such as working days.

    Raises:
        InputError: for what is no frequency.

    Example:
        >>> [step_of(one) for one in ("H", "15min", "W-SUN", "QS", "2D", "B")]
        ['PT1H', 'PT15M', 'P1W', 'P3M', 'P2D', None]
    """
    found = _FREQUENCY.fullmatch(frequency)
    name = found[2].upper() if found else ""
    count = int(found[1] or 1) if found else 0
    if name in ("B", "C") and count:
        return None
    if name in _LONGER and count:
        letter = _LONGER[name]
        return f"PT{count}{letter.replace('T', 'M')}" if letter in "THS" else f"P{count}{letter}"
    if name in _MONTHS and count:
        months = count * _MONTHS[name]
        return f"P{months // 12}Y" if months % 12 == 0 else f"P{months}M"
    raise InputError(
        f"'{frequency[:50]}' is no frequency; there are s, min, h, D, B, W, M, Q and Y, with a factor"
    )
