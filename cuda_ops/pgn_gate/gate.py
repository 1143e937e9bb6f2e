"""`pgn_gate` in torch operations: few passes over memory, and a backward pass that is written out."""

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from . import kernels

FUSED_FROM = 32
"""Width from which a backward pass of our own pays on a processor (docs/cuda_ops.md). Below, the chain of
operations that autograd knows takes as long or less, and keeps the bits of Results made with it."""


def forward(
    present: torch.Tensor, history: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, kernel: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Output (channel, width, column), and both gates, or None from the kernel."""
    if kernel:
        return kernels.forward(present, history, weight, bias), None
    both = gates(present, history, weight, bias)
    return mix(history, both), both


def gates(
    present: torch.Tensor, history: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Both gates, s then t, shape (channel, 2 · width, column)."""
    inputs, width = present.shape[1], history.shape[1]
    weight, bias = _doubled(weight, bias)
    both = torch.baddbmm(bias[..., None], weight[..., :inputs], present)
    # The FLOP counter knows this form, not the one in place.
    torch.baddbmm(both, weight[..., inputs:], history, out=both)
    both.sigmoid_()
    both[:, width:].mul_(2).sub_(1)
    return both


def mix(history: torch.Tensor, both: torch.Tensor) -> torch.Tensor:
    """History where s is 1, t where it is 0: shape (channel, width, column)."""
    share, fresh = both.split(history.shape[1], dim=1)
    return torch.lerp(fresh, history, share)


def through_gates(
    gradient: torch.Tensor, history: torch.Tensor, both: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradient of the linear map's result (channel, 2 · width, column), and gradient · s."""
    width = history.shape[1]
    share, fresh = both.split(width, dim=1)
    of_linear = both.new_empty(both.shape)
    of_share, of_fresh = of_linear.split(width, dim=1)
    direct = gradient * share
    aten = torch.ops.aten
    aten.sigmoid_backward.grad_input((history - fresh).mul_(gradient), share, grad_input=of_share)
    aten.tanh_backward.grad_input(gradient - direct, fresh, grad_input=of_fresh)
    return of_linear, direct


def through_linear(
    of_linear: torch.Tensor,
    direct: torch.Tensor,
    present: torch.Tensor,
    history: torch.Tensor,
    weight: torch.Tensor,
    with_present: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of present (empty where it is not wanted), history, weight and bias."""
    inputs = present.shape[1]
    back = weight.transpose(1, 2)
    of_history = torch.baddbmm(direct, back[:, inputs:], of_linear)
    of_present = torch.bmm(back[:, :inputs], of_linear) if with_present else present.new_empty(0)
    of_weight = torch.empty_like(weight)
    of_weight[..., :inputs] = torch.bmm(of_linear, present.transpose(1, 2))
    of_weight[..., inputs:] = torch.bmm(of_linear, history.transpose(1, 2))
    return of_present, of_history, of_weight, of_linear.sum(dim=2)


class Gate(torch.autograd.Function):
    """The gate for autograd, without an operator's call through the dispatcher.

    With torch operations, s and t are kept; with the kernels, they are computed again.
    """

    @staticmethod
    def forward(
        ctx: Any,
        present: torch.Tensor,
        history: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        kernel: bool,
    ) -> torch.Tensor:
        """Shape (channel, width, column)."""
        out, both = forward(present, history, weight, bias, kernel)
        ctx.save_for_backward(present, history, weight, bias, both)
        return out

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        """Gradients in the order of the arguments."""
        present, history, weight, bias, both = ctx.saved_tensors
        if both is None:
            of_linear, direct = kernels.backward(gradients[0], present, history, weight, bias)
        else:
            of_linear, direct = through_gates(gradients[0], history, both)
        wanted = ctx.needs_input_grad[0]
        found = through_linear(of_linear, direct, present, history, weight, wanted)
        return (found[0] if wanted else None), *found[1:], None


def differentiable(
    present: torch.Tensor, history: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """The same as a chain of differentiable operations, for `torch.func` and for small widths.

    Returns:
        Shape (channel, width, column).
    """
    inputs = present.shape[1]
    weight, bias = _doubled(weight, bias)
    both = torch.baddbmm(bias[..., None], weight[..., :inputs], present)
    both = both + torch.bmm(weight[..., inputs:], history)
    share, half = both.sigmoid().chunk(2, dim=1)
    fresh = 2 * half - 1
    return fresh + share * (history - fresh)


def _doubled(weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of t twice as large.

    tanh x = 2 σ(2x) − 1: one sigmoid over both halves is several times faster than a tanh on a processor.
    """
    twice = torch.ones(bias.shape[1], dtype=bias.dtype, device=bias.device)
    twice[bias.shape[1] // 2 :] = 2
    return weight * twice[:, None], bias * twice
