"""Forecasters of the package statsforecast as models: fitted anew on the context of each sample and channel.

One series at a time, in this process, by the methods that statsforecast's own loop calls with n_jobs=1. That
loop would replace a series that fails without a word; here the replacement is counted and its reason kept.
"""

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch

from tsbench.contracts import Forecast, TaskShape
from tsbench.contracts.model import Fits
from tsbench.extras import require

Floats = npt.NDArray[np.float64]


class Method(Protocol):
    """What this module uses of a forecaster of statsforecast."""

    def forecast(self, y: Floats, h: int, *, level: list[float] | None) -> dict[str, Any]:
        """Mean and central intervals of `h` steps after `y`, each of shape (lead_time,)."""
        ...


@dataclass(frozen=True)
class SeasonHyperparameters:
    """What every method here lets choose.

    Attributes:
        season_length: in steps; None takes the task's period.
    """

    season_length: int | None = None

    def __post_init__(self) -> None:
        """A season has at least one step."""
        if self.season_length is not None and self.season_length < 1:
            raise ValueError(f"season_length must be positive, not {self.season_length}")


class StatisticalForecaster:
    """Quantiles of a method that is fitted on each series of the batch by itself.

    Steps before the first observation are left out, gaps are bridged by a straight line. The quantile 0.5 is
    the method's point forecast, also where its distribution is skewed. A series that the method cannot do (it
    is too short, or no model fits) gets the seasonal naive forecast, or the last value where it is shorter
    than a season; `fallbacks` counts them by reason.

    Raises:
        InputError: where statsforecast is not installed.
    """

    fits: ClassVar[Fits] = "series"
    uses: ClassVar[frozenset[str]] = frozenset({"context", "observed"})
    Hyperparameters: ClassVar[type] = SeasonHyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        self.shape, self.chosen = shape, hyperparameters or self.Hyperparameters()
        methods = require("statsforecast.models", extra="baselines", user=type(self).__name__)
        self.season = self.chosen.season_length or shape.period
        self.methods: list[Method] = [
            self.method(methods), methods.SeasonalNaive(season_length=self.season), methods.Naive()
        ]  # fmt: skip
        self.fallbacks: Counter[str] = Counter()

    def method(self, methods: Any) -> Method:
        """The forecaster; `methods`: the module statsforecast.models."""
        raise NotImplementedError

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Quantiles at the levels of the task, shape (quantile, sample, lead_time, target)."""
        context, observed = self._targets(batch["context"]), self._targets(batch.get("observed"))
        assert context is not None
        values = np.empty((len(self.shape.quantiles), len(context), self.shape.horizon, context.shape[2]))
        for sample, channel in np.ndindex(len(context), context.shape[2]):
            seen = None if observed is None else observed[sample, :, channel]
            series = whole(context[sample, :, channel].astype(np.float64), seen)
            values[:, sample, :, channel] = self._forecast(series)
        found = torch.from_numpy(values).to(batch["context"])
        return Forecast(found, "quantiles", self.shape.quantiles)

    def _targets(self, tensor: torch.Tensor | None) -> npt.NDArray[Any] | None:
        return None if tensor is None else tensor[..., list(self.shape.target_index)].cpu().numpy()

    def _forecast(self, series: Floats) -> Floats:
        """Quantiles of one series, (quantile, lead_time)."""
        for number, method in enumerate(self.methods):
            reason, found = attempt(method, series, self.shape)
            if found is not None:
                return found
            if number == 0:
                self.fallbacks[reason] += 1
        raise AssertionError("the last value of a series can always be repeated")


def whole(series: Floats, observed: npt.NDArray[np.bool_] | None) -> Floats:
    """A series from its first observation on, with straight lines over its gaps.

    Args:
        series: shape (time,).
        observed: mask of the series, or None where all is observed. A series without any observation is taken
            as it was filled.

    Returns:
        Shape (time',), time' ≤ time. The last observation is held to the end.
    """
    if observed is None or not observed.any():
        return series
    steps = np.arange(observed.argmax(), len(series))
    return np.interp(steps, np.flatnonzero(observed), series[observed])


def attempt(method: Method, series: Floats, shape: TaskShape) -> tuple[str, Floats | None]:
    """Quantiles of one series, (quantile, lead_time), or None and the reason why there are none."""
    levels = sorted({level_of(quantile) for quantile in shape.quantiles} - {0.0})
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of convergence, for each of the many models that a search tries
            found = method.forecast(series, shape.horizon, level=levels or None)
    except Exception as error:
        # Searches meet series that they cannot do with errors of any type, ZeroDivisionError among them.
        return f"{type(error).__name__}: {error}".removesuffix(": "), None
    values = quantiles_of(found, shape.quantiles)
    if not np.isfinite(values).all():
        return "the forecast is not finite", None
    return "", values


def quantiles_of(found: Mapping[str, Any], quantiles: tuple[float, ...]) -> Floats:
    """Quantiles from a point forecast and central intervals, never crossing it or each other.

    Args:
        found: `mean` and, for each level, `lo-LEVEL` and `hi-LEVEL`, shape (lead_time,).
        quantiles: in (0, 1), ascending.

    Returns:
        Shape (quantile, lead_time).
    """
    mean = np.asarray(found["mean"], np.float64)
    rows = []
    for quantile in quantiles:
        level = level_of(quantile)
        if level == 0:
            rows.append(mean)
            continue
        ends = np.array([found[f"lo-{level}"], found[f"hi-{level}"]], np.float64)
        # A negative seasonal factor turns an interval round; simulated ones may lie beside the mean.
        rows.append(
            np.minimum(ends.min(axis=0), mean) if quantile < 0.5 else np.maximum(ends.max(axis=0), mean)
        )
    return np.sort(np.stack(rows), axis=0)


def level_of(quantile: float) -> float:
    """Percentage of the central interval that ends at a quantile; 0 for the median.

    Example:
        >>> [level_of(quantile) for quantile in (0.1, 0.25, 0.5, 0.9)]
        [80.0, 50.0, 0.0, 80.0]
    """
    return round(abs(1 - 2 * quantile) * 100, 10)
