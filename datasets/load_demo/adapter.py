"""Generates hourly load, temperature and price of a small power system; seeded, no files.

What is imitated, and after whom:

- Temperature: yearly and daily cycle with a first-order autoregressive weather anomaly, as in stochastic models
  of temperature for weather derivatives (Benth and Šaltytė Benth 2007, Quantitative Finance 7(5), eq. 4).
- Load: the form of Tao's vanilla benchmark of GEFCom2012 (Hong, Pinson and Fan 2014, International Journal of
  Forecasting 30(2), section 4.1; Hong 2010, PhD thesis, North Carolina State University): trend, month,
  weekday × hour, and a response to temperature that depends on the hour; smooth heating and cooling branches
  stand for its cubic polynomial. Holidays follow the Sunday profile. Errors are autoregressive, with a spread
  that grows with the load and is highest on the ramps (heteroscedastic).
- Price: a convex merit-order curve of residual load (load − sun − wind) with mean-reverting spikes, as in the
  jump-diffusion models reviewed by Weron (2014), International Journal of Forecasting 30(4), section 3.4.

Levels and coefficients are of plausible size for a system of about 1 GW; they are not fitted to any place.
"""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest
from tsbench.data.tables import Column, series_dataset

from .calendar import holidays

if TYPE_CHECKING:
    import xarray as xr

START = np.datetime64("2023-01-01T00", "h")
DAYS = {"tiny": 120, "small": 366, "full": 731}

TEMPERATURE = Column("temperature", "degC", "air temperature", standard_name="air_temperature")
LOAD = Column("load", "MW", "electricity load of the system")
PRICE = Column("price", "EUR MWh-1", "day-ahead price of electricity")

# Share of the daily mean by hour, Monday to Friday and weekend: two peaks, and one later and lower.
WORKDAY = np.array(
    [.76, .72, .70, .69, .71, .78, .91, 1.06, 1.13, 1.14, 1.13, 1.12,
     1.11, 1.10, 1.08, 1.07, 1.09, 1.15, 1.20, 1.19, 1.12, 1.02, .92, .83]
)  # fmt: skip
WEEKEND = np.array(
    [.78, .73, .70, .68, .67, .68, .72, .78, .86, .93, .97, .99,
     1.00, .98, .96, .95, .97, 1.03, 1.09, 1.09, 1.04, .97, .90, .82]
)  # fmt: skip


@dataclass(frozen=True)
class Climate:
    """Parameters of a variant.

    Attributes:
        base_load: mean load at mild temperature, MW.
        growth: relative growth of the load in a year.
        mean_temperature: over the year, degC.
        yearly_swing, daily_swing: half the range of the cycles, K.
        heating, cooling: relative load per K below 15 and above 21 degC.
        evening_shift: hours by which the daily profile is late.
        holidays: which list of holidays.
    """

    base_load: float
    growth: float
    mean_temperature: float
    yearly_swing: float
    daily_swing: float
    heating: float
    cooling: float
    evening_shift: int
    holidays: str


def build(request: BuildRequest) -> "xr.Dataset":
    """Generate two years (`full`), one year (`small`) or 120 days (`tiny`).

    Raises:
        InputError: for parameters that the generator does not have.
    """
    known = {field.name for field in fields(Climate)}
    if set(request.parameters) != known:
        raise InputError(f"{request.name}: the generator takes the parameters {sorted(known)}")
    climate = Climate(**request.parameters)
    generator = np.random.Generator(np.random.PCG64(request.seed))
    time = START + np.arange(24 * DAYS[request.size])
    temperature = generate_temperature(time, climate, generator)
    load = generate_load(time, temperature, climate, generator)
    price = generate_price(time, load, climate, generator)
    columns = {LOAD: load, TEMPERATURE: temperature, PRICE: price}
    rounded = {column: np.round(values, 2) for column, values in columns.items()}
    return series_dataset(time.astype("datetime64[ns]"), "PT1H", rounded)


def generate_temperature(time: np.ndarray, climate: Climate, generator: np.random.Generator) -> np.ndarray:
    """Hourly air temperature in degC, shape (row,): coldest in mid-January and at five in the morning."""
    day, hour = _day_of_year(time), _hour(time)
    yearly = -climate.yearly_swing * np.cos(2 * np.pi * (day - 15) / 365.25)
    # Days are warmer than nights above all in summer, when the sun is high.
    summer = 0.75 - 0.25 * np.cos(2 * np.pi * (day - 15) / 365.25)
    daily = -climate.daily_swing * summer * np.cos(2 * np.pi * (hour - 5) / 24)
    weather = _autoregressive(generator, len(time), memory_hours=72, spread=3.2)
    gusts = _autoregressive(generator, len(time), memory_hours=4, spread=0.6)
    return climate.mean_temperature + yearly + daily + weather + gusts


