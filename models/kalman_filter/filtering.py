"""The Kalman filter over many windows at once, each target by itself."""

import math
from dataclasses import dataclass

import torch

DIFFUSE = 1e6
"""Variance of what is not known at the start, as a multiple of the window's own spread."""


@dataclass(frozen=True)
class Motion:
    """A chain of integrators whose last one is driven by white noise.

    Attributes:
        interval: seconds from step to step.
        transition: of the state (position, velocity, …) over one step, float64, shape (order, order).
        noise: covariance of what noise of intensity 1 adds in one step, float64, same shape.
    """

    interval: float
    transition: torch.Tensor
    noise: torch.Tensor

    @classmethod
    def of(cls, order: int, interval: float) -> "Motion":
        """The motion whose derivative of that order is white noise (Bar-Shalom et al., section 6.2).

        Args:
            order: 2 for constant velocity, 3 for constant acceleration.
            interval: seconds from step to step.
        """
        transition, noise = (torch.zeros(order, order, dtype=torch.float64) for _ in range(2))
        for row in range(order):
            for column in range(order):
                if column >= row:
                    transition[row, column] = interval ** (column - row) / math.factorial(column - row)
                a, b = order - 1 - row, order - 1 - column
                # ∫ s^a s^b / (a! b!) ds over one step.
                power = a + b + 1
                noise[row, column] = interval**power / (power * math.factorial(a) * math.factorial(b))
        return cls(interval, transition, noise)

    @property
    def order(self) -> int:
        """Numbers in the state."""
        return len(self.transition)


@dataclass(frozen=True)
class Filtered:
    """What is known after the last step.

    Attributes:
        state: float64, shape (sample, target, order).
        covariance: of the state, shape (sample, target, order, order).
        likelihood: log-likelihood of all windows, each after the first `order` observed values.
    """

    state: torch.Tensor
    covariance: torch.Tensor
    likelihood: torch.Tensor


def filter_windows(
    motion: Motion,
    values: torch.Tensor,
    observed: torch.Tensor,
    process: torch.Tensor,
    measurement: torch.Tensor,
) -> Filtered:
    """Filter windows from a diffuse start; missing values are predicted over.

    Args:
        motion: of the state.
        values: float64, shape (sample, time, target).
        observed: mask of the same shape.
        process: intensity of the driving noise, float64, shape (target,).
        measurement: variance of the measurements, float64, shape (target,).
    """
    samples, times, targets = values.shape
    transition, order = motion.transition.to(values), motion.order
    added = process[:, None, None] * motion.noise.to(values)  # (target, order, order)
    start = _start(values, observed)
    state = torch.zeros(samples, targets, order, dtype=values.dtype, device=values.device)
    state[..., 0] = start
    spread = (values - start[:, None]).square().amax(dim=1) + measurement  # (sample, target)
    scale = motion.interval ** -(2.0 * torch.arange(order, dtype=values.dtype, device=values.device))
    covariance = torch.diag_embed(DIFFUSE * spread[..., None] * scale)
    seen = torch.zeros(samples, targets, dtype=torch.int64, device=values.device)
    likelihood = values.new_zeros(())
    for time in range(times):
        if time:
            state = state @ transition.T
            covariance = transition @ covariance @ transition.T + added
        known = observed[:, time]  # (sample, target)
        variance = covariance[..., 0, 0] + measurement
        error = torch.where(known, values[:, time] - state[..., 0], 0.0)
        gain = torch.where(known[..., None], covariance[..., 0] / variance[..., None], 0.0)
        counted = known & (seen >= order)
        terms = -0.5 * (torch.log(2 * math.pi * variance) + error.square() / variance)
        likelihood = likelihood + terms[counted].sum()
        state = state + gain * error[..., None]
        covariance = _updated(covariance, gain, measurement)
        seen = seen + known
    return Filtered(state, covariance, likelihood)


def _updated(covariance: torch.Tensor, gain: torch.Tensor, measurement: torch.Tensor) -> torch.Tensor:
    """Joseph's form, (I − K H) P (I − K H)ᵀ + K R Kᵀ: stays positive where the start is diffuse."""
    keep = torch.diag_embed(torch.ones_like(gain))
    keep[..., 0] -= gain  # H picks the position
    outer = gain[..., :, None] * gain[..., None, :]
    return keep @ covariance @ keep.mT + outer * measurement[:, None, None]


def _start(values: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """First observed value of each window, 0 where there is none, shape (sample, target)."""
    first = observed.int().argmax(dim=1, keepdim=True)
    return torch.where(observed.any(dim=1), values.gather(1, first)[:, 0], 0.0)
