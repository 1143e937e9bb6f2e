"""How numbers, names and commands are written on the pages: sensible precision, safe file names."""

import hashlib
import math
import re
import shlex
from collections.abc import Iterable

from tsbench.leaderboard.collect import Stored

NOTHING = "–"
MINUS = "−"
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
PREFIXES = ("", "k", "M", "G", "T", "P", "E")


def number(value: float | None, digits: int = 4) -> str:
    """A number with so many significant digits: 0.3958, 1.294, 12.3 × 10⁶ is written 1.230 × 10⁷."""
    if value is None or math.isnan(value):
        return NOTHING
    if value != 0 and not 1e-4 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{_minus(mantissa)} × 10{str(int(exponent)).translate(SUPERSCRIPT)}"
    before = 1 if value == 0 else max(1, math.floor(math.log10(abs(value))) + 1)
    leading = 0 if value == 0 or abs(value) >= 1 else -math.floor(math.log10(abs(value))) - 1
    return _minus(f"{value:.{max(0, digits - before + leading + (abs(value) < 1))}f}") if value else "0"


def fixed(value: float | None, digits: int) -> str:
    """A number with so many digits after the point."""
    if value is None or math.isnan(value):
        return NOTHING
    return _minus(f"{value:.{digits}f}")


def percent(value: float | None, digits: int = 1, sign: bool = False) -> str:
    """A share in per cent."""
    if value is None or math.isnan(value):
        return NOTHING
    return _minus(f"{100 * value:{'+' if sign else ''}.{digits}f}") + " %"


def drop(value: float | None) -> str:
    """A mean log ratio as the relative change of the error: 0.0953 is +10.0 %."""
    return percent(None if value is None else math.expm1(value), 1, sign=True)


def count(value: float | None) -> str:
    """A whole number with thousands set apart."""
    return NOTHING if value is None or math.isnan(value) else f"{round(value):,}".replace(",", "\u202f")


def prefixed(value: float | None, unit: str) -> str:
    """A large quantity with an SI prefix: 1.23 Gflop."""
    if value is None or math.isnan(value):
        return NOTHING
    power = 0 if value < 1 else min(int(math.log10(value) // 3), len(PREFIXES) - 1)
    return f"{_three(value / 1000**power)}\u202f{PREFIXES[power]}{unit}"


def duration(seconds: float | None) -> str:
    """Seconds in the unit that suits them."""
    if seconds is None or math.isnan(seconds):
        return NOTHING
    for size, unit in ((3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms")):
        if seconds >= size * (2 if size > 1 else 1):
            return f"{_three(seconds / size)}\u202f{unit}"
    return f"{_three(seconds * 1e3)}\u202fms"


def slug(name: str) -> str:
    """A file name for a model, task or suite; names that need changing get a hash, so that none collide."""
    if re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,80}", name):
        return name
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
    return f"{plain or 'name'}-{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}"


def commands(stored: Iterable[Stored]) -> list[str]:
    """The commands that make some Results again, each once, in the order of the seeds."""
    return list(dict.fromkeys(one.result.provenance.command or _run(one) for one in stored))


def verified(stored: Iterable[Stored]) -> str:
    """How much of submitted forecasts was computed again: of several the least; empty where there is none."""
    shares = [one.verified.units / one.verified.units_in_all for one in stored if one.verified is not None]
    if not shares:
        return ""
    return "recomputed" if min(shares) == 1 else f"{percent(min(shares))} of it recomputed"


def _run(stored: Stored) -> str:
    result = stored.result
    return shlex.join(["tsbench", "run", result.model.name, result.task.name, "--seed", str(result.seed)])


def _three(value: float) -> str:
    """Three significant digits without a trailing point."""
    if value == 0:
        return "0"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def _minus(text: str) -> str:
    return text.replace("-", MINUS)
