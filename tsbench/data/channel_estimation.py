"""Estimated responses: what a receiver knows of a channel from pilots, in place of the response itself.

In every snapshot one OFDM symbol carries a pilot of unit power on every `comb`-th subcarrier, as the sounding
reference signal of 3GPP TS 38.211, section 6.4.1.4. Least squares at the pilots leaves white noise there; the
subcarriers between them are interpolated linearly, or by the linear estimator of least mean squared error for
a declared power delay profile (Edfors et al., "OFDM channel estimation by singular value decomposition", IEEE
Trans. Commun. 46(7), 1998). Snapshots and elements are estimated one by one. Disturbances draw as those of
`complex_noise`; filters work in double precision, sample by sample, so that the batch leaves no trace.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from tsbench.contracts import InputError

from .batch import Batch
from .complex_noise import add_white_noise, complex_normal, levels_of

Estimator = Literal["ls", "lmmse"]


def estimated(
    estimator: Estimator,
    batch: Batch,
    generators: Sequence[np.random.Generator],
    level: float | torch.Tensor,
    options: Mapping[str, Any],
    scale: Any,
) -> Batch:
    """Responses estimated from pilots `level` dB above the noise, in the mean over the pilots of a sample.

    Options: `comb`, subcarriers from one pilot to the next; for `lmmse` also `spacing`, Hz from one to the
    next, and `delay_spread`, seconds, of the exponential profile that the estimator assumes.

    Raises:
        InputError: where an option is missing or cannot be, or there are fewer than two pilots.
    """
    context = batch["context"]
    features = context.shape[-1]
    pilots = pilot_places(features, _whole(options, "comb"))
    at_pilots = context[..., pilots]
    observed = add_white_noise(at_pilots, complex_normal(generators, at_pilots), level)
    if estimator == "ls":
        weights = [linear_filter(features, pilots)] * len(generators)
    else:
        spacing, spread = _positive(options, "spacing"), _positive(options, "delay_spread")
        covariance = exponential_covariance(features, spacing, spread)
        by_level = {
            snr: lmmse_filter(covariance, pilots, 10 ** (-snr / 10))
            for snr in dict.fromkeys(levels_of(level, len(generators)))
        }
        weights = [by_level[snr] for snr in levels_of(level, len(generators))]
    return batch.replace(context=interpolate(observed, weights))


estimated_ls = partial(estimated, "ls")
estimated_lmmse = partial(estimated, "lmmse")


def pilot_places(subcarriers: int, comb: int) -> torch.Tensor:
    """Subcarriers that carry pilots: every `comb`-th, from the first on.

    Raises:
        InputError: where these are fewer than two.
    """
    places = torch.arange(0, subcarriers, comb)
    if len(places) < 2:
        raise InputError(f"A comb of {comb} leaves fewer than 2 pilots on {subcarriers} subcarriers")
    return places


def linear_filter(subcarriers: int, pilots: torch.Tensor) -> torch.Tensor:
    """Weights of linear interpolation; beyond the last pilot the line through the last two goes on.

    Args:
        subcarriers: to be estimated.
        pilots: places of at least two pilots, ascending, int64.

    Returns:
        complex128, shape (subcarrier, pilot); every row sums to 1.
    """
    place = torch.arange(subcarriers)
    right = torch.searchsorted(pilots, place).clamp(1, len(pilots) - 1)
    left = right - 1
    share = (place - pilots[left]).double() / (pilots[right] - pilots[left])
    weights = torch.zeros(subcarriers, len(pilots), dtype=torch.complex128)
    weights[place, left] = (1 - share).to(weights)
    weights[place, right] = share.to(weights)
    return weights


def lmmse_filter(covariance: torch.Tensor, pilots: torch.Tensor, noise: float) -> torch.Tensor:
    """Weights R_hp (R_pp + noise · I)⁻¹ of the linear estimator of least mean squared error.

    Args:
        covariance: R of the response over subcarriers, Hermitian, complex128, shape (subcarrier, subcarrier).
        pilots: places of the pilots, int64.
        noise: variance of the least-squares error at a pilot, in units of `covariance`.

    Returns:
        complex128, shape (subcarrier, pilot).
    """
    between = covariance[pilots][:, pilots] + noise * torch.eye(len(pilots), dtype=covariance.dtype)
    # Both are Hermitian: the transposed conjugate turns the product into a solution.
    return torch.linalg.solve(between, covariance[pilots]).mH.contiguous()


def exponential_covariance(subcarriers: int, spacing: float, delay_spread: float) -> torch.Tensor:
    """Correlation over frequency of a channel of unit power whose power decays exponentially with the delay.

    R(Δf) = 1 / (1 + j 2π Δf τ), the Fourier transform of exp(−t/τ)/τ, whose root-mean-square spread is τ.

    Args:
        subcarriers: how many.
        spacing: Hz from one to the next.
        delay_spread: τ, seconds.

    Returns:
        E[h_k h_l*], complex128, shape (subcarrier k, subcarrier l).
    """
    frequency = torch.arange(subcarriers, dtype=torch.float64) * spacing
    apart = frequency[:, None] - frequency
    return 1 / (1 + 2j * torch.pi * apart * delay_spread)


def interpolate(observed: torch.Tensor, weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """Estimates at all subcarriers from those at the pilots.

    Args:
        observed: complex, shape (sample, element, time, pilot).
        weights: of each sample, complex128, shape (subcarrier, pilot).

    Returns:
        Shape (sample, element, time, subcarrier), dtype of `observed`.
    """
    # One product a sample: a product over a batch may be cut, and so rounded, otherwise for another batch.
    rows = [
        one.to(torch.complex128) @ weight.to(one.device).mT
        for one, weight in zip(observed, weights, strict=True)
    ]
    return torch.stack(rows).to(observed.dtype)


def _whole(options: Mapping[str, Any], name: str) -> int:
    value = options.get(name)
    if type(value) is not int or value < 1:
        raise _wrong(name, value, "a whole number")
    return value


def _positive(options: Mapping[str, Any], name: str) -> float:
    value = options.get(name)
    if type(value) not in (int, float) or not 0 < float(value) < float("inf"):  # type: ignore[arg-type]
        raise _wrong(name, value, "a number")
    return float(value)  # type: ignore[arg-type]


def _wrong(name: str, value: Any, wanted: str) -> InputError:
    found = "is missing" if value is None else f"is {value!r}"
    return InputError(f"Estimation from pilots: the option `{name}` {found}; it must be {wanted} above 0")
