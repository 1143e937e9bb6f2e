"""Chooses a model on earlier windows, and reports on later ones that played no part in the choice."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .fitted import Fitted

Floats = npt.NDArray[np.float64]
RESAMPLES, SEED, LEAST_BLOCKS = 1000, 123, 10


@dataclass(frozen=True)
class Judged:
    """How a model did.

    Attributes:
        name: of the model.
        context: look-back in steps.
        chosen_by: scaled error on the validation windows, which the choice looks at.
        error: scaled error on the test windows, which it does not.
        low, high: interval of the difference to the chosen model's error on the test windows (95 %, paired
            bootstrap of blocks of windows), or None for the chosen model and where blocks are few.
    """

    name: str
    context: int
    chosen_by: float
    error: float
    low: float | None = None
    high: float | None = None

    @property
    def differs(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def judge(fitted: Sequence[Fitted]) -> list[Judged]:
    """Compare models by mean absolute error, scaled as MASE by the seasonal naive one of the training part.

    Args:
        fitted: models, fitted on the training part of the same task.

    Returns:
        One record a model, the chosen one first, then by their error on the validation windows.
    """
    validation = {one.name: float(_scaled(one, "validation").mean()) for one in fitted}
    tests = {one.name: _scaled(one, "test") for one in fitted}
    order = sorted(fitted, key=lambda one: (validation[one.name], one.name))
    best = tests[order[0].name]
    block = order[0].data.task.unit_windows
    found = []
    for one in order:
        interval = _difference(tests[one.name] - best, block) if one is not order[0] else None
        low, high = interval or (None, None)
        error = float(tests[one.name].mean())
        found.append(Judged(one.name, one.context, validation[one.name], error, low, high))
    return found


def clear_winner(judged: Sequence[Judged]) -> bool:
    """Whether the chosen model's error is below every other's, with intervals that leave out 0."""
    return all(one.low is not None and one.low > 0 for one in judged[1:])


def _scaled(fitted: Fitted, split: str) -> Floats:
    """Scaled error of each window; variables without a scale do not count."""
    scale = fitted.data.seasonal_error.numpy()
    known = scale > 0
    if not known.any():
        known, scale = np.ones_like(known), np.ones_like(scale)
    return (np.abs(fitted.errors(split)[..., known]) / scale[known]).mean(axis=(1, 2))


def _difference(differences: Floats, block: int) -> tuple[float, float] | None:
    starts = range(0, len(differences) - block + 1, block)
    if len(starts) < LEAST_BLOCKS:
        return None
    means = np.array([differences[start : start + block].mean() for start in starts])
    draws = np.random.default_rng(SEED).integers(len(means), size=(RESAMPLES, len(means)))
    low, high = np.quantile(means[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)
