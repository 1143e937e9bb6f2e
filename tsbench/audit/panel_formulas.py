"""The formula of every metric of panels in numpy, written out independently of `tsbench.evaluation`.

Arguments: forecast and observed of all samples, shape (sample,), and the targets of the training part.
"""

from collections.abc import Callable

import numpy as np

Formula = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


def _mse(forecast: np.ndarray, observed: np.ndarray, train: np.ndarray) -> float:
    return float(np.mean((forecast - observed) ** 2))


def _mape(forecast: np.ndarray, observed: np.ndarray, train: np.ndarray) -> float:
    there = observed != 0
    return float(100 * np.mean(np.abs((forecast - observed)[there] / observed[there])))


def _r2(forecast: np.ndarray, observed: np.ndarray, train: np.ndarray) -> float:
    return 1 - _mse(forecast, observed, train) / float(np.var(observed))


FORMULAS: dict[str, Formula] = {
    "mse": _mse,
    "rmse": lambda forecast, observed, train: _mse(forecast, observed, train) ** 0.5,
    "mae": lambda forecast, observed, train: float(np.mean(np.abs(forecast - observed))),
    "mape": _mape,
    "weighted_mape": lambda forecast, observed, train: float(
        100 * np.sum(np.abs(forecast - observed)) / np.sum(np.abs(observed))
    ),
    "r2": _r2,
    "r2_official": lambda forecast, observed, train: (
        1 - _mse(forecast, observed, train) / float(np.var(train))
    ),
}