def generate_load(
    time: np.ndarray, temperature: np.ndarray, climate: Climate, generator: np.random.Generator
) -> np.ndarray:
    """Hourly load in MW, shape (row,); positive.

    Args:
        time: datetime64[h], shape (row,).
        temperature: degC, shape (row,).
        climate: parameters.
        generator: source of the errors.
    """
    hour, day = _hour(time).astype(int), _day_of_year(time)
    profile = _profile(time, climate)
    years = (time - time[0]).astype(np.int64) / (24 * 365.25)
    month = 1 + 0.03 * np.cos(2 * np.pi * (day - 10) / 365.25)
    # Buildings answer to the temperature of the last day more than to that of the hour.
    felt = _smoothed(temperature, hours=18)
    awake = np.where((hour >= 6) & (hour <= 22), 1.15, 0.85)
    response = climate.heating * _branch(15 - felt) + climate.cooling * _branch(felt - 21)
    mean = climate.base_load * (1 + climate.growth * years) * month * (profile + awake * response)
    ramp = np.abs(np.gradient(profile))
    spread = mean * (0.010 + 0.12 * ramp)
    return mean + spread * _autoregressive(generator, len(time), memory_hours=10, spread=1.0)


def generate_price(
    time: np.ndarray, load: np.ndarray, climate: Climate, generator: np.random.Generator
) -> np.ndarray:
    """Hourly price in EUR/MWh, shape (row,).

    Args:
        time: datetime64[h], shape (row,).
        load: MW, shape (row,).
        climate: parameters.
        generator: source of wind, clouds, errors and spikes.
    """
    hour, day, rows = _hour(time), _day_of_year(time), len(time)
    height = np.maximum(0, -np.cos(2 * np.pi * hour / 24)) * (
        0.65 - 0.35 * np.cos(2 * np.pi * (day + 10) / 365.25)
    )
    clouds = 1 / (1 + np.exp(-_autoregressive(generator, rows, memory_hours=30, spread=1.2)))
    sun = 0.30 * climate.base_load * height * (0.35 + 0.65 * clouds)
    wind = (
        0.18
        * climate.base_load
        * np.exp(_autoregressive(generator, rows, memory_hours=36, spread=0.6) - 0.18)
    )
    residual = (load - sun - wind) / climate.base_load
    curve = 22 + 38 * residual + 6 * np.exp(4.5 * (residual - 1))
    noise = (1.5 + 3.0 * np.maximum(residual, 0)) * _autoregressive(
        generator, rows, memory_hours=6, spread=1.0
    )
    return curve + noise + _spikes(generator, residual)


def _profile(time: np.ndarray, climate: Climate) -> np.ndarray:
    """Share of the daily mean in each hour: weekday × hour, holidays as Sundays."""
    day = time.astype("datetime64[D]")
    hour = (_hour(time).astype(int) - climate.evening_shift) % 24
    weekday = (day.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    free = np.isin(day, holidays(time, climate.holidays))
    level = np.array([0.99, 1.01, 1.02, 1.01, 0.99, 0.93, 0.89])[np.where(free, 6, weekday)]
    return level * np.where((weekday >= 5) | free, WEEKEND[hour], WORKDAY[hour])


def _spikes(generator: np.random.Generator, residual: np.ndarray) -> np.ndarray:
    """Rare jumps, more likely when little reserve is left, that halve every two hours."""
    chance = 0.002 + 0.03 * np.clip(residual - 1.05, 0, 0.5)
    jumps = np.where(generator.random(len(residual)) < chance, generator.gamma(2.0, 30.0, len(residual)), 0.0)
    return _filtered(jumps, 0.5**0.5)


def _autoregressive(
    generator: np.random.Generator, rows: int, memory_hours: float, spread: float
) -> np.ndarray:
    """Stationary first-order autoregression: correlation 1/e after `memory_hours`, standard deviation `spread`."""
    keep = np.exp(-1 / memory_hours)
    shocks = generator.standard_normal(rows)
    shocks[1:] *= np.sqrt(1 - keep**2)
    return spread * _filtered(shocks, keep)


def _smoothed(values: np.ndarray, hours: float) -> np.ndarray:
    """Exponential mean of the past."""
    keep = np.exp(-1 / hours)
    scaled = (1 - keep) * values
    scaled[0] = values[0]
    return _filtered(scaled, keep)


def _filtered(inputs: np.ndarray, keep: float) -> np.ndarray:
    """y[t] = keep · y[t − 1] + inputs[t]."""
    from scipy.signal import lfilter

    return lfilter([1.0], [1.0, -keep], inputs)


def _branch(excess: np.ndarray) -> np.ndarray:
    """max(0, excess) with a smooth foot of about 2 K."""
    return np.logaddexp(0.0, excess)


def _hour(time: np.ndarray) -> np.ndarray:
    return ((time - time.astype("datetime64[D]")).astype("timedelta64[h]").astype(np.int64)).astype(float)


def _day_of_year(time: np.ndarray) -> np.ndarray:
    return (time.astype("datetime64[D]") - time.astype("datetime64[Y]").astype("datetime64[D]")).astype(
        float
    ) + 1
