"""What the trees see of a context, in its own scale: lags, seasonal lags, rolling means, covariates."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tsbench.contracts import TaskShape

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sequences:
    """Contexts of single targets, each scaled by its own mean and deviation.

    Attributes:
        history: float32, shape (sequence, time); NaN before the first observation.
        mean, deviation: of the observed steps, float64, shape (sequence,).
        target: number of the target that a sequence belongs to, shape (sequence,).
        past: covariates known up to the present only, at its last step, float32, shape (sequence, column).
        future: covariates of the steps ahead, float32, shape (sequence, lead_time, column).
    """

    history: Floats
    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]
    target: npt.NDArray[np.int64]
    past: Floats
    future: Floats


@dataclass(frozen=True)
class Features:
    """The columns of the trees' table for a task.

    Attributes:
        shape: of the task.
        lags: newest steps, each a column.
        seasons: how many seasons back the step of the same phase is looked up, each with its two neighbours.
    """

    shape: TaskShape
    lags: int
    seasons: int

    @cached_property
    def windows(self) -> tuple[int, ...]:
        """Steps of the rolling means: parts of a season, a season and several."""
        period, context = self.shape.period, self.shape.context
        return tuple(
            sorted({size for size in (period // 4, period, 3 * period, 7 * period) if 1 < size <= context})
        )

    @cached_property
    def past_columns(self) -> list[int]:
        """Covariates that are not known ahead."""
        known = set(self.shape.future_covariates)
        return [column for column, name in enumerate(self.shape.past_covariates) if name not in known]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        around = [f"season{back}{offset:+d}" for back in range(self.seasons) for offset in (-1, 0, 1)]
        return (
            "lead_time", "phase", "target",
            *(f"lag{back + 1}" for back in range(self.lags)),
            *(f"mean{size}" for size in self.windows),
            *around,
            *(self.shape.past_covariates[column] for column in self.past_columns),
            *self.shape.future_covariates,
        )  # fmt: skip

    def sequences(self, batch: Mapping[str, torch.Tensor]) -> Sequences:
        """The sequences of a batch: sample by sample, and in it target by target."""
        shape, targets = self.shape, len(self.shape.targets)
        columns = list(shape.target_index)
        context = _rows(batch["context"][..., columns])
        seen = _rows(batch["observed"][..., columns]) if "observed" in batch else np.ones(context.shape, bool)
        seen = seen | ~seen.any(axis=1, keepdims=True)  # without any observation: as it was filled
        values = context.astype(np.float64)
        count = seen.sum(axis=1)
        mean = np.where(seen, values, 0).sum(axis=1) / count
        centred = values - mean[:, None]
        deviation = np.sqrt(np.where(seen, centred**2, 0).sum(axis=1) / count)
        # Rounding leaves a trace of deviation in a constant context, which scaling would blow up.
        deviation[deviation <= 1e-6 * np.abs(mean)] = 0
        history = centred / np.where(deviation > 0, deviation, 1)[:, None]
        history[~np.logical_or.accumulate(seen, axis=1)] = np.nan
        samples = len(batch["context"])
        past = _covariates(batch, "past_covariates", (samples, shape.context, len(shape.past_covariates)))
        future = _covariates(
            batch, "future_covariates", (samples, shape.horizon, len(shape.future_covariates))
        )
        return Sequences(
            history=history.astype(np.float32),
            mean=mean,
            deviation=deviation,
            target=np.tile(np.arange(targets), samples),
            past=past[:, -1, self.past_columns].repeat(targets, axis=0),
            future=future.repeat(targets, axis=0),
        )

    def table(self, of: Sequences, sequence: npt.NDArray[np.int64], lead: npt.NDArray[np.int64]) -> Floats:
        """Rows of the table, one a pair of sequence and lead time.

        Args:
            of: the sequences.
            sequence: which of them, shape (row,).
            lead: steps ahead, counted from 0, shape (row,).

        Returns:
            float32, shape (row, len(names)); NaN where the context does not reach back so far.
        """
        shape, history = self.shape, of.history
        newest = history[:, ::-1][:, : self.lags]
        short = self.lags - newest.shape[1]
        newest = np.pad(newest, ((0, 0), (0, short)), constant_values=np.nan)
        means = [_mean(history[:, -size:]) for size in self.windows]
        of_sequence = np.column_stack([newest, *means])[sequence]
        # The newest step of the same phase as the target, and its neighbours; the one after may lie ahead.
        same = shape.context + lead % shape.period - shape.period
        offsets = np.array(
            [offset - back * shape.period for back in range(self.seasons) for offset in (-1, 0, 1)]
        )
        steps = same[:, None] + offsets
        inside = (steps >= 0) & (steps < shape.context)
        seasonal = np.where(inside, history[sequence[:, None], np.where(inside, steps, 0)], np.nan)
        own = np.column_stack([lead + 1, lead % shape.period, of.target[sequence]])
        parts = [own, of_sequence, seasonal, of.past[sequence], of.future[sequence, lead]]
        return np.concatenate(parts, axis=1, dtype=np.float32)


def _rows(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """(sample, time, target) as rows (sample × target, time)."""
    return tensor.transpose(1, 2).flatten(0, 1).cpu().numpy()


def _covariates(batch: Mapping[str, torch.Tensor], name: str, shape: tuple[int, int, int]) -> Floats:
    return batch[name].cpu().numpy() if shape[2] else np.zeros(shape, np.float32)


def _mean(values: Floats) -> Floats:
    """Mean of the steps that are there, shape (sequence,); NaN where there are none."""
    there = ~np.isnan(values)
    count = there.sum(axis=1)
    total = np.where(there, values, 0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
