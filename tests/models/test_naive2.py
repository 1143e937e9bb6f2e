"""Naive 2 against the steps of the competition's R code, done in plain Python, and on the hourly series of M4."""

import math

import numpy as np
import pytest
import torch

from tsbench.models.naive2.model import Naive2, is_seasonal, seasonal_index


def season(steps: int, period: int, seed: int = 0, slope: float = 0.1) -> np.ndarray:
    random = np.random.default_rng(seed)
    wave = 2 + np.sin(np.arange(steps) * 2 * np.pi / period)
    return (20 + slope * np.arange(steps)) * wave * random.uniform(0.95, 1.05, steps)


def forecast(model: Naive2, *series: np.ndarray) -> np.ndarray:
    """Forecasts of series of different length in one padded batch."""
    longest = max(map(len, series))
    context = torch.zeros(len(series), longest, 1)
    for row, one in enumerate(series):
        context[row, longest - len(one) :, 0] = torch.from_numpy(one)
    lengths = torch.tensor([len(one) for one in series])
    return model.predict({"context": context, "length": lengths}).values[..., 0].numpy()


def by_hand(series: np.ndarray, period: int, horizon: int) -> list[float]:
    """Benchmarks and Evaluation.R of the competition, step by step: acf, decompose, naive."""
    n, mean = len(series), series.mean()
    power = sum((series - mean) ** 2)
    acf = [sum((series[lag:] - mean) * (series[: n - lag] - mean)) / power for lag in range(1, period + 1)]
    limit = 1.645 / math.sqrt(n) * math.sqrt(1 + 2 * sum(one**2 for one in acf[:-1]))
    seasonal = n >= 3 * period and math.floor(10 * math.log10(n)) >= period and abs(acf[-1]) > limit
    index = [1.0] * period
    if seasonal:
        weights = [0.5, *[1] * (period - 1), 0.5] if period % 2 == 0 else [1] * period
        half = len(weights) // 2
        ratios: list[list[float]] = [[] for _ in range(period)]
        for t in range(half, n - half):
            trend = sum(w * x for w, x in zip(weights, series[t - half : t + half + 1], strict=True)) / period
            ratios[t % period].append(series[t] / trend)
        index = [sum(one) / len(one) for one in ratios]
        index = [one / (sum(index) / period) for one in index]
    last = series[-1] / index[(n - 1) % period]
    return [last * index[(n + step) % period] for step in range(horizon)]


@pytest.mark.parametrize("period", [4, 7, 12, 24])
def test_it_is_the_code_of_the_competition_for_series_of_any_length(shape_of, period):
    many = [season(steps, period, seed=steps) for steps in (period * 3 + 1, 130, 101, 2 * period, 400)]
    many.append(np.random.default_rng(1).uniform(10, 11, 90))  # no season
    found = forecast(Naive2(shape_of(400, 2 * period + 3, period=period)), *many)

    for one, series in zip(found, many, strict=True):
        np.testing.assert_allclose(one, by_hand(series, period, 2 * period + 3), rtol=1e-5)


def test_both_outcomes_of_the_test_for_a_season_are_among_the_series_above():
    wavy, noise = season(130, 12), np.random.default_rng(1).uniform(10, 11, 130)
    series = torch.from_numpy(np.stack([wavy, noise]))

    assert is_seasonal(series, torch.ones_like(series, dtype=torch.bool), 12).tolist() == [True, False]


def test_a_short_series_has_no_season():
    """R's acf ends at lag floor(10 log10(n)): 23 for 250 values, 24 from 252 on."""
    for steps, wanted in ((251, False), (252, True)):
        series = torch.from_numpy(season(steps, 24))[None]
        assert is_seasonal(series, torch.ones_like(series, dtype=torch.bool), 24).tolist() == [wanted]


def test_a_pure_multiplicative_season_is_found_again():
    index = torch.tensor([0.5, 1.0, 2.0, 0.5], dtype=torch.float64)
    series = (index.repeat(9) * 7)[None]

    found = seasonal_index(series, torch.ones_like(series, dtype=torch.bool), 4)

    torch.testing.assert_close(found[0], index, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("series", [np.full(60, 5.0), season(60, 4) - 60, np.array([3.0])])
def test_constant_negative_and_single_values_are_repeated(shape_of, series):
    found = forecast(Naive2(shape_of(60, 6, period=4)), series)

    np.testing.assert_allclose(found, np.full((1, 6), series[-1]), rtol=1e-6)


def test_it_is_the_last_value_without_a_period_and_without_lengths(shape_of):
    context = torch.rand(3, 8, 2)

    found = Naive2(shape_of(8, 5, channels=2, period=1)).predict({"context": context}).values

    torch.testing.assert_close(found, context[:, -1:].expand(3, 5, 2))
