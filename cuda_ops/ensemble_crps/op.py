"""`ensemble_crps` and `ensemble_scores`: an ensemble as a distribution, scored value by value.

Owns the public functions, their registration with `torch.library` and the choice of path. They are losses,
too: gradients flow into the forecast and the observation, once; the second derivative is 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from tsbench.contracts import InputError

from .. import choice, launch
from ..surroundings import count_no_operations
from . import device, eager, reference
from .ensemble import ensemble


class EnsembleScores(NamedTuple):
    """Scores from one ordering of the members.

    Attributes:
        crps: shape (...).
        quantile_loss: of each level, shape (level, ...): max(τ (y − q), (τ − 1) (y − q)).
    """

    crps: torch.Tensor
    quantile_loss: torch.Tensor


def ensemble_crps(
    forecast: torch.Tensor,
    observed: torch.Tensor,
    *,
    fair: bool = False,
    weights: torch.Tensor | None = None,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Continuous ranked probability score: Σ w_i |x_i − y| − ½ Σ w_i w_j |x_i − x_j|.

    Gneiting and Raftery (2007), eq. 21, for the distribution that gives the members their weights; the second
    sum is made from the ordered members. The fair form divides it by 1 − Σ w_i², which for equal weights is
    Ferro (2014), eq. 8; one member has no spread and scores its absolute error in either form.

    A NaN or an infinite value among the members or in the observation makes the score of that case NaN, and
    its gradient. The gradient takes |x − y| to have slope 0 where they are equal, and equal members in their
    order: an element of the subgradient, the same on each path. Repeated calls give the same bits.

    Args:
        forecast: members, shape (member, ...), floating; 16-bit numbers are scored in float32.
        observed: shape (...), same units.
        fair: without the bias of few members.
        weights: of members, shape (member,) or (member, ...), not negative, scaled to add up to 1; no
            gradient flows into them. By default all members weigh the same.
        mask: cases that count, bool, shape (...). Others score 0 and get no gradient, whatever they hold.

    Returns:
        Shape (...), units of `observed`; float64 of float64, else float32.

    Raises:
        InputError: on wrong shapes, types or weights.

    Example:
        >>> ensemble_crps(torch.tensor([1.0, 3.0]), torch.tensor(0.0))
        tensor(1.5000)
    """
    return ensemble_scores(forecast, observed, (), fair=fair, weights=weights, mask=mask).crps


def ensemble_scores(
    forecast: torch.Tensor,
    observed: torch.Tensor,
    levels: Sequence[float],
    *,
    fair: bool = False,
    weights: torch.Tensor | None = None,
    mask: torch.Tensor | None = None,
) -> EnsembleScores:
    """CRPS and the losses of empirical quantiles, from one ordering of the members.

    Quantiles are linear between ordered members (definition 7 of Hyndman and Fan 1996); their loss is that of
    Koenker and Bassett (1978).

    Args:
        forecast: see `ensemble_crps`.
        observed: see `ensemble_crps`.
        levels: of the quantiles, in (0, 1).
        fair: see `ensemble_crps`; quantiles do not depend on it.
        weights: see `ensemble_crps`; an ensemble with weights has no such quantiles, so not with `levels`.
        mask: see `ensemble_crps`.

    Raises:
        InputError: on wrong shapes, types, weights or levels.
    """
    levels = [float(level) for level in levels]
    if outside := [level for level in levels if not 0 < level < 1]:
        raise InputError(f"the level {outside[0]:g} is no level of a quantile; levels lie between 0 and 1")
    if levels and weights is not None:
        raise InputError(
            "quantiles of an ensemble with weights are not defined here: leave out levels or weights"
        )
    given = ensemble(forecast, observed, weights, mask)
    differentiated = torch.is_grad_enabled() and (forecast.requires_grad or observed.requires_grad)
    if torch.compiler.is_compiling() or (differentiated and choice.chosen() != "reference"):
        found = torch.ops.tsbench.ensemble_crps(given.forecast, given.observed, levels, fair, given.weights)
    elif differentiated:
        given = given.cleaned()
        found = reference.scores(*_raised(given.forecast, given.observed), levels, fair, given.weights)
    else:
        found = _scores(given.forecast.detach(), given.observed.detach(), levels, fair, given.weights)
    return EnsembleScores(*(given.shown(one) for one in found))


def bytes_moved(members: int, cases: int, size: int) -> int:
    """Bytes that the CRPS must at least read and write.

    Args:
        members: of an ensemble.
        cases: how many.
        size: bytes of a number.
    """
    return (members + 2) * cases * size


def obstacle(where: torch.device) -> str | None:
    """Why the CUDA kernels cannot run on a device, or None."""
    return launch.obstacle(device.SOURCE, where)


def _scores(
    forecast: torch.Tensor,
    observed: torch.Tensor,
    levels: Sequence[float],
    fair: bool,
    weights: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    path = choice.path("ensemble_crps", forecast.device, obstacle)
    if path == "reference":
        return reference.scores(*_raised(forecast, observed), levels, fair, weights)
    if path == "cuda" and weights is None and len(forecast) <= device.IN_BLOCK:
        return device.scores(forecast, observed, levels, fair)
    return eager.scores(forecast, observed, levels, fair, weights)


def _raised(forecast: torch.Tensor, observed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """In the precision of the scores."""
    real = eager.precision(forecast)
    return forecast.to(real), observed.to(real)


@torch.library.custom_op("tsbench::ensemble_crps", mutates_args=())
def _registered(
    forecast: torch.Tensor,
    observed: torch.Tensor,
    levels: list[float],
    fair: bool,
    weights: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    return _scores(forecast, observed, levels, fair, weights)


@torch.library.custom_op("tsbench::ensemble_crps_backward", mutates_args=())
def _registered_gradient(
    forecast: torch.Tensor,
    observed: torch.Tensor,
    outer: torch.Tensor,
    outer_losses: torch.Tensor,
    levels: list[float],
    fair: bool,
    weights: torch.Tensor | None,
) -> torch.Tensor:
    path = choice.path("ensemble_crps", forecast.device, obstacle)
    if path == "cuda" and weights is None and not levels and len(forecast) <= device.IN_REGISTERS:
        return device.gradient(forecast, observed, outer, fair).to(forecast.dtype)
    return eager.gradient(forecast, observed, outer, outer_losses, levels, fair, weights)


@_registered.register_fake
def _shapes(forecast, observed, levels, fair, weights):
    real = eager.precision(forecast)
    return observed.new_empty(observed.shape, dtype=real), observed.new_empty(
        len(levels), observed.shape[0], dtype=real
    )


@_registered_gradient.register_fake
def _gradient_shape(forecast, observed, outer, outer_losses, levels, fair, weights):
    return torch.empty_like(forecast, memory_format=torch.contiguous_format)


def _keep(ctx, inputs, output) -> None:
    forecast, observed, ctx.levels, ctx.fair, weights = inputs
    ctx.save_for_backward(forecast, observed, weights)


def _backward(ctx, outer, outer_losses):
    forecast, observed, weights = ctx.saved_tensors
    inner = torch.ops.tsbench.ensemble_crps_backward(
        forecast, observed, outer, outer_losses, ctx.levels, ctx.fair, weights
    )
    # Scores do not change where all members and the observation move together.
    return inner, -inner.sum(dim=0), None, None, None


_registered.register_autograd(_backward, setup_context=_keep)
for _kind in ("cpu", "cuda"):
    _registered.register_autocast(_kind, torch.float32)


count_no_operations(torch.ops.tsbench.ensemble_crps, torch.ops.tsbench.ensemble_crps_backward)
