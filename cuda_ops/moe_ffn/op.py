"""`moe_ffn`: the operator, its registration with torch and the choice of path.

In eager mode on a processor the torch operations are called directly, since a call through the dispatcher
takes a good part of the time of a few tokens. CUDA tensors and compiled graphs go through
`torch.ops.tsbench.moe_ffn`, whose path is chosen when it runs.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import register_flop_formula

from tsbench.contracts import InputError

from .. import choice
from ..surroundings import cast, learned, without_autocast
from . import gpu, grouped
from .reference import reference, swiglu

Shared = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def moe_ffn(
    tokens: torch.Tensor,
    gate: torch.Tensor | Sequence[torch.Tensor],
    up: torch.Tensor | Sequence[torch.Tensor],
    down: torch.Tensor | Sequence[torch.Tensor],
    chosen: torch.Tensor,
    weight: torch.Tensor,
    shared: Shared | None = None,
    shared_weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Σ_k weight_k · Expert_k(token) over the chosen experts, + shared_weight · Shared(token).

    Time-MoE (arXiv 2409.16040), eqs. 6-8: an expert is down(SiLU(gate x) · up x) without biases, and the
    weights are taken as they are, not renormalised. Differentiable in all floating arguments. The same input
    gives the same bits: pairs are sorted stably and sums have a fixed order, without atomics. An expert
    without tokens has a gradient of zeros. Under autocast, everything is cast to its dtype.

    Args:
        tokens: shape (token, width), any floating dtype; float64 has no CUDA kernel.
        gate: matrices (inner, width) of the experts, one tensor (expert, inner, width) or a sequence.
        up: like `gate`.
        down: matrices (width, inner), likewise.
        chosen: numbers of the chosen experts, int64, shape (token, choice), no expert twice for a token.
        weight: of each choice, shape (token, choice), dtype of the tokens.
        shared: gate, up and down of an expert that every token passes, of any inner size, or None.
        shared_weight: its weight, shape (token, 1); None for 1.

    Returns:
        Shape (token, width).

    Raises:
        InputError: where shapes, dtypes or devices do not fit, or the kernel is asked for and cannot run.
    """
    gates, ups, downs = list(gate), list(up), list(down)
    dtype = cast(tokens.device)
    if dtype is not None:
        tokens, weight = tokens.to(dtype), weight.to(dtype)
        gates, ups, downs = ([one.to(dtype) for one in some] for some in (gates, ups, downs))
        shared = None if shared is None else (shared[0].to(dtype), shared[1].to(dtype), shared[2].to(dtype))
        shared_weight = None if shared_weight is None else shared_weight.to(dtype)
    _check(tokens, gates, ups, downs, chosen, weight)
    with without_autocast(tokens.device, dtype):
        sparse = _sparse(tokens, gates, ups, downs, chosen, weight)
        if shared is None:
            return sparse
        dense = swiglu(tokens, *shared)
        return sparse + (dense if shared_weight is None else dense * shared_weight)


def _sparse(
    tokens: torch.Tensor,
    gate: list[torch.Tensor],
    up: list[torch.Tensor],
    down: list[torch.Tensor],
    chosen: torch.Tensor,
    weight: torch.Tensor,
) -> torch.Tensor:
    if torch.compiler.is_compiling():
        return _operator(tokens, gate, up, down, chosen, weight)[0]
    taken = _path(tokens)
    if taken == "reference":
        return reference(tokens, gate, up, down, chosen, weight)
    if taken == "torch" and tokens.device.type == "cpu" and type(tokens) is torch.Tensor:
        trained = learned(tokens, weight, *gate, *up, *down)
        if len(tokens) == 1 and not trained:
            return grouped.one_token(tokens, gate, up, down, chosen, weight)
        way = grouped.route(chosen, len(gate))
        if not trained:
            return grouped.forward(tokens, gate, up, down, way, weight, keep=False)[0]
        return grouped.Grouped.apply(tokens, weight, way, len(gate), *gate, *up, *down)
    return _operator(tokens, gate, up, down, chosen, weight)[0]


def _path(tokens: torch.Tensor) -> choice.Path:
    return choice.path("moe_ffn", tokens.device, lambda device: gpu.obstacle(device, tokens.dtype))


