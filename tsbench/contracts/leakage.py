"""Leakage: whether the weights of a Result have seen what the Result was tested on."""

from datetime import UTC, datetime
from typing import Literal

from .corpus import FILES
from .result import DataRange, Result

Leakage = Literal["none", "inputs", "targets", "unknown"]


def leakage_of(result: Result) -> Leakage:
    """What of the test part the weights have seen, in any stage of their making.

    A pure function of the record. `targets`: a range of training data overlaps test targets, in data set (or
    published files), series, variable and time. `inputs`: only what test windows read beyond the task's own
    training part. `unknown`: weights of unknown origin, or ranges that cannot be compared. What the record
    does not say is not seen: the same data under another name and in another file, for example.
    """
    if not result.tested_on:
        return _of_older(result)
    found = {
        (tested.role, overlap(trained, tested))
        for trained in result.trained_on
        for tested in result.tested_on
        if not trained.dataset.startswith(FILES)
    }
    if ("targets", True) in found:
        return "targets"
    if _unknown_origin(result) or any(seen is None for _, seen in found):
        return "unknown"
    return "inputs" if ("inputs", True) in found else "none"


def overlap(one: DataRange, other: DataRange) -> bool | None:
    """Whether two ranges share a value; None where that cannot be told.

    Example:
        >>> train = DataRange(dataset="m4-hourly", start="0", end="-49")
        >>> overlap(train, DataRange(dataset="m4-hourly", start="-48", end="-1"))
        False
    """
    same_files = one.files is not None and one.files == other.files
    if one.dataset != other.dataset and not same_files:
        return False
    if not _share(one.variables, other.variables) or not _share_series(one, other):
        return False
    reached = _not_after(one.start, other.end), _not_after(other.start, one.end)
    if False in reached:
        return False
    return None if None in reached else True


def _unknown_origin(result: Result) -> bool:
    if not result.trained_on:
        # What learned something must say on what.
        return result.track.learning != "zero-shot"
    return any(one.dataset.startswith(FILES) for one in result.trained_on)


def _of_older(result: Result) -> Leakage:
    """Of a Result that does not say what it was tested on: fits then saw its task's training part alone."""
    if _unknown_origin(result) or "--weights" in result.provenance.command.split():
        return "unknown"
    own = {result.task.dataset}
    return "none" if {one.dataset for one in result.trained_on} <= own else "unknown"


def _share(one: tuple[str, ...] | str, other: tuple[str, ...] | str) -> bool:
    return isinstance(one, str) or isinstance(other, str) or not set(one).isdisjoint(other)


def _share_series(one: DataRange, other: DataRange) -> bool:
    if isinstance(one.series, str) and isinstance(other.series, str):
        return True
    named = set(one.series) if isinstance(other.series, str) else set(other.series)
    if not isinstance(one.series, str) and not isinstance(other.series, str):
        named = set(one.series) & set(other.series)
    return bool(named - set(one.without) - set(other.without))


def _not_after(one: str, other: str) -> bool | None:
    """Whether `one` ≤ `other`; None where the two cannot be compared."""
    positions = _position(one), _position(other)
    first, second = positions
    if first is not None and second is not None:
        if first == 0 or second == -1:
            return True
        return first <= second if (first < 0) == (second < 0) else None
    begin, end = _moment(one), _moment(other)
    if begin is not None and end is not None:
        return begin <= end
    # Neither positions nor stamps: labels of parts.
    return one == other if {first, second, begin, end} == {None} else None


def _position(text: str) -> int | None:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None


def _moment(text: str) -> datetime | None:
    if "-" not in text[1:]:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    # Stamps of stores name no zone; one that does is compared by its universal time.
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
