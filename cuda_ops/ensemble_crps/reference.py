"""The scores in a few lines of torch, by order and by pairs; differentiable as they stand."""

from collections.abc import Sequence

import torch


def scores(
    forecast: torch.Tensor,
    observed: torch.Tensor,
    levels: Sequence[float],
    fair: bool,
    weights: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """CRPS from the ordered members, and quantile losses.

    Args:
        forecast: members, shape (member, case).
        observed: shape (case,).
        levels: of the quantiles.
        fair: without the bias of few members.
        weights: of members, adding up to 1, shape (member, 1) or (member, case).

    Returns:
        CRPS, shape (case,), and losses, shape (level, case).
    """
    error, order = (forecast - observed).sort(dim=0, stable=True)
    weight = torch.full_like(error, 1 / len(error))
    if weights is not None:
        weight = weights.expand(error.shape).gather(0, order)
    slope = weight * (2 * weight.cumsum(dim=0) - weight - 1)
    crps = (weight * error.abs()).sum(dim=0) - (slope * error).sum(dim=0) * _spread_factor(weight, fair)
    losses = []
    for level in levels:
        place = level * (len(error) - 1)
        below = min(int(place), len(error) - 1)
        quantile = torch.lerp(error[below], error[min(below + 1, len(error) - 1)], place - below)
        loss = torch.where(quantile < 0, -level * quantile, (1 - level) * quantile)
        losses.append(loss + (crps - crps).detach())  # NaN where the CRPS is
    return crps, torch.stack(losses) if losses else crps.new_empty(0, len(crps))


def crps_by_pairs(
    forecast: torch.Tensor, observed: torch.Tensor, fair: bool, weights: torch.Tensor | None
) -> torch.Tensor:
    """Σ w_i |x_i − y| − ½ Σ w_i w_j |x_i − x_j|, arguments as above: quadratic in time and memory."""
    return energy_by_pairs(forecast[..., None], observed[..., None], fair, weights)


def energy_by_pairs(
    forecast: torch.Tensor, observed: torch.Tensor, fair: bool, weights: torch.Tensor | None
) -> torch.Tensor:
    """Σ w_i ‖x_i − y‖ − ½ Σ w_i w_j ‖x_i − x_j‖.

    Args:
        forecast: members, shape (member, case, channel).
        observed: shape (case, channel).
        fair: without the bias of few members.
        weights: of members, adding up to 1, shape (member, 1) or (member, case).

    Returns:
        Shape (case,).
    """
    weight = forecast.new_full(forecast.shape[:2], 1 / len(forecast)) if weights is None else weights
    error = (weight * _norm(forecast - observed)).sum(dim=0)
    apart = _norm(forecast[:, None] - forecast)  # (member, member, case)
    spread = (weight[:, None] * weight * apart).sum(dim=(0, 1)) / 2
    return error - spread * _spread_factor(weight, fair) + (error - error).detach()


def _norm(difference: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(difference, dim=-1)


def _spread_factor(weight: torch.Tensor, fair: bool) -> torch.Tensor | float:
    """What makes the mean distance of all pairs one of different members; 0 where there is but one."""
    if not fair:
        return 1.0
    rest = 1 - weight.square().sum(dim=0)
    return torch.where(rest > 1e-6, 1 / rest.clamp_min(1e-6), 0.0)
