"""Metrics of roll-outs of fields, with the weights and formulas of WeatherBench 2.

All take forecasts and truth of shape (sample, lead_time, channel, latitude, longitude) and a `GridReference`,
and leave (sample, lead_time, column): every channel over the whole grid, then every channel in each region.
Means over space weigh rows by their area; roots are taken after the mean over forecasts (Rasp et al. 2024,
WeatherBench 2, J. Adv. Model. Earth Syst. 16, e2023MS004019; weatherbench2/metrics.py).
"""

import torch

from tsbench.contracts import InputError
from tsbench.data.rollout.reference import GridReference

from .base import Metric, Statistic

Statistics = tuple[torch.Tensor, torch.Tensor]


def spatial_mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Means over the whole grid and over each region.

    Args:
        values: float64, shape (..., channel, latitude, longitude).
        weights: each row sums to 1, shape (1 + region, latitude).

    Returns:
        Shape (..., column): all channels over the whole, then all channels of the first region, and so on.
    """
    circles = values.mean(dim=-1)  # (..., channel, latitude)
    return torch.einsum("...cy,ry->...rc", circles, weights).flatten(-2)


def squared_error(forecast: torch.Tensor, observed: torch.Tensor, scale: GridReference) -> Statistics:
    """Spatial mean of (f − o)² of each forecast, and ones."""
    error = spatial_mean((forecast - observed).square(), scale.weights)
    return error, torch.ones_like(error)


def absolute_error(forecast: torch.Tensor, observed: torch.Tensor, scale: GridReference) -> Statistics:
    """Spatial mean of |f − o| of each forecast, and ones."""
    error = spatial_mean((forecast - observed).abs(), scale.weights)
    return error, torch.ones_like(error)


def signed_error(forecast: torch.Tensor, observed: torch.Tensor, scale: GridReference) -> Statistics:
    """Spatial mean of f − o of each forecast, and ones."""
    error = spatial_mean(forecast - observed, scale.weights)
    return error, torch.ones_like(error)


def scaled_squared_error(forecast: torch.Tensor, observed: torch.Tensor, scale: GridReference) -> Statistics:
    """Spatial mean of (f − o)² over the variance of the training part about its climatology, and ones."""
    spread = torch.where(scale.spread > 0, scale.spread, torch.nan)[:, None, None]
    error = spatial_mean(((forecast - observed) / spread).square(), scale.weights)
    return error.nan_to_num(), error.isfinite().to(error)


def anomaly_correlation(forecast: torch.Tensor, observed: torch.Tensor, scale: GridReference) -> Statistics:
    """⟨f' o'⟩ / sqrt(⟨f'²⟩ ⟨o'²⟩) of each forecast, without taking out a mean over space, and ones.

    f' and o' are relative to the climatology of the valid time. Forecasts without an anomaly, such as the
    climatology itself, have no correlation and do not count.
    """
    forecast, observed = forecast - scale.climatology, observed - scale.climatology
    together = spatial_mean(forecast * observed, scale.weights)
    ahead, true = (
        spatial_mean(forecast.square(), scale.weights),
        spatial_mean(observed.square(), scale.weights),
    )
    # What single precision leaves of an anomaly that is none.
    least = 1e-12 * (true + spatial_mean(scale.climatology.square(), scale.weights))
    defined = (ahead > least) & (true > least)
    correlation = torch.where(defined, together / torch.where(defined, ahead * true, 1.0).sqrt(), 0.0)
    return correlation, defined.to(correlation)


def wind_vector_error(forecast: torch.Tensor, observed: torch.Tensor, scale: GridReference) -> Statistics:
    """Spatial mean of (f_u − o_u)² + (f_v − o_v)², mean over levels, and ones; shape (sample, lead_time, 1).

    Raises:
        InputError: where the task does not score both winds.
    """
    if not scale.winds:
        raise InputError(
            "wb.wind_vector_rmse needs u_component_of_wind and v_component_of_wind among the targets"
        )
    east, north = ([pair[place] for pair in scale.winds] for place in (0, 1))
    error = (forecast - observed).square()
    error = spatial_mean(error[:, :, east] + error[:, :, north], scale.weights[:1]).mean(dim=-1, keepdim=True)
    return error, torch.ones_like(error)


def spread_and_skill(forecast: torch.Tensor, observed: torch.Tensor, scale: GridReference) -> Statistics:
    """Spatial means of the variance between members (n − 1), and of the squared error of their mean.

    Args:
        forecast: members, shape (realization, sample, lead_time, channel, latitude, longitude).
        observed: shape (sample, lead_time, channel, latitude, longitude).
        scale: weights.
    """
    mean = forecast.mean(dim=0)
    variance = (forecast - mean).square().sum(dim=0) / max(len(forecast) - 1, 1)
    error = (mean - observed).square()
    return spatial_mean(variance, scale.weights), spatial_mean(error, scale.weights)


def ranked_probability_score(
    forecast: torch.Tensor, observed: torch.Tensor, scale: GridReference
) -> Statistics:
    """Spatial mean of the CRPS of an ensemble in its fair form, and ones.

    mean |x_i − o| − Σ_ij |x_i − x_j| / (2 n (n − 1)), by the ordered members: Σ_ij |x_i − x_j| =
    2 Σ_i (2 i − n − 1) x_(i). One member gives its absolute error.

    Args:
        forecast: members, shape (realization, sample, lead_time, channel, latitude, longitude).
        observed: shape (sample, lead_time, channel, latitude, longitude).
        scale: weights.
    """
    members = len(forecast)
    score = (forecast - observed).abs().mean(dim=0)
    if members > 1:
        rank = torch.arange(1, members + 1, dtype=forecast.dtype)
        between = torch.einsum("i,i...->...", 2 * rank - members - 1, forecast.sort(dim=0).values)
        score = score - between / (members * (members - 1))
    score = spatial_mean(score, scale.weights)
    return score, torch.ones_like(score)


def zonal_power(values: torch.Tensor) -> torch.Tensor:
    """Power of each zonal wavenumber; their sum is the mean square over a circle of latitude.

    Args:
        values: float64, shape (..., longitude).

    Returns:
        Shape (..., wavenumber), from 0 to half the number of longitudes.
    """
    longitudes = values.shape[-1]
    power = torch.fft.rfft(values, norm="forward").abs().square()
    inner = slice(1, (longitudes + 1) // 2)
    power[..., inner] *= 2
    return power


def small_scale_power(forecast: torch.Tensor, observed: torch.Tensor, scale: GridReference) -> Statistics:
    """Spatial means of the power in zonal waves that are shorter than twelve points: forecast, then truth."""
    first = forecast.shape[-1] // 12 + 1
    powers = (zonal_power(one)[..., first:].sum(dim=-1, keepdim=True) for one in (forecast, observed))
    known, true = (spatial_mean(power, scale.weights) for power in powers)
    return known, true


def _metric(name: str, title: str, statistic: Statistic, source: str, **further: object) -> Metric:
    return Metric(name, title, statistic, source, view="grid", **further)  # type: ignore[arg-type]


_SOURCE = "WeatherBench 2 (Rasp et al. 2024), weatherbench2/metrics.py"
_RATIO = (
    "RMSE of WeatherBench 2 over the spread of the training part about its climatology, mean over variables"
)

METRICS: tuple[Metric, ...] = (
    _metric("rmse_ratio", "RMSE / spread", scaled_squared_error, _RATIO, finish="root", by_channel=True),
    _metric("wb.rmse", "RMSE", squared_error, _SOURCE, finish="root", apart=True),
    _metric("wb.mae", "MAE", absolute_error, _SOURCE, apart=True),
    _metric("wb.bias", "Bias", signed_error, _SOURCE, apart=True, better="nominal", nominal=0.0),
    _metric("wb.acc", "ACC", anomaly_correlation, _SOURCE, by_channel=True, better="higher"),
    _metric("wb.wind_vector_rmse", "Wind vector RMSE", wind_vector_error, _SOURCE, finish="root", joint=True),
    _metric("wb.crps", "CRPS", ranked_probability_score, _SOURCE, reads="samples", apart=True),
    _metric(
        "spread_skill",
        "Spread / skill",
        spread_and_skill,
        "Fortin et al. (2014), J. Hydrometeorol. 15: root of mean ensemble variance over RMSE of the mean",
        reads="samples",
        finish="root",
        by_channel=True,
        better="nominal",
        nominal=1.0,
    ),
    _metric(
        "small_scale_power",
        "Small-scale power",
        small_scale_power,
        "power of short zonal waves in the forecast over that in the truth; below 1: blurred",
        by_channel=True,
        better="nominal",
        nominal=1.0,
    ),
)
