"""The formula of every metric in plain numpy, written out independently of `tsbench.evaluation`.

What a metric reads of a forecast is worked out here once more, as are its sums: a formula sees all numbers at
once. Undefined values are NaN or infinite, which the suite has no value for.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Numbers:
    """Everything that a metric is computed from.

    Attributes:
        forecast: point (sample, lead_time, channel), or quantiles or members before that.
        kind: `point`, `quantiles` or `samples`.
        given: levels of a quantile forecast.
        observed: shape (sample, lead_time, channel), or that of the task's view.
        mask: which of them count.
        seasonal, squared: mean absolute and mean squared seasonal difference, broadcast to `observed`.
        levels: of the task.
    """

    forecast: np.ndarray
    kind: str
    given: tuple[float, ...]
    observed: np.ndarray
    mask: np.ndarray
    seasonal: np.ndarray
    squared: np.ndarray
    levels: tuple[float, ...]

    @property
    def point(self) -> np.ndarray:
        """The point forecast, or the median."""
        return self.forecast if self.kind == "point" else self.at(0.5)

    def at(self, level: float) -> np.ndarray:
        """A quantile."""
        if self.kind == "quantiles":
            return self.forecast[np.argmin(np.abs(np.array(self.given) - level))]
        return self.forecast if self.kind == "point" else np.quantile(self.forecast, level, axis=0)

    @property
    def members(self) -> np.ndarray:
        """Members, (realization, ...)."""
        return self.forecast[None] if self.kind == "point" else self.forecast

    @property
    def losses(self) -> np.ndarray:
        """Quantile losses, (quantile, ...), twice max(q (y − f), (q − 1) (y − f))."""
        errors = [(level, self.observed - self.at(level)) for level in self.levels]
        return np.stack([2 * np.maximum(level * error, (level - 1) * error) for level, error in errors])

    def mean(self, values: np.ndarray) -> float:
        """Mean over what counts and is defined."""
        return float(np.mean(self._defined(values)))

    def mean_of_channels(self, values: np.ndarray, power: float = 1) -> float:
        """Mean over channels of the means of each, these raised to a power."""
        columns = range(values.shape[-1])
        means = [
            np.mean(values[..., one][self.mask[..., one] & np.isfinite(values[..., one])]) for one in columns
        ]
        return float(np.mean(np.power(means, power)))

    def over_size(self, values: np.ndarray) -> float:
        """Mean over channels of the mean over the mean |y|."""
        columns = range(values.shape[-1])
        known = [self.mask[..., one] for one in columns]
        ratios = [
            np.mean(values[..., one][known[one]]) / np.mean(np.abs(self.observed[..., one])[known[one]])
            for one in columns
        ]
        return float(np.mean(ratios))

    def _defined(self, values: np.ndarray) -> np.ndarray:
        return values[self.mask & np.isfinite(values)]


Formula = Callable[[Numbers], float]


def _error(n: Numbers) -> np.ndarray:
    return np.abs(n.point - n.observed)


def _rmse(n: Numbers) -> float:
    return float(np.linalg.norm((n.point - n.observed)[n.mask]) / np.sqrt(n.mask.sum()))


def _smape(n: Numbers) -> float:
    """Mean of 200 |y − f| / (|y| + |f|), 0 where both are 0."""
    wrong, size = _error(n)[n.mask], (np.abs(n.point) + np.abs(n.observed))[n.mask]
    return float(200 * np.divide(wrong, size, out=np.zeros_like(wrong), where=size != 0).mean())


def _scaled(n: Numbers, values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Values over a scale; undefined where that is not above 0."""
    return values / np.where(scale > 0, scale, np.nan)


def _crps(n: Numbers, fair: bool = False) -> float:
    """E|X − y| − E|X − X'| / 2, over all pairs of members; of quantiles their mean loss."""
    if n.kind == "quantiles":
        return n.mean(n.losses.mean(axis=0))
    x = n.members
    count = len(x)
    pairs = sum(np.abs(x - one).sum(axis=0) for one in x)
    others = count * (count - 1) if fair and count > 1 else count**2
    return n.mean(np.abs(x - n.observed).mean(axis=0) - pairs / (2 * others))


def _energy(n: Numbers) -> float:
    x, whole = n.members, n.mask.all(axis=-1)
    count = len(x)
    near = np.linalg.norm(x - n.observed, axis=-1).mean(axis=0)
    apart = sum(np.linalg.norm(x - one, axis=-1).sum(axis=0) for one in x) / (2 * count**2)
    return float((near - apart)[whole].mean())


def _wql(n: Numbers) -> float:
    return float(np.mean([loss[n.mask].sum() for loss in n.losses]) / np.abs(n.observed)[n.mask].sum())


def _coverage(n: Numbers, percent: int) -> float:
    low, high = (n.at(0.5 + side * percent / 200).astype(np.float32) for side in (-1, 1))
    observed = n.observed.astype(np.float32)
    return float(np.mean(((low <= observed) & (observed <= high))[n.mask]))


def _width(n: Numbers, percent: int) -> float:
    return float(np.mean((n.at(0.5 + percent / 200) - n.at(0.5 - percent / 200))[n.mask]))


def _msis(n: Numbers) -> float:
    low, high, y = n.at(0.025), n.at(0.975), n.observed
    score = high - low + 40 * (low - y) * (y < low) + 40 * (y - high) * (y > high)
    return n.mean(_scaled(n, score, n.seasonal))


