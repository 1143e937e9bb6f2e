"""Generated weekly weather: a climatology, and anomalies of five latent factors shared in space and time."""

from dataclasses import dataclass

import numpy as np

from .variables import FACTORS, WEEKS, Variable

PERSISTENCE = 0.8
"""Correlation of a factor with itself a week later."""
LENGTH = 3.0
"""Of the Gaussian kernel by which factors are correlated in space, degrees."""
NOISE = 0.3
"""Of each variable, beside the factors, in its spread."""
BLOCK = 64
"""Places whose noise is drawn together."""


@dataclass(frozen=True)
class Places:
    """Where it is.

    Attributes:
        latitude, longitude: degrees, shape (place,).
    """

    latitude: np.ndarray
    longitude: np.ndarray

    def __len__(self) -> int:
        return len(self.latitude)


def draw_factors(places: Places, years: int, random: np.random.Generator) -> np.ndarray:
    """Stationary factors of unit variance, correlated over weeks and places.

    Returns:
        Float64, shape (factor, year, week, place).
    """
    distance = np.hypot(
        places.latitude[:, None] - places.latitude, places.longitude[:, None] - places.longitude
    )
    kernel = np.exp(-((distance / LENGTH) ** 2) / 2)
    # The jitter keeps near neighbours from making the kernel singular.
    mixing = np.linalg.cholesky(kernel + 1e-6 * np.eye(len(places)))
    found = np.empty((len(FACTORS), years * WEEKS, len(places)))
    keep = np.sqrt(1 - PERSISTENCE**2)
    now = random.standard_normal((len(FACTORS), len(places))) @ mixing.T
    for week in range(years * WEEKS):
        now = PERSISTENCE * now + keep * (random.standard_normal(now.shape) @ mixing.T)
        found[:, week] = now
    return found.reshape(len(FACTORS), years, WEEKS, len(places))


def climatology(variable: Variable, latitude: np.ndarray) -> np.ndarray:
    """a(latitude) + b · cos(2π (week − peak) / 52), in the variable's spread, shape (place, week)."""
    week = np.arange(1, WEEKS + 1)
    season = variable.season * np.cos(2 * np.pi * (week - variable.peak) / WEEKS)
    return variable.latitude * (latitude[:, None] - 42) / 5 + season


def weather_of(
    variables: tuple[Variable, ...], places: Places, factors: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Weather of some variables at some places.

    Args:
        variables: which.
        places: where.
        factors: there, shape (factor, year, week, place).
        random: of the noise.

    Returns:
        Float32, shape (place, year, week, variable).
    """
    loadings = np.array([one.loadings for one in variables])  # (variable, factor)
    usual = np.stack([climatology(one, places.latitude) for one in variables], axis=-1)
    centre, spread = (np.array([getattr(one, key) for one in variables]) for key in ("centre", "spread"))
    floor = np.array([-np.inf if one.floor is None else one.floor for one in variables])
    blocks = []
    for start in range(0, len(places), BLOCK):
        part = slice(start, start + BLOCK)
        anomaly = np.einsum("vf,fywp->pywv", loadings, factors[..., part])
        anomaly += NOISE * random.standard_normal(anomaly.shape)
        values = centre + spread * (usual[part, None] + anomaly)
        blocks.append(np.maximum(values, floor).astype(np.float32))
    return np.concatenate(blocks)
