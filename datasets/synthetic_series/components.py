"""Series of components: trend, one or two seasons of random shape, and ARMA noise, added or multiplied.

The decomposition of Hyndman and Athanasopoulos (2021, section 3.1); the noise is an ARMA(2, 1) process
(section 9.4), its autoregressive part stationary because it is made of roots inside the unit circle.
"""

import numpy as np

WARM_UP = 200
"""Steps of the noise that are thrown away, so that it does not know its start."""
HARMONICS = 8
WEEK = 7


def draw_components(
    steps: int, periods: tuple[int, ...], random: np.random.Generator
) -> tuple[np.ndarray, int]:
    """One series.

    Args:
        steps: of the series.
        periods: of the main season, in steps.
        random: where every choice comes from.

    Returns:
        Values, float64, shape (step,); and the period of the main season, 1 where there is none.
    """
    parts = [_trend(steps, random) * random.choice([0.0, 0.5, 1.5])]
    season = 1
    if random.random() < 0.9:
        season = int(random.choice(periods))
        parts.append(_season(steps, season, random))
        if random.random() < 0.4:
            parts.append(random.uniform(0.2, 0.8) * _season(steps, WEEK * season, random))
        if random.random() < 0.2:
            # A season whose size wanders.
            parts[1] = parts[1] * np.exp(0.5 * _trend(steps, random))
    parts.append(random.choice([0.05, 0.15, 0.4]) * _noise(steps, random))
    total = np.sum(parts, axis=0)
    return (np.exp(0.5 * total) if random.random() < 0.3 else total), season


def _season(steps: int, period: int, random: np.random.Generator) -> np.ndarray:
    """A random periodic shape of unit variance: harmonics that fall off, some days cut off at a floor."""
    position = 2 * np.pi * np.arange(steps) / period
    count = int(random.integers(1, min(HARMONICS, max(period // 2, 1)) + 1))
    shape = np.zeros(steps)
    for harmonic in range(1, count + 1):
        size, phase = random.standard_normal() / harmonic, random.uniform(0, 2 * np.pi)
        shape += size * np.cos(harmonic * position + phase)
    if random.random() < 0.25:
        # As sunshine or opening hours: nothing for a part of the season.
        shape = np.maximum(shape, np.quantile(shape, random.uniform(0.2, 0.6)))
    return shape / max(float(shape.std()), 1e-9)


def _trend(steps: int, random: np.random.Generator) -> np.ndarray:
    """Straight pieces with one to three bends at most, or a random walk; of unit variance, mean zero."""
    if random.random() < 0.3:
        walk = np.cumsum(random.standard_normal(steps))
    else:
        bends = np.sort(random.uniform(0, steps, int(random.integers(0, 4))))
        time = np.arange(steps)
        walk = random.standard_normal() * time
        for bend in bends:
            walk = walk + random.standard_normal() * np.maximum(time - bend, 0)
    return (walk - walk.mean()) / max(float(walk.std()), 1e-9)


def _noise(steps: int, random: np.random.Generator) -> np.ndarray:
    """An ARMA(2, 1) process of unit variance."""
    first, second = random.uniform(-0.5, 0.98), random.uniform(-0.5, 0.5)
    moving = random.uniform(-0.7, 0.7)
    shocks = random.standard_normal(steps + WARM_UP)
    driven = shocks.copy()
    driven[1:] += moving * shocks[:-1]
    values = np.zeros(steps + WARM_UP)
    for index in range(2, len(values)):
        values[index] = (
            (first + second) * values[index - 1] - first * second * values[index - 2] + driven[index]
        )
    kept = values[WARM_UP:]
    return kept / max(float(kept.std()), 1e-9)
