"""Time steps: finding the step of a time axis, naming it in ISO 8601, finding where the axis breaks it."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

_MONTHS = {"P1M": 1, "P3M": 3, "P6M": 6, "P1Y": 12}
_UNITS = (("W", 604800), ("D", 86400), ("H", 3600), ("M", 60), ("S", 1))
_DURATION = re.compile(
    r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?"
)
_PERIODS = {
    "PT1M": 1440, "PT5M": 288, "PT10M": 144, "PT15M": 96, "PT20M": 72, "PT30M": 48, "PT1H": 24, "PT2H": 12,
    "PT3H": 8, "PT4H": 6, "PT6H": 4, "PT12H": 2, "P1D": 7, "P1W": 52, "P1M": 12, "P3M": 4, "P6M": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Irregular:
    """A place where a time axis does not go on by one step.

    Attributes:
        row: index of the later of the two rows.
        kind: `unsorted` (goes back), `repeated` (stands still) or `gap` (anything else).
        text: the irregularity in words, with the stamp.
    """

    row: int
    kind: Literal["unsorted", "repeated", "gap"]
    text: str


def infer_step(time: np.ndarray) -> str | None:
    """The most frequent step of a time axis.

    Args:
        time: datetime64, shape (row,).

    Returns:
        An ISO 8601 duration (`PT1H`, `P1M`); None with fewer than three rows or where no step is positive.
    """
    if len(time) < 3:
        return None
    for step, months in _MONTHS.items():
        # Most, not all: the step of a monthly file with a gap is still a month.
        if np.mean(time[1:] == _shift(time[:-1], months)) > 0.5:
            return step
    seconds = np.diff(time.astype("datetime64[ns]")).astype(np.int64) / 1e9
    lengths, counts = np.unique(seconds[seconds > 0], return_counts=True)
    return iso_step(float(lengths[counts.argmax()])) if len(lengths) else None


def iso_step(seconds: float) -> str:
    """A fixed number of seconds as an ISO 8601 duration, in the largest unit that divides it."""
    for letter, length in _UNITS:
        if seconds % length == 0:
            prefix = "P" if letter in "WD" else "PT"
            return f"{prefix}{int(seconds // length)}{letter}"
    return f"PT{seconds:g}S"


def step_seconds(step: str | None) -> float | None:
    """Length of an ISO 8601 duration in seconds (a month counts 30 days, a year 365), or None.

    Raises:
        ValueError: where `step` is not an ISO 8601 duration of one or several fixed parts.
    """
    if step is None:
        return None
    found = _DURATION.fullmatch(step)
    if found is None or not any(found.groups()):
        raise ValueError(f"'{step}' is not an ISO 8601 duration")
    seconds = (365 * 86400, 30 * 86400, 7 * 86400, 86400, 3600, 60, 1)
    return sum(float(count) * unit for count, unit in zip(found.groups(), seconds, strict=True) if count)


def main_period(step: str | None) -> int:
    """Main season of data of that step, in steps; 1 where none is usual."""
    return _PERIODS.get(step or "", 1)


def benchmark_season(step: str | None) -> int:
    """Season by which GluonTS and the benchmarks that follow it (GIFT-Eval) scale errors, in steps.

    An hour of seconds, a day of minutes and hours, a year of months and quarters; else, and where the step
    does not divide that season, 1. Days and weeks have no season there, unlike in `main_period`.

    Example:
        >>> [benchmark_season(step) for step in ("PT15M", "PT1H", "P1D", "P1M", "PT7M")]
        [96, 24, 1, 12, 1]
    """
    found = _DURATION.fullmatch(step or "")
    if found is None:
        return 1
    counts = [int(float(count)) if count else 0 for count in found.groups()]
    if sum(map(bool, counts)) != 1:
        return 1
    unit = next(place for place, count in enumerate(counts) if count)
    season = (1, 12, 1, 1, 24, 1440, 3600)[unit]
    return 1 if season % counts[unit] else season // counts[unit]


def irregularities(time: np.ndarray, step: str | None) -> list[Irregular]:
    """Every place where a time axis does not go on by `step`; with no step, where it does not go on at all.

    Args:
        time: datetime64 or integers, shape (row,).
        step: ISO 8601 duration, or None.
    """
    if len(time) < 2:
        return []
    change = np.diff(time).astype(np.int64)
    broken = change <= 0
    if step is not None and time.dtype.kind == "M":
        broken |= time[1:] != _next(time[:-1], step)
    return [_describe(time, int(row), int(change[row])) for row in np.flatnonzero(broken)]


def _describe(time: np.ndarray, row: int, change: int) -> Irregular:
    stamp = stamp_text(time[row + 1])
    if change < 0:
        return Irregular(row + 1, "unsorted", f"time stamp {stamp} after {stamp_text(time[row])}")
    if change == 0:
        return Irregular(row + 1, "repeated", f"repeated time stamp {stamp}")
    return Irregular(row + 1, "gap", f"gap in time: {stamp} follows {stamp_text(time[row])}")


def following(time: np.ndarray, step: str | None, count: int) -> np.ndarray:
    """The next time stamps of an axis.

    Args:
        time: datetime64 or integers, shape (row,).
        step: ISO 8601 duration; where it is None, the last difference is repeated.
        count: how many.

    Returns:
        Shape (count,), dtype of `time`.
    """
    if step is None or time.dtype.kind != "M":
        width = time[-1] - time[-2] if len(time) > 1 else np.array(1).astype(time.dtype)
        return time[-1] + width * np.arange(1, count + 1)
    later = [time[-2:]]
    for _ in range(count):
        # Two stamps at a time: the last days of months are only seen as such beside each other.
        later.append(_next(later[-1], step))
    return np.array([stamps[-1] for stamps in later[1:]], dtype=time.dtype)


def stamps_at(start: np.ndarray, position: np.ndarray, step: str) -> np.ndarray:
    """Time stamps so many steps after a first one; a last day of a month stays a last day.

    Args:
        start: datetime64, any shape.
        position: steps since `start`, integers, of a shape that broadcasts with it.
        step: ISO 8601 duration.

    Returns:
        datetime64[us].

    Example:
        >>> last = np.array(["2024-01-31"], "datetime64[ns]")
        >>> stamps_at(last, np.array([1, 2]), "P1M").astype("datetime64[D]")
        array(['2024-02-29', '2024-03-31'], dtype='datetime64[D]')
    """
    # Not nanoseconds: 800 yearly steps leave their range.
    start = start.astype("datetime64[us]")
    if step not in _MONTHS:
        return start + position * np.timedelta64(int((step_seconds(step) or 0) * 1e6), "us")
    month = start.astype("datetime64[M]")
    within = start - month.astype("datetime64[us]")
    moved = month + position * _MONTHS[step]
    last = (start.astype("datetime64[D]") + 1).astype("datetime64[M]") > month
    length = (moved + 1).astype("datetime64[D]") - moved.astype("datetime64[D]")
    day = within.astype("timedelta64[D]")
    day = np.where(last, length - 1, np.minimum(day, length - 1))
    return (moved.astype("datetime64[D]") + day).astype("datetime64[us]") + within % np.timedelta64(1, "D")


def stamp_text(stamp: np.datetime64 | np.integer) -> str:
    """A time stamp to the second, or an integer index, as text."""
    return np.datetime_as_string(stamp, unit="s") if isinstance(stamp, np.datetime64) else str(stamp)


def _next(time: np.ndarray, step: str) -> np.ndarray:
    if step in _MONTHS:
        return _shift(time, _MONTHS[step])
    return time + np.timedelta64(int((step_seconds(step) or 0) * 1e9), "ns")


def _shift(time: np.ndarray, months: int) -> np.ndarray:
    """Time stamps moved by whole months; a last day of a month stays a last day."""
    month = time.astype("datetime64[M]")
    start = month.astype(time.dtype)
    length = (month + 1).astype(time.dtype) - start
    last = bool(((time - start).astype("timedelta64[D]") + 1 == length.astype("timedelta64[D]")).all())
    within = (time.astype("datetime64[ns]") - month.astype("datetime64[ns]")).astype("timedelta64[ns]")
    moved = (month + months).astype("datetime64[ns]")
    if last:
        day = (month + months + 1).astype("datetime64[D]") - 1
        return day.astype("datetime64[ns]") + within % np.timedelta64(1, "D")
    return moved + within
