"""Temperature of a region: yearly and daily cycle, and weather that passes in days."""

from dataclasses import dataclass

import numpy as np

from .noise import autoregressive

FRONT_HOURS, CLOUD_HOURS = 60.0, 5.0
"""Memory of passing fronts and of clouds."""


@dataclass(frozen=True)
class Climate:
    """Climate of a region.

    Attributes:
        mean: yearly mean, °C.
        yearly: half the difference of the warmest and the coldest time of the year, °C.
        daily: half the difference of the afternoon and the early morning at an equinox, °C.
        weather: standard deviation of the passing weather in winter, °C.
    """

    mean: float
    yearly: float
    daily: float
    weather: float


def draw_temperature(time: np.ndarray, climate: Climate, stream: np.random.Generator) -> np.ndarray:
    """Air temperature, °C, shape (hour,).

    Coldest around 20 January and at 3 a.m., as at mid-latitude stations; the daily range is wider and the
    weather calmer in summer.
    """
    warmth = -np.cos(2 * np.pi * (year_phase(time) - 20 / 365.25))  # −1 in winter, 1 in summer
    daylight = -np.cos(2 * np.pi * (day_phase(time) - 3 / 24))
    # One draw a row, both processes side by side: a shorter axis gives the same first hours.
    shocks = stream.standard_normal((len(time), 2))
    fronts = autoregressive(shocks[:, 0].copy(), FRONT_HOURS)
    clouds = autoregressive(shocks[:, 1].copy(), CLOUD_HOURS)
    cycles = climate.mean + climate.yearly * warmth + climate.daily * (1 + 0.35 * warmth) * daylight
    return cycles + climate.weather * (1 - 0.25 * warmth) * (0.95 * fronts + 0.3 * clouds)


def year_phase(time: np.ndarray) -> np.ndarray:
    """Share of the year that has passed, in [0, 1)."""
    days = (time - time.astype("datetime64[Y]").astype("datetime64[D]")) / np.timedelta64(1, "D")
    return days / 365.25


def day_phase(time: np.ndarray) -> np.ndarray:
    """Share of the day that has passed, in [0, 1)."""
    return (time - time.astype("datetime64[D]")) / np.timedelta64(1, "D")