def _bias(n: Numbers) -> np.ndarray:
    """Mean signed error of each channel."""
    columns = range(n.observed.shape[-1])
    return np.array([np.mean((n.point - n.observed)[..., one][n.mask[..., one]]) for one in columns])


def _maeb(n: Numbers) -> float:
    return n.mean_of_channels(_error(n)) + float(np.abs(_bias(n)).mean())


def _wapeb(n: Numbers) -> float:
    sizes = [np.mean(np.abs(n.observed[..., one])[n.mask[..., one]]) for one in range(n.observed.shape[-1])]
    return n.over_size(_error(n)) + float(np.mean(np.abs(_bias(n)) / sizes))


def _ratios(n: Numbers) -> np.ndarray:
    """|f − h|² / |h|² over the subcarriers, shape (sample, antenna, lead_time)."""
    return (np.linalg.norm(n.point - n.observed, axis=-1) / np.linalg.norm(n.observed, axis=-1)) ** 2


def _nmse_db(n: Numbers) -> float:
    return float(
        20 * np.log10(np.linalg.norm((n.point - n.observed).ravel()) / np.linalg.norm(n.observed.ravel()))
    )


def _sse(n: Numbers) -> float:
    """Sum of squared errors over the subcarriers, mean over samples, antennas and steps."""
    return float(np.mean(np.linalg.norm(n.point - n.observed, axis=-1) ** 2))


def _se(n: Numbers) -> float:
    """Mean of log2(1 + 10 |⟨f, h⟩|² / |f|²) over samples, steps and subcarriers; antennas are the vectors."""
    inner = np.abs(np.einsum("satk,satk->stk", n.point.conj(), n.observed))
    length = np.linalg.norm(n.point, axis=1)
    matched = np.divide(inner, length, out=np.zeros_like(inner), where=length > 0)
    return float(np.log2(1 + 10 * matched**2).mean())


def _beam_gain(n: Numbers) -> float:
    """Decibels of Σ |⟨f, h⟩|² / |f|² over Σ |h|², antennas being the vectors."""
    matched = np.abs(np.einsum("satk,satk->stk", n.point.conj(), n.observed)) / np.linalg.norm(
        n.point, axis=1
    )
    return float(20 * np.log10(np.linalg.norm(matched.ravel()) / np.linalg.norm(n.observed.ravel())))


def _percentage(n: Numbers) -> np.ndarray:
    return _error(n) / np.abs(n.observed)


def _symmetric(n: Numbers) -> np.ndarray:
    return 2 * _error(n) / (np.abs(n.point) + np.abs(n.observed))


def _logarithmic(n: Numbers) -> np.ndarray:
    return (np.log(1 + n.point) - np.log(1 + n.observed)) ** 2


FORMULAS: dict[str, Formula] = {
    "mse": lambda n: n.mean(_error(n) ** 2),
    "mae": lambda n: n.mean(_error(n)),
    "rmse": _rmse,
    "smape": _smape,
    "mase": lambda n: n.mean(_scaled(n, _error(n), n.seasonal)),
    "crps": _crps,
    "crps_fair": lambda n: _crps(n, fair=True),
    "energy_score": _energy,
    "mql": lambda n: n.mean(n.losses.mean(axis=0)),
    "wql": _wql,
    "sql": lambda n: n.mean(_scaled(n, n.losses.mean(axis=0), n.seasonal)),
    "coverage_80": lambda n: _coverage(n, 80),
    "coverage_error_80": lambda n: abs(_coverage(n, 80) - 0.8),
    "width_80": lambda n: _width(n, 80),
    "coverage_95": lambda n: _coverage(n, 95),
    "coverage_error_95": lambda n: abs(_coverage(n, 95) - 0.95),
    "width_95": lambda n: _width(n, 95),
    "msis": _msis,
    "fev.MAE": lambda n: n.mean_of_channels(_error(n)),
    "fev.MSE": lambda n: n.mean_of_channels(_error(n) ** 2),
    "fev.RMSE": lambda n: n.mean_of_channels(_error(n) ** 2, 0.5),
    "fev.MASE": lambda n: n.mean_of_channels(_scaled(n, _error(n), n.seasonal)),
    "fev.RMSSE": lambda n: n.mean_of_channels(_scaled(n, _error(n) ** 2, n.squared), 0.5),
    "fev.WAPE": lambda n: n.over_size(_error(n)),
    "fev.MAPE": lambda n: n.mean_of_channels(_percentage(n)),
    "fev.SMAPE": lambda n: n.mean_of_channels(_symmetric(n)),
    "fev.RMSLE": lambda n: n.mean_of_channels(_logarithmic(n), 0.5),
    "fev.MQL": lambda n: n.mean_of_channels(n.losses.mean(axis=0)),
    "fev.WQL": lambda n: n.over_size(n.losses.mean(axis=0)),
    "fev.SQL": lambda n: n.mean_of_channels(_scaled(n, n.losses.mean(axis=0), n.seasonal)),
    "fev.MAEB": _maeb,
    "fev.WAPEB": _wapeb,
    "nmse": lambda n: float(np.mean(_ratios(n))),
    "nmse_median": lambda n: float(np.median(_ratios(n))),
    "nmse_db": _nmse_db,
    "sse": _sse,
    "se": _se,
    "beam_gain": _beam_gain,
    "r2": lambda n: 1 - n.mean(_error(n) ** 2) / float(np.var(n.observed[n.mask])),
    "r2_official": lambda n: 1 - n.mean(_error(n) ** 2) / float(np.mean(n.squared)),
}
