"""Percentage errors of panels against scikit-learn and plain sums."""

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_percentage_error

from tsbench.evaluation.metrics import metric


def value(name: str, forecast: np.ndarray, observed: np.ndarray) -> float | None:
    one = metric(name)
    f, y = (torch.from_numpy(np.asarray(x, np.float64)).reshape(-1, 1, 1) for x in (forecast, observed))
    numerator, denominator = (float(part.sum()) for part in one.statistic(f, y, y))
    return one.value(numerator, denominator)


def test_ten_per_cent_is_ten():  # energy_fingerprint, must show 5
    assert value("mape", [110, 180], [100, 200]) == pytest.approx(10.0)


def test_percentages_are_those_of_scikit_learn_and_of_the_sums():
    random = np.random.default_rng(0)
    observed, forecast = random.gamma(3, 8, 500), random.gamma(3, 8, 500)

    assert value("mape", forecast, observed) == pytest.approx(
        100 * mean_absolute_percentage_error(observed, forecast), rel=1e-9
    )
    weighted = 100 * np.abs(observed - forecast).sum() / observed.sum()
    assert value("weighted_mape", forecast, observed) == pytest.approx(weighted, rel=1e-9)


def test_a_value_of_zero_counts_for_the_weighted_one_alone():
    assert value("mape", [1, 110], [0, 100]) == pytest.approx(10.0)
    assert value("weighted_mape", [1, 110], [0, 100]) == pytest.approx(11.0)
    assert value("mape", [1], [0]) is None
