"""`energy_score`: an ensemble of vectors, scored by distances.

Owns the public function, its registration with `torch.library`, its paths and the choice between them.
"""

from collections.abc import Iterator

import torch

from .. import choice, launch
from ..surroundings import count_no_operations
from . import device, reference
from .eager import precision
from .ensemble import ensemble

PAIRS_AT_ONCE = 2**18
PAIRS_ON_DEVICE = 2**27
"""Distances between members that are held at once."""
EXACT = "donot_use_mm_for_euclid_dist"


def energy_score(
    forecast: torch.Tensor,
    observed: torch.Tensor,
    *,
    fair: bool = False,
    weights: torch.Tensor | None = None,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Σ w_i ‖x_i − y‖ − ½ Σ w_i w_j ‖x_i − x_j‖, with the Euclidean norm over the last dimension.

    Gneiting and Raftery (2007), eq. 22, with the exponent 1: the CRPS where vectors have one channel. The
    fair form, NaN, mask and weights are as for `ensemble_crps`. The gradient takes a distance of 0 to have
    slope 0. Distances are made of differences, not of products, which would cancel. Repeated calls give the
    same bits.

    Args:
        forecast: members, shape (member, ..., channel), floating; 16-bit numbers are scored in float32.
        observed: shape (..., channel), same units.
        fair: without the bias of few members.
        weights: of members, shape (member,) or (member, ...).
        mask: vectors that count, bool, shape (...).

    Returns:
        Shape (...), units of `observed`; float64 of float64, else float32.

    Raises:
        InputError: on wrong shapes, types or weights.

    Example:
        >>> energy_score(torch.tensor([[3.0, 4.0]]), torch.zeros(2))
        tensor(5.)
    """
    given = ensemble(forecast, observed, weights, mask, vectors=True)
    differentiated = torch.is_grad_enabled() and (forecast.requires_grad or observed.requires_grad)
    if torch.compiler.is_compiling() or (differentiated and choice.chosen() != "reference"):
        found = torch.ops.tsbench.energy_score(given.forecast, given.observed, fair, given.weights)
    elif differentiated:
        given, real = given.cleaned(), precision(forecast)
        found = reference.energy_by_pairs(
            given.forecast.to(real), given.observed.to(real), fair, given.weights
        )
    else:
        found = _score(given.forecast.detach(), given.observed.detach(), fair, given.weights)
    return given.shown(found)


def in_blocks(
    forecast: torch.Tensor, observed: torch.Tensor, fair: bool, weights: torch.Tensor | None
) -> torch.Tensor:
    """As `reference.energy_by_pairs`, in torch operations that hold a few cases' distances at once."""
    score = torch.empty(forecast.shape[1], dtype=precision(forecast), device=forecast.device)
    for part, error, weight in _blocks(forecast, observed, weights):
        score[part] = _of_errors(error, weight, fair)
    return score


def gradient_in_blocks(
    forecast: torch.Tensor,
    observed: torch.Tensor,
    outer: torch.Tensor,
    fair: bool,
    weights: torch.Tensor | None,
) -> torch.Tensor:
    """Gradient with respect to the members, in their shape and type; `outer`: shape (case,)."""
    found = torch.empty_like(forecast, memory_format=torch.contiguous_format)
    for part, error, weight in _blocks(forecast, observed, weights):
        length = torch.linalg.vector_norm(error, dim=2, keepdim=True)
        towards = torch.where(length > 0, error / length, 0.0)
        apart = torch.cdist(error, error, compute_mode=EXACT)
        pairs = weight[:, :, None] * weight[:, None] * _spread_factor(weight, fair)[:, None, None]
        away = torch.ops.aten._cdist_backward(pairs.contiguous(), error, error, 2.0, apart)
        slope = (weight[..., None] * towards - away) * outer[part, None, None].to(error)
        slope += (error - error).sum(dim=(1, 2), keepdim=True)  # NaN where the score is
        slope.masked_fill_((outer[part] == 0)[:, None, None], 0)
        found[:, part] = slope.transpose(0, 1).to(found.dtype)
    return found


def obstacle(where: torch.device) -> str | None:
    """Why the CUDA kernels cannot run on a device, or None."""
    return launch.obstacle(device.SOURCE, where)


def _score(
    forecast: torch.Tensor, observed: torch.Tensor, fair: bool, weights: torch.Tensor | None
) -> torch.Tensor:
    path, real = choice.path("energy_score", forecast.device, obstacle), precision(forecast)
    if path == "reference":
        return reference.energy_by_pairs(forecast.to(real), observed.to(real), fair, weights)
    if path == "cuda" and weights is None and device.holds(forecast):
        return device.energy(forecast, observed, fair)
    return in_blocks(forecast, observed, fair, weights)


def _blocks(
    forecast: torch.Tensor, observed: torch.Tensor, weights: torch.Tensor | None
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    """Cases, their errors x − y, shape (case, member, channel), and weights, shape (case, member)."""
    members, real = len(forecast), precision(forecast)
    pairs = PAIRS_AT_ONCE if forecast.device.type == "cpu" else PAIRS_ON_DEVICE
    size = max(1, pairs // members**2)
    for begin in range(0, forecast.shape[1], size):
        part = slice(begin, begin + size)
        error = (forecast[:, part].to(real) - observed[part].to(real)).transpose(0, 1).contiguous()
        weight = error.new_full((1, 1), 1 / members)
        if weights is not None:
            weight = (weights if weights.shape[1] == 1 else weights[:, part]).t().to(error)
        yield part, error, weight.expand(error.shape[:2])


def _of_errors(error: torch.Tensor, weight: torch.Tensor, fair: bool) -> torch.Tensor:
    """Scores (case,) of errors (case, member, channel)."""
    length = torch.linalg.vector_norm(error, dim=2)
    apart = torch.cdist(error, error, compute_mode=EXACT)  # (case, member, member)
    if weight.stride(1):
        spread = (weight * (apart * weight[:, None]).sum(dim=2)).sum(dim=1) / 2
    else:  # one weight for all members needs no pass over the distances
        spread = apart.sum(dim=(1, 2)) * weight[:, 0].square() / 2
    score = (weight * length).sum(dim=1)
    return score - spread * _spread_factor(weight, fair) + (score - score)  # NaN, not infinite


def _spread_factor(weight: torch.Tensor, fair: bool) -> torch.Tensor:
    """What makes the mean distance of all pairs one of different members, (case,); 0 where there is one."""
    if not fair:
        return torch.ones_like(weight[:, 0])
    rest = 1 - weight.square().sum(dim=1)
    return torch.where(rest > 1e-6, 1 / rest.clamp_min(1e-6), 0.0)


@torch.library.custom_op("tsbench::energy_score", mutates_args=())
def _registered(
    forecast: torch.Tensor, observed: torch.Tensor, fair: bool, weights: torch.Tensor | None
) -> torch.Tensor:
    return _score(forecast, observed, fair, weights)


@torch.library.custom_op("tsbench::energy_score_backward", mutates_args=())
def _registered_gradient(
    forecast: torch.Tensor,
    observed: torch.Tensor,
    outer: torch.Tensor,
    fair: bool,
    weights: torch.Tensor | None,
) -> torch.Tensor:
    return gradient_in_blocks(forecast, observed, outer, fair, weights)


@_registered.register_fake
def _shape(forecast, observed, fair, weights):
    return observed.new_empty(observed.shape[0], dtype=precision(forecast))


@_registered_gradient.register_fake
def _gradient_shape(forecast, observed, outer, fair, weights):
    return torch.empty_like(forecast, memory_format=torch.contiguous_format)


def _keep(ctx, inputs, output) -> None:
    forecast, observed, ctx.fair, weights = inputs
    ctx.save_for_backward(forecast, observed, weights)


def _backward(ctx, outer):
    forecast, observed, weights = ctx.saved_tensors
    inner = torch.ops.tsbench.energy_score_backward(forecast, observed, outer, ctx.fair, weights)
    # Scores do not change where all members and the observation move together.
    return inner, -inner.sum(dim=0), None, None


_registered.register_autograd(_backward, setup_context=_keep)
for _kind in ("cpu", "cuda"):
    _registered.register_autocast(_kind, torch.float32)


count_no_operations(torch.ops.tsbench.energy_score, torch.ops.tsbench.energy_score_backward)
