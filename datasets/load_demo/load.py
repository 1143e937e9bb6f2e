"""Electric load: trend, weekday × hour profile, holidays, temperature response and heteroscedastic noise.

The form is that of the benchmark of GEFCom2012 (Hong, T., Pinson, P., Fan, S. (2014), Global energy
forecasting competition 2012, Int. J. Forecasting 30(2), 357–363; Hong, T. (2010), Short term electric load
forecasting, PhD thesis, North Carolina State University): trend + calendar classes × hour + a function of
temperature. The temperature acts with a delay, as in Wang, P., Liu, B., Hong, T. (2016), Electric load
forecasting with recency effect, Int. J. Forecasting 32(3), 585–597. Numbers are plausible, not fitted.
"""

from dataclasses import dataclass

import numpy as np

from .climate import day_phase, year_phase
from .noise import autoregressive

BUILDING_HOURS = 18.0
"""Thermal memory of buildings."""
HEAT_BELOW, COOL_ABOVE = 15.0, 21.0
"""Temperatures, °C, where heating and cooling begin."""
NOISE_HOURS = 8.0


@dataclass(frozen=True)
class Demand:
    """Demand of a region.

    Attributes:
        base_mw: mean load of a working day without heating or cooling, MW.
        growth: share of the base by which the load grows in a year.
        heating: share of the base for each °C below 15 °C.
        cooling: share of the base for each °C above 21 °C.
        evening_hour: hour of the evening peak.
        noise: standard deviation of the noise, share of the load of a quiet hour.
    """

    base_mw: float
    growth: float
    heating: float
    cooling: float
    evening_hour: float
    noise: float


def draw_load(
    time: np.ndarray,
    holiday: np.ndarray,
    temperature: np.ndarray,
    demand: Demand,
    stream: np.random.Generator,
) -> np.ndarray:
    """Load, MW, shape (hour,).

    Args:
        time: datetime64, local standard time, shape (hour,).
        holiday: mask, shape (hour,).
        temperature: °C, shape (hour,).
        demand: of the region.
        stream: of random numbers.
    """
    shares = (
        _calendar(time, holiday, demand.evening_hour)
        + demand.growth * (np.arange(len(time)) / 8766)
        + 0.03 * np.cos(2 * np.pi * year_phase(time))  # lighting: long evenings in winter
        + _temperature_response(time, temperature, demand)
    )
    # People and wind chill are less predictable while the load is high or changes fast, and in hard weather.
    excess = np.maximum(shares - 1, 0) + 0.04 * np.maximum(np.abs(temperature - 18) - 8, 0)
    spread = demand.noise * shares * (1 + 1.5 * excess)
    noise = autoregressive(stream.standard_normal(len(time)), NOISE_HOURS)
    return demand.base_mw * np.maximum(shares + spread * noise, 0.2)


def _calendar(time: np.ndarray, holiday: np.ndarray, evening_hour: float) -> np.ndarray:
    """Weekday × hour profile, share of the base; holidays are like Sundays."""
    # 1970-01-01 was a Thursday, weekday 3 counted from Monday.
    weekday = (time.astype("datetime64[D]").astype(np.int64) + 3) % 7
    sunday = (weekday == 6) | holiday
    saturday = (weekday == 5) & ~sunday
    hour = 24 * day_phase(time)
    work = (
        0.80
        + 0.22 * _hump(hour, 9, 2.5)
        + 0.10 * _hump(hour, 14, 3.0)
        + 0.24 * _hump(hour, evening_hour, 2.2)
    )
    rest = 0.72 + 0.13 * _hump(hour, 12, 3.0) + 0.20 * _hump(hour, evening_hour, 2.4)
    # Offices close early on Friday.
    friday = np.where((weekday == 4) & (hour > 14), -0.03, 0.0)
    return np.where(sunday, rest, np.where(saturday, 0.35 * work + 0.65 * rest, work + friday))


def _hump(hour: np.ndarray, centre: float, width: float) -> np.ndarray:
    distance = np.abs(hour - centre)
    return np.exp(-0.5 * (np.minimum(distance, 24 - distance) / width) ** 2)


def _temperature_response(time: np.ndarray, temperature: np.ndarray, demand: Demand) -> np.ndarray:
    """Heating and cooling, share of the base, driven by the temperature that buildings have felt."""
    from scipy.signal import lfilter

    decay = np.exp(-1 / BUILDING_HOURS)
    # The filter starts in balance with the first hour.
    felt = lfilter([1 - decay], [1.0, -decay], temperature - temperature[0]) + temperature[0]
    felt = 0.7 * felt + 0.3 * temperature
    hour = 24 * day_phase(time)
    awake = 0.75 + 0.25 * np.tanh(2 * np.cos(2 * np.pi * (hour - 15) / 24))
    # Softplus: the response bends over a few degrees, since not all buildings switch at once.
    heat = np.logaddexp(0, (HEAT_BELOW - felt) / 2) * 2
    cool = np.logaddexp(0, (felt - COOL_ABOVE) / 2) * 2
    return awake * (demand.heating * heat + demand.cooling * cool)
