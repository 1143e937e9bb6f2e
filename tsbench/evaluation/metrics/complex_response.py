"""Errors, gains and rates of a forecast channel response (CSI).

Definitions of the CSI-RRG benchmark (arXiv 2510.12996). Forecast and observed are complex128, shape (sample,
antenna, lead_time, subcarrier), in the units of the data; results are float64 with the antenna last.
"""

import torch

from .base import Metric


def normalised_squared_error(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ_k |h − ĥ|² / Σ_k |h|² over the subcarriers k of each antenna and snapshot: 1 for a forecast of zeros.

    Their mean is a mean of ratios: antennas in a deep fade weigh a lot.

    Args:
        forecast: complex128, shape (sample, antenna, lead_time, subcarrier).
        observed: same shape and units as `forecast`; no snapshot of an antenna is all 0.
        scale: not used.

    Returns:
        Ratios, without unit, and ones, shape (sample, lead_time, antenna).

    Example:
        >>> truth = torch.full((1, 1, 1, 5), 2 + 1j)
        >>> normalised_squared_error(0.5 * truth, truth, torch.ones(1))[0].item()
        0.25
    """
    error, energy = error_energy_ratio(forecast, observed, scale)
    return error / energy, torch.ones_like(error)


def error_energy_ratio(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Energies of error and truth of each antenna and snapshot, for a ratio of sums.

    Args:
        forecast: complex128, shape (sample, antenna, lead_time, subcarrier).
        observed: same shape and units as `forecast`.
        scale: not used.

    Returns:
        Σ_k |h − ĥ|² and Σ_k |h|², units squared, shape (sample, lead_time, antenna).
    """
    return _energy(observed - forecast), _energy(observed)


def squared_error_norm(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Σ_k |h − ĥ|² over the subcarriers k of each antenna and snapshot; published under the name MSE.

    Args:
        forecast: complex128, shape (sample, antenna, lead_time, subcarrier).
        observed: same shape and units as `forecast`.
        scale: not used.

    Returns:
        Sums of squared errors, units squared, and ones, shape (sample, lead_time, antenna).
    """
    error = _energy(observed - forecast)
    return error, torch.ones_like(error)


def spectral_efficiency(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rate of a beam that is matched to the forecast, at an SNR of 10 dB, mean over the subcarriers.

    Args:
        forecast: complex128, shape (sample, antenna, lead_time, subcarrier); no factor matters.
        observed: same shape as `forecast`; with the mean power of an antenna near 1.
        scale: not used.

    Returns:
        Rates in bit/s/Hz and ones, shape (sample, lead_time, 1).
    """
    rate = beam_rate(forecast, observed).mean(dim=-1, keepdim=True)
    return rate, torch.ones_like(rate)


def beam_rate(forecast: torch.Tensor, observed: torch.Tensor, snr_db: float = 10.0) -> torch.Tensor:
    """log2(1 + |Σ_a ĥ_a* h_a|² / (σ² Σ_a |ĥ_a|²)) over the antennas a, with σ² = 10^(−snr_db/10).

    At most log2(1 + Σ_a |h_a|² / σ²), which the truth itself reaches; 0 where the forecast is 0.

    Args:
        forecast: complex, shape (sample, antenna, lead_time, subcarrier).
        observed: same shape as `forecast`.
        snr_db: signal-to-noise ratio of one antenna of unit power, in dB.

    Returns:
        Rates in bit/s/Hz, real, shape (sample, lead_time, subcarrier).

    Example:
        >>> truth = torch.ones(1, 3, 1, 1, dtype=torch.complex128)
        >>> round(beam_rate(1j * truth, truth, snr_db=0).item(), 12)
        2.0
    """
    return torch.log2(1 + beam_power(forecast, observed) * 10 ** (snr_db / 10))


def beam_gain(
    forecast: torch.Tensor, observed: torch.Tensor, scale: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Power that a beam matched to the forecast brings, and that of a beam matched to the truth.

    Σ_k |Σ_a ĥ_a* h_a|² / Σ_a |ĥ_a|² and Σ_k Σ_a |h_a|² over antennas a and subcarriers k (maximum ratio
    transmission, Lo, IEEE Trans. Commun. 47(10), 1999). Their ratio is at most 1, by Cauchy and Schwarz.

    Args:
        forecast: complex128, shape (sample, antenna, lead_time, subcarrier); no factor matters, not even one
            for each subcarrier.
        observed: same shape as `forecast`.
        scale: not used.

    Returns:
        Powers, units squared, shape (sample, lead_time, 1).

    Example:
        >>> truth = torch.ones(1, 2, 1, 1, dtype=torch.complex128)
        >>> one_antenna = truth * torch.tensor([1, 0]).reshape(1, 2, 1, 1)
        >>> [power.item() for power in beam_gain(one_antenna, truth, torch.ones(1))]
        [1.0, 2.0]
    """
    received = beam_power(forecast, observed).sum(dim=-1, keepdim=True)
    return received, _squared(observed).sum(dim=(1, 3))[..., None]


def beam_power(forecast: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """|Σ_a ĥ_a* h_a|² / Σ_a |ĥ_a|² over the antennas a; 0 where the forecast is 0.

    Args:
        forecast: complex, shape (sample, antenna, lead_time, subcarrier).
        observed: same shape as `forecast`.

    Returns:
        Real, units squared, shape (sample, lead_time, subcarrier).
    """
    gain = _squared((forecast.conj() * observed).sum(dim=1))  # (sample, lead_time, subcarrier)
    power = _squared(forecast).sum(dim=1)
    return torch.where(power > 0, gain / torch.where(power > 0, power, 1.0), 0.0)


def _energy(response: torch.Tensor) -> torch.Tensor:
    """Energy over the subcarriers, antenna last: shape (sample, lead_time, antenna)."""
    return _squared(response).sum(dim=-1).transpose(1, 2)


def _squared(response: torch.Tensor) -> torch.Tensor:
    return response.real.square() + response.imag.square()


_SOURCE = "CSI-RRG benchmark, arXiv 2510.12996"

NMSE = Metric(
    "nmse",
    "NMSE",
    normalised_squared_error,
    f"{_SOURCE}: mean over samples, steps and antennas of the ratios",
    view="csi",
)
NMSE_MEDIAN = Metric(
    "nmse_median",
    "NMSE (median)",
    normalised_squared_error,
    f"median of the ratios whose mean is the NMSE of the {_SOURCE}",
    finish="median",
    view="csi",
)
NMSE_DB = Metric(
    "nmse_db",
    "NMSE of sums (dB)",
    error_energy_ratio,
    "10 log10 of all error energy over all energy",
    finish="decibel",
    view="csi",
)
SQUARED_ERROR_NORM = Metric(
    "sse",
    "Sum of squared errors",
    squared_error_norm,
    f"{_SOURCE}, there named MSE: sum over subcarriers, mean over the rest",
    view="csi",
)
SPECTRAL_EFFICIENCY = Metric(
    "se",
    "Spectral efficiency (bit/s/Hz)",
    spectral_efficiency,
    f"{_SOURCE}: SNR 10 dB, mean over subcarriers",
    better="higher",
    view="csi",
)
BEAM_GAIN = Metric(
    "beam_gain",
    "Beamforming gain relative to perfect CSI (dB)",
    beam_gain,
    "10 log10 of all power that matched beams bring over that with the truth known; "
    "maximum ratio transmission, Lo (1999)",
    finish="decibel",
    better="higher",
    view="csi",
)
