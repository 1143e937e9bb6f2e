"""Generated yields: a trend, what the county's soil gives, water and heat in summer, and noise.

yield = base + trend · (year − 1980) + county + 25 · tanh(water) − 6 · max(0, heat) + noise for corn, in
bu/acre; soybean has the same form. Water and heat come mostly from the factors `soil` and `dryness`, which
hardly show in the six variables that yield data have.
"""

from dataclasses import dataclass

import numpy as np

from .variables import FACTORS

FIRST_YEAR = 1980
DROUGHT, DROUGHT_SHARE = -2.0, 0.1
"""Shift of `rain` and `soil` in the growing season of a drought year, and the share of such years."""
SEASON = slice(19, 36)
"""Weeks 20 to 36, in which a drought lies."""
JULY_AUGUST, HEAT_WEEKS = slice(26, 35), slice(25, 32)
WATER = {"rain": 0.45, "soil": 0.9}
HEAT = {"warmth": 0.5, "dryness": 0.87}


@dataclass(frozen=True)
class Crop:
    """Of a crop, in bu/acre.

    Attributes:
        base: yield of 1980.
        trend: gain of a year.
        county: standard deviation of the counties.
        water, heat: amplitudes.
        noise: standard deviation.
    """

    base: float
    trend: float
    county: float
    water: float
    heat: float
    noise: float


CROPS = {
    "corn": Crop(base=105, trend=1.8, county=12, water=25, heat=6, noise=6),
    "soybean": Crop(base=32, trend=0.45, county=3.5, water=7, heat=2, noise=1.8),
}


def draw_droughts(years: int, random: np.random.Generator) -> np.ndarray:
    """Which years are droughts, bool, shape (year,); about a tenth, one at least."""
    count = max(1, round(DROUGHT_SHARE * years))
    found = np.zeros(years, bool)
    found[random.permutation(years)[:count]] = True
    return found


def with_droughts(factors: np.ndarray, droughts: np.ndarray) -> np.ndarray:
    """Factors with `rain` and `soil` shifted in the growing season of drought years."""
    shifted = factors.copy()
    for name in WATER:
        shifted[FACTORS.index(name), droughts, SEASON] += DROUGHT
    return shifted


def yields_of(
    crop: Crop, factors: np.ndarray, quality: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Yields of a crop.

    Args:
        crop: which.
        factors: at the counties, with droughts, shape (factor, year, week, place).
        quality: of the counties' soil, unit variance, shape (place,).
        random: of what neither soil nor weather says.

    Returns:
        bu/acre, float64, shape (place, year), never below 0.
    """
    years, places = factors.shape[1], factors.shape[3]
    water = _mean(factors, WATER, JULY_AUGUST)  # (year, place)
    heat = _mean(factors, HEAT, HEAT_WEEKS)
    county = crop.county * (0.7 * quality + np.sqrt(1 - 0.7**2) * random.standard_normal(places))
    trend = crop.base + crop.trend * np.arange(years)[:, None]
    weather = crop.water * np.tanh(water) - crop.heat * np.maximum(0, heat)
    found = trend + county + weather + crop.noise * random.standard_normal((years, places))
    return np.maximum(found, 0).T


def planting_of(factors: np.ndarray, weeks: int, random: np.random.Generator) -> np.ndarray:
    """Share of the fields that are planted after each of some weeks of spring, shape (place, year, week).

    A warm spring is an early one.
    """
    warm = factors[FACTORS.index("warmth"), :, 13:20].mean(axis=1).T  # (place, year)
    middle = weeks / 2 - 1.2 * warm + 0.5 * random.standard_normal(warm.shape)
    return 1 / (1 + np.exp(middle[..., None] - np.arange(1, weeks + 1)))


def _mean(factors: np.ndarray, weights: dict[str, float], weeks: slice) -> np.ndarray:
    """Weighted factors, mean over weeks, shape (year, place)."""
    parts = [weight * factors[FACTORS.index(name), :, weeks] for name, weight in weights.items()]
    return np.sum(parts, axis=0).mean(axis=1)
