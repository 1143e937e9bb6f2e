"""Which windows of each series fev scores, and how far from its end they begin."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tsbench.contracts import InputError


@dataclass(frozen=True)
class Windows:
    """The windows of a task of fev on its data.

    A series has a window where `min_context_length` values lie before its cutoff and a whole horizon after it
    (fev 0.10, `fev.utils.past_future_split`): also a series that is too short for the windows before.

    Attributes:
        scored: which windows each series has, bool, shape (series, window).
        after: values from the cutoff to the end of the series, int64, shape (series, window).
    """

    scored: np.ndarray
    after: np.ndarray

    @cached_property
    def kept(self) -> np.ndarray:
        """Rows of the series that have a window, int64, shape (kept,)."""
        return np.flatnonzero(self.scored.any(axis=1))

    @cached_property
    def cases(self) -> np.ndarray:
        """Window of each test case of ours: all windows of a series, then those of the next."""
        return np.nonzero(self.scored)[1]


def windows_of(task: Any, stamps: list[np.ndarray], where: str) -> Windows:
    """Find the windows.

    Args:
        task: a `fev.Task` whose data are loaded.
        stamps: time stamps of each series, datetime64.
        where: for messages.

    Raises:
        InputError: where no series has a window, or windows do not lie at the same distance from the end of
            every series and equally far apart, as ours do.
    """
    cutoffs = np.stack([_positions(cutoff, stamps) for cutoff in task.cutoffs], axis=1)
    lengths = np.array([len(one) for one in stamps], np.int64)[:, None]
    after = lengths - cutoffs
    scored = (cutoffs >= task.min_context_length) & (after >= task.horizon)
    found = Windows(scored, after)
    if not len(found.kept):
        raise InputError(
            f"{where}: no series has min_context_length ({task.min_context_length}) values before a cutoff "
            f"and horizon ({task.horizon}) values after it"
        )
    missing = np.flatnonzero(~scored.any(axis=0))
    if len(missing):
        raise InputError(f"{where}: window {missing[0] + 1} holds no series that is long enough for it")
    _refuse_other_distances(found, task, where)
    return found


def step_and_unused(windows: Windows, task: Any) -> tuple[int, int]:
    """Steps between two windows, and values after the last of them."""
    distances = _distances(windows)
    step = int(distances[0] - distances[1]) if len(distances) > 1 else task.horizon
    return step, int(distances[-1]) - task.horizon


def _positions(cutoff: int | str, stamps: list[np.ndarray]) -> np.ndarray:
    """Values of each series before a cutoff; a date is the last stamp before it."""
    if isinstance(cutoff, str):
        last = np.datetime64(cutoff)
        return np.array([int((one <= last).sum()) for one in stamps], np.int64)
    lengths = np.array([len(one) for one in stamps], np.int64)
    return np.clip(cutoff if cutoff >= 0 else lengths + cutoff, 0, lengths)


def _distances(windows: Windows) -> np.ndarray:
    """Values after each cutoff, of the first series that has the window."""
    first = windows.scored.argmax(axis=0)
    return windows.after[first, np.arange(len(first))]


def _refuse_other_distances(windows: Windows, task: Any, where: str) -> None:
    distances = _distances(windows)
    other = windows.scored & (windows.after != distances)
    if other.any():
        series, window = np.argwhere(other)[0]
        raise InputError(
            f"{where}: the cutoff {task.cutoffs[window]} lies {distances[window]} values before the end of "
            f"one series and {windows.after[series, window]} before that of another; windows here lie at the "
            "same distance from the end of every series (a negative initial_cutoff)"
        )
    steps = np.unique(-np.diff(distances))
    if len(steps) > 1 or (len(steps) and steps[0] < 1):
        raise InputError(
            f"{where}: the cutoffs lie {', '.join(map(str, steps))} values apart; windows here are "
            "equally far apart (a window_step_size in steps)"
        )
    # What a series lacks is at its beginning: a window that it has is followed by all that come after.
    if (windows.scored[:, :-1] & ~windows.scored[:, 1:]).any():
        raise InputError(f"{where}: a series has a window and not the one after it; cutoffs must go forward")
