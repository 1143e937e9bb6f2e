"""`pgn_gate`: the operator, its registration with torch and the choice of path.

In eager mode it is a function of autograd, since a call through the dispatcher costs more. Compiled graphs
hold `torch.ops.tsbench.pgn_gate`, whose path is chosen when it runs. Under `torch.func`, which can
differentiate neither, as in stacks of seeds, it is a chain of torch operations.
"""

from typing import Any

import torch
from torch.utils.flop_counter import register_flop_formula

from tsbench.contracts import InputError

from .. import choice
from ..surroundings import cast, learned, transformed, without_autocast
from . import gate, kernels
from .reference import gate_reference


def pgn_gate(
    present: torch.Tensor, history: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Mix history with the present: s · history + (1 − s) · t.

    PGN paper (arXiv 2409.17703), eqs. 5-7: s and t are sigmoid and tanh of the two halves of
    weight · (present, history) + bias. Channels never mix. Differentiable once in all arguments, also under
    `torch.func`. The same input gives the same bits: sums have a fixed order, without atomics. On a CUDA
    device the backward pass computes s and t again; on a processor they are kept, which takes less time, and
    small widths are left to autograd.
    Under autocast, everything is cast to its dtype.

    Args:
        present: values and features, shape (channel, input, column), any floating dtype; float64 has no CUDA
            kernel.
        history: shape (channel, width, column).
        weight: shape (channel, 2 · width, input + width): rows of s first, columns of `present` first.
        bias: shape (channel, 2 · width).

    Returns:
        Shape (channel, width, column).

    Raises:
        InputError: where shapes or dtypes do not fit, or the kernel is asked for and cannot run.
    """
    dtype = cast(present.device)
    if dtype is not None:
        present, history, weight, bias = (one.to(dtype) for one in (present, history, weight, bias))
    _check(present, history, weight, bias)
    with without_autocast(present.device, dtype):
        if torch.compiler.is_compiling():
            return _operator(present, history, weight, bias)
        taken = _path(history)
        if taken == "reference":
            return gate_reference(present, history, weight, bias)
        small = taken == "torch" and history.shape[1] < gate.FUSED_FROM
        if small or transformed():
            return gate.differentiable(present, history, weight, bias)
        if history.device.type in ("cpu", "cuda") and type(history) is torch.Tensor:
            if not learned(present, history, weight, bias):
                return gate.forward(present, history, weight, bias, taken == "cuda")[0]
            return gate.Gate.apply(present, history, weight, bias, taken == "cuda")
        return _operator(present, history, weight, bias)


def _path(history: torch.Tensor) -> choice.Path:
    return choice.path("pgn_gate", history.device, lambda device: kernels.obstacle(device, history.dtype))


@torch.library.custom_op("tsbench::pgn_gate", mutates_args=())
def _operator(
    present: torch.Tensor, history: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    if _path(history) == "cuda":
        return kernels.forward(present, history, weight, bias)
    return gate.mix(history, gate.gates(present, history, weight, bias)).contiguous()


@torch.library.custom_op("tsbench::pgn_gate_backward", mutates_args=())
def _operator_backward(
    gradient: torch.Tensor,
    present: torch.Tensor,
    history: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    with_present: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of present (empty where it is not wanted), history, weight and bias."""
    if _path(history) == "cuda":
        of_linear, direct = kernels.backward(gradient, present, history, weight, bias)
    else:
        of_linear, direct = gate.through_gates(gradient, history, gate.gates(present, history, weight, bias))
    found = gate.through_linear(of_linear, direct, present, history, weight, with_present)
    return found[0].contiguous(), found[1].contiguous(), found[2].contiguous(), found[3].contiguous()


@_operator.register_fake
def _(present: Any, history: Any, weight: Any, bias: Any) -> Any:
    return history.new_empty(history.shape)


@_operator_backward.register_fake
def _(gradient: Any, present: Any, history: Any, weight: Any, bias: Any, with_present: bool) -> Any:
    of_present = present.new_empty(present.shape if with_present else 0)
    return of_present, *(one.new_empty(one.shape) for one in (history, weight, bias))


def _setup_context(ctx: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    wanted = ctx.needs_input_grad[0]
    of_present, *others = _operator_backward(gradient.contiguous(), *ctx.saved_tensors, wanted)
    return of_present if wanted else None, *others


_operator.register_autograd(_backward, setup_context=_setup_context)


@register_flop_formula(torch.ops.tsbench.pgn_gate)
def _flops(present_shape: Any, history_shape: Any, weight_shape: Any, *_: Any, **__: Any) -> int:
    """One product of (2 · width, input + width) with (input + width, column) a channel."""
    channels, rows, depth = weight_shape
    return 2 * channels * rows * depth * history_shape[2]


@register_flop_formula(torch.ops.tsbench.pgn_gate_backward)
def _flops_backward(
    gradient_shape: Any, present_shape: Any, history_shape: Any, weight_shape: Any, bias: Any,
    with_present: bool, *_: Any, **__: Any,
) -> int:  # fmt: skip
    """The product again, and its gradients: of the weight, of history, and of present where it is wanted."""
    channels, rows, depth = weight_shape
    wanted = depth if with_present else history_shape[1]
    return 2 * channels * rows * (2 * depth + wanted) * history_shape[2]


def _check(present: torch.Tensor, history: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> None:
    if present.ndim != 3 or history.ndim != 3:
        raise InputError(
            f"pgn_gate: present is {tuple(present.shape)} and history {tuple(history.shape)}, "
            "not (channel, input, column) and (channel, width, column)"
        )
    channels, width, columns = history.shape
    if (present.shape[0], present.shape[2]) != (channels, columns):
        raise InputError(
            f"pgn_gate: present is {tuple(present.shape)}, not ({channels}, input, {columns}) as history is"
        )
    wanted = (channels, 2 * width, present.shape[1] + width)
    if weight.shape != wanted:
        raise InputError(f"pgn_gate: weight is {tuple(weight.shape)}, not {wanted}")
    if bias.shape != wanted[:2]:
        raise InputError(f"pgn_gate: bias is {tuple(bias.shape)}, not {wanted[:2]}")
    others = {present.dtype, weight.dtype, bias.dtype} - {history.dtype}
    if others:
        raise InputError(
            f"pgn_gate: history is {history.dtype}, other arguments {others.pop()}; need one dtype"
        )