@torch.library.custom_op("tsbench::moe_ffn", mutates_args=())
def _operator(
    tokens: torch.Tensor,
    gate: list[torch.Tensor],
    up: list[torch.Tensor],
    down: list[torch.Tensor],
    chosen: torch.Tensor,
    weight: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Output, and what the backward pass needs: the products before SiLU, shape (2, pair, inner)."""
    if _path(tokens) == "cuda":
        return gpu.forward(tokens, gate, up, down, chosen, weight)
    return grouped.forward(tokens, gate, up, down, grouped.route(chosen, len(gate)), weight)


@torch.library.custom_op("tsbench::moe_ffn_backward", mutates_args=())
def _operator_backward(
    gradient: torch.Tensor,
    tokens: torch.Tensor,
    gate: list[torch.Tensor],
    up: list[torch.Tensor],
    down: list[torch.Tensor],
    chosen: torch.Tensor,
    weight: torch.Tensor,
    before: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of tokens, stacked matrices (gate, up, down) and weight."""
    if _path(tokens) == "cuda":
        return gpu.backward(gradient, tokens, gate, up, down, chosen, weight, before)
    way = grouped.route(chosen, len(gate))
    of_tokens, of_gate, of_up, of_down, of_weight = grouped.backward(
        gradient, tokens, gate, up, down, way, weight, before
    )
    return of_tokens, torch.stack(of_gate), torch.stack(of_up), torch.stack(of_down), of_weight


@_operator.register_fake
def _(tokens: Any, gate: Any, up: Any, down: Any, chosen: Any, weight: Any) -> Any:
    return tokens.new_empty(tokens.shape), tokens.new_empty(2, chosen.numel(), gate[0].shape[0])


@_operator_backward.register_fake
def _(
    gradient: Any, tokens: Any, gate: Any, up: Any, down: Any, chosen: Any, weight: Any, before: Any
) -> Any:
    stacks = [some[0].new_empty(len(some), *some[0].shape) for some in (gate, up, down)]
    return tokens.new_empty(tokens.shape), *stacks, weight.new_empty(weight.shape)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    tokens, gate, up, down, chosen, weight = inputs
    ctx.experts = len(gate)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(tokens, chosen, weight, output[1], *gate, *up, *down)


def _backward(ctx: Any, gradient: torch.Tensor, _: torch.Tensor | None) -> tuple[Any, ...]:
    tokens, chosen, weight, before, *matrices = ctx.saved_tensors
    thirds = [matrices[start : start + ctx.experts] for start in range(0, 3 * ctx.experts, ctx.experts)]
    of_tokens, of_gate, of_up, of_down, of_weight = _operator_backward(
        gradient.contiguous(), tokens, *thirds, chosen, weight, before
    )
    stacks = (list(one.unbind(0)) for one in (of_gate, of_up, of_down))
    return of_tokens, *stacks, None, of_weight


_operator.register_autograd(_backward, setup_context=_setup_context)


@register_flop_formula(torch.ops.tsbench.moe_ffn)
def _flops(
    tokens_shape: Any, gate_shape: Any, up: Any, down: Any, chosen_shape: Any, *_: Any, **__: Any
) -> int:
    """Three products of (pair, width) with (width, inner)."""
    pairs = chosen_shape[0] * chosen_shape[1]
    return 3 * 2 * pairs * gate_shape[0][0] * gate_shape[0][1]


@register_flop_formula(torch.ops.tsbench.moe_ffn_backward)
def _flops_backward(
    gradient_shape: Any, tokens: Any, gate: Any, up: Any, down: Any, chosen: Any, *_: Any, **__: Any
) -> int:
    """Each product has two gradients."""
    return 2 * _flops(tokens, gate, up, down, chosen)


def _check(
    tokens: torch.Tensor,
    gate: list[torch.Tensor],
    up: list[torch.Tensor],
    down: list[torch.Tensor],
    chosen: torch.Tensor,
    weight: torch.Tensor,
) -> None:
    if tokens.ndim != 2 or not gate or gate[0].ndim != 2:
        raise InputError(
            f"moe_ffn: tokens of shape {tuple(tokens.shape)} and {len(gate)} experts; "
            "tokens need two dimensions, and there must be an expert with matrices"
        )
    width, inner = tokens.shape[1], gate[0].shape[0]
    wanted = (("gate", gate, (inner, width)), ("up", up, (inner, width)), ("down", down, (width, inner)))
    for name, matrices, shape in wanted:
        for number, one in enumerate(matrices):
            if one.shape != shape:
                raise InputError(f"moe_ffn: {name} of expert {number} is {tuple(one.shape)}, not {shape}")
    if not len(gate) == len(up) == len(down):
        raise InputError(
            f"moe_ffn: {len(gate)} gate, {len(up)} up and {len(down)} down matrices; need as many"
        )
    if chosen.dtype != torch.int64 or chosen.ndim != 2 or len(chosen) != len(tokens):
        raise InputError(
            f"moe_ffn: chosen is {chosen.dtype} {tuple(chosen.shape)}, not int64 ({len(tokens)}, choice)"
        )
    if weight.shape != chosen.shape:
        raise InputError(f"moe_ffn: weight is {tuple(weight.shape)}, chosen {tuple(chosen.shape)}")
    others = {one.dtype for some in (gate, up, down, [weight]) for one in some} - {tokens.dtype}
    if others:
        raise InputError(
            f"moe_ffn: tokens are {tokens.dtype}, other arguments {others.pop()}; need one dtype"
        )
    if chosen.shape[1] > len(gate):
        raise InputError(f"moe_ffn: {chosen.shape[1]} choices among {len(gate)} experts")
