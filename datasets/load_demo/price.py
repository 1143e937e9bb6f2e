"""Day-ahead price: a convex function of the residual load, with spikes when the system is tight.

The price grows exponentially along the stack of bids (Carmona, R., Coulon, M. (2014), A survey of commodity
markets and structural models for electricity prices, in: Quantitative Energy Finance, Springer, 41–83;
Barlow, M. (2002), A diffusion model for electricity prices, Mathematical Finance 12(4), 287–298). Residual
load is load less wind and sun.
"""

import numpy as np

from .climate import day_phase, year_phase
from .noise import autoregressive

WIND_HOURS, PRICE_HOURS, SPIKE_HOURS = 30.0, 12.0, 3.0
FLOOR, CEILING = -100.0, 3000.0
"""EUR/MWh, limits of the exchange."""


def draw_price(time: np.ndarray, load: np.ndarray, stream: np.random.Generator) -> np.ndarray:
    """Price, EUR/MWh, shape (hour,).

    Args:
        time: datetime64, local standard time, shape (hour,).
        load: as a share of the region's base load, shape (hour,).
        stream: of random numbers.
    """
    draws = stream.standard_normal((len(time), 4))
    wind = 0.25 / (1 + np.exp(-1.2 * autoregressive(draws[:, 0].copy(), WIND_HOURS)))
    cloud = 1 / (1 + np.exp(-autoregressive(draws[:, 1].copy(), 20.0)))
    residual = load - wind - _sun(time) * (1 - 0.7 * cloud)
    stack = 8 + 42 * np.exp(2.6 * (residual - 0.8)) - 60 * np.maximum(0.45 - residual, 0)
    noise = 1 + 0.08 * autoregressive(draws[:, 2].copy(), PRICE_HOURS)
    return np.clip(stack * noise + _spikes(residual, draws[:, 3]), FLOOR, CEILING)


def _sun(time: np.ndarray) -> np.ndarray:
    """Output of photovoltaics under a clear sky, share of the base load; highest at noon in June."""
    height = np.cos(2 * np.pi * (day_phase(time) - 0.5))
    season = -np.cos(2 * np.pi * (year_phase(time) + 10 / 365.25))
    return 0.22 * np.maximum(height + 0.35 * season, 0) * (1 + 0.35 * season)


def _spikes(residual: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Spikes that die away within hours; they begin at 0.02 % of hours, at 3 % when the system is tight."""
    from scipy.signal import lfilter
    from scipy.special import ndtr

    chance = 0.0002 + 0.03 / (1 + np.exp(-18 * (residual - 1.15)))
    uniform = ndtr(draws)
    begins = uniform < chance
    # Given that a spike begins, uniform / chance is uniform on (0, 1): its height needs no second draw.
    heights = np.where(begins, -120 * np.log(np.maximum(uniform / chance, 1e-12)), 0.0)
    return np.asarray(lfilter([1.0], [1.0, -np.exp(-1 / SPIKE_HOURS)], heights))
