"""Draws of Gaussian processes with composed kernels: KernelSynth (Ansari et al. 2024, algorithm 2).

A kernel is made of one to five simple ones, drawn with replacement and joined by sums and products at random;
a series is one draw from the process with mean zero. Time runs over [0, 1], as there.
"""

import numpy as np

JITTER = 1e-6
"""Added to the diagonal: sums and products of smooth kernels are singular to machine precision."""
SHORTEST_SEASONS = 4
"""A period that fits in fewer times is no season of the series."""
MEASURED = (0.02, 0.2)
"""Noise of measurement, as a share of a draw's deviation; beyond KernelSynth: no measurement is smooth."""
LENGTHS = (0.1, 1.0, 10.0)
MIXTURES = (0.1, 1.0, 10.0)
NOISE = (0.1, 1.0)
OFFSETS = (0.0, 1.0, 10.0)


def draw_process(
    steps: int, periods: tuple[int, ...], most: int, random: np.random.Generator
) -> tuple[np.ndarray, int]:
    """One draw.

    Args:
        steps: of the series.
        periods: of the periodic kernels, in steps.
        most: simple kernels that a kernel is made of, at most.
        random: where every choice comes from.

    Returns:
        Values, float64, shape (step,); and the period of the first periodic kernel, 1 where there is none.
    """
    time = np.linspace(0.0, 1.0, steps)
    distance = time[:, None] - time
    season, covariance = 1, None
    for _ in range(int(random.integers(1, most + 1))):
        kernel, period = _draw_kernel(time, distance, periods, random)
        season = period if season == 1 else season
        if covariance is None:
            covariance = kernel
        else:
            covariance = covariance + kernel if random.random() < 0.5 else covariance * kernel
    assert covariance is not None
    scale = float(np.mean(np.diag(covariance))) or 1.0
    lower = np.linalg.cholesky(covariance / scale + JITTER * np.eye(steps))
    smooth = lower @ random.standard_normal(steps)
    noise = random.uniform(*MEASURED) * smooth.std()
    return smooth + noise * random.standard_normal(steps), season


def _draw_kernel(
    time: np.ndarray, distance: np.ndarray, periods: tuple[int, ...], random: np.random.Generator
) -> tuple[np.ndarray, int]:
    """A simple kernel, shape (step, step), and its period in steps, 1 where it has none."""
    kind = random.choice(
        ["periodic", "smooth", "quadratic", "linear", "noise"], p=[0.45, 0.2, 0.15, 0.1, 0.1]
    )
    if kind == "periodic":
        long_enough = [period for period in periods if period * SHORTEST_SEASONS <= len(time)]
        period = int(random.choice(long_enough))
        phase = np.sin(np.pi * distance * (len(time) - 1) / period)
        return np.exp(-2.0 * phase**2), period
    if kind == "smooth":
        return np.exp(-0.5 * (distance / random.choice(LENGTHS)) ** 2), 1
    if kind == "quadratic":
        mixture = random.choice(MIXTURES)
        return (1.0 + 0.5 * distance**2 / mixture) ** -mixture, 1
    if kind == "linear":
        return random.choice(OFFSETS) ** 2 + time[:, None] * time, 1
    return random.choice(NOISE) ** 2 * np.eye(len(time)), 1
