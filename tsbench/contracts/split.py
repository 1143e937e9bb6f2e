"""How a task divides its data into training, validation and test part.

By rows or shares of one series, by labels of samples or of whole series, or by rolling windows at the end of
many series.
"""

import math
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from .strict import Strict


class Split(Strict):
    """Chronological borders, in rows (`rows`) or shares of all rows (`ratio`).

    For `ratio`, train = int(train · n) and test = int(test · n) rows; validation takes what is left, and
    rows are used to the end. For `rows`, what follows the test rows is not used.
    """

    kind: Literal["rows", "ratio"]
    train: float = Field(gt=0)
    validation: float = Field(ge=0)
    test: float = Field(gt=0)

    @model_validator(mode="after")
    def _check(self) -> "Split":
        total = self.train + self.validation + self.test
        if self.kind == "ratio" and abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of a ratio split must sum to 1, not {total:g}")
        if self.kind == "rows" and any(
            value != int(value) for value in (self.train, self.validation, self.test)
        ):
            raise ValueError("a split in rows needs whole numbers")
        return self

    def borders(self, rows: int) -> tuple[int, int, int]:
        """First row after the training, the validation and the test part.

        Raises:
            ValueError: where the data set has fewer rows than the split asks for.
        """
        if self.kind == "rows":
            train, validation, test = int(self.train), int(self.validation), int(self.test)
            if train + validation + test > rows:
                raise ValueError(f"the split needs {train + validation + test} rows, the data have {rows}")
            return train, train + validation, train + validation + test
        train, test = int(self.train * rows), int(self.test * rows)
        return train, rows - test, rows


class LabelledSplit(Strict):
    """Parts of a store of independent samples, by the label that a coordinate gives each sample.

    `test` is the part of the regular condition; a grid of scenarios may name another (`ScenarioGrid.part`).
    """

    kind: Literal["labels"]
    coordinate: str = "split"
    train: str = "train"
    validation: str = "validation"
    test: str


class PeriodSplit(Strict):
    """Parts of a store by ranges of a coordinate, usually the year; both ends belong to a part."""

    kind: Literal["period"]
    coordinate: str = "year"
    train: tuple[float, float]
    validation: tuple[float, float]
    test: tuple[float, float]

    @model_validator(mode="after")
    def _in_order(self) -> "PeriodSplit":
        for name in ("train", "validation", "test"):
            first, last = getattr(self, name)
            if first > last:
                raise ValueError(f"`{name}` begins at {first:g}, after its end at {last:g}")
        for name in ("train", "validation"):
            first, last = getattr(self, name)
            if first <= self.test[1] and self.test[0] <= last:
                raise ValueError(f"`{name}` ({first:g} to {last:g}) and `test` overlap")
        return self

    def labels(self, values: np.ndarray) -> np.ndarray:
        """Part of each value of the coordinate, as text; empty for what belongs to none.

        Where training and validation share a range, a value there belongs to the validation part.

        Args:
            values: of the coordinate, shape (sample,).

        Example:
            >>> split = PeriodSplit(kind="period", train=(1, 3), validation=(3, 3), test=(4, 4))
            >>> split.labels(np.array([1, 3, 4, 5])).tolist()
            ['train', 'validation', 'test', '']
        """
        labels = np.full(len(values), "", object)
        for name in ("train", "validation", "test"):
            first, last = getattr(self, name)
            labels[(values >= first) & (values <= last)] = name
        return labels


class WindowRule(Strict):
    """As many windows as cover a share of the shortest series, at least one.

    max(1, ceil(share · length / horizon)), at most `most`: the rule of GIFT-Eval (arXiv 2410.10393), with a
    share of 0.1 and at most 20 windows.
    """

    share: float = Field(gt=0, lt=1)
    most: int = Field(ge=1)

    def windows(self, shortest: int, horizon: int) -> int:
        """Number of windows where the shortest series has that many values.

        Example:
            >>> WindowRule(share=0.1, most=20).windows(1000, 48)
            3
        """
        return min(max(1, math.ceil(self.share * shortest / horizon)), self.most)


class RollingSplit(Strict):
    """Windows at the end of each series of a collection.

    The last `windows` forecast origins of each series, `step` apart, are the test part; `validation` windows
    before it, whose targets end where the test part begins, are the validation part; what is before these is
    the training part.
    """

    kind: Literal["rolling"]
    windows: int | WindowRule
    step: int | None = Field(default=None, ge=1)
    """Steps between two origins; the horizon by default, so that targets follow each other."""
    validation: int = Field(default=1, ge=0)
    unused: int = Field(default=0, ge=0)
    """Values at the end of each series that belong to no part."""
    shortest_context: int = Field(default=1, ge=1)
    """Values of the series that a forecast origin has before it, at least; a longer look-back is padded."""
    short_series: Literal["refuse", "leave_out", "leave_windows_out"] = "refuse"
    """What becomes of data with a series that is too short for all of its test windows: they are refused, the
    series has no test window, or it has those windows that have `shortest_context` values before them."""
    cut_within: int | None = Field(default=None, ge=1)
    """Training by gradient sees in each epoch one random origin of each series, among the last so many values
    of its training part (targets may reach over the end of it, and are masked there); by default every
    origin."""

    @model_validator(mode="after")
    def _some_window(self) -> "RollingSplit":
        if isinstance(self.windows, int) and self.windows < 1:
            raise ValueError(f"a rolling split needs at least one window, not {self.windows}")
        return self

    def window_count(self, lengths: np.ndarray, horizon: int) -> int:
        """Test windows of each series; `lengths`: number of values of each, shape (series,)."""
        if isinstance(self.windows, int):
            return self.windows
        return self.windows.windows(int(lengths.min()), horizon)

    def borders(self, lengths: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """First test origin of each series, and the first value after its training part; may be below 0.

        Args:
            lengths: number of values of each series, shape (series,).
            horizon: steps of a forecast.
        """
        step = self.step or horizon
        test = lengths - self.unused - horizon - (self.window_count(lengths, horizon) - 1) * step
        if self.validation == 0:
            return test, test
        return test, test - horizon - (self.validation - 1) * step


class SeriesSplit(Strict):
    """Whole series of a collection belong to a part, by the label that a coordinate gives each of them.

    Every window of a series that has `shortest_context` values before its origin belongs to the series' part,
    so that no part shares a value with another one. Origins are one step apart in training, `step` in
    validation and test.
    """

    kind: Literal["series"]
    coordinate: str = "split"
    train: str = "train"
    validation: str = "validation"
    test: str = "test"
    step: int = Field(default=1, ge=1)
    shortest_context: int = Field(default=1, ge=1)

    def origins(self, lengths: np.ndarray, horizon: int, step: int) -> np.ndarray:
        """Number of windows of each series whose origins are `step` apart, int64, shape (series,).

        Args:
            lengths: number of values of each series, shape (series,).
            horizon: steps of a forecast.
            step: between two origins.

        Example:
            >>> SeriesSplit(kind="series", shortest_context=20).origins(np.array([29, 30, 100]), 10, 1)
            array([ 0,  1, 71])
        """
        return np.clip((lengths - horizon - self.shortest_context) // step + 1, 0, None)
