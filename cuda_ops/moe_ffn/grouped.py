"""`moe_ffn` in torch operations: pairs sorted by expert, each expert on one block, empty ones skipped.

The backward pass is written out: it keeps what the two first products gave and computes SiLU and the product
with it again, block by block while they are in the processor's cache.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tsbench.contracts import InputError

Weights = Sequence[torch.Tensor]


class Route(NamedTuple):
    """Pairs (token, choice) in the order of their experts; stable, so that results are the same every time.

    Attributes:
        order: numbers of the pairs, shape (pair).
        token: of each pair in that order, shape (pair).
        counts: pairs of each expert.
    """

    order: torch.Tensor
    token: torch.Tensor
    counts: list[int]


def route(chosen: torch.Tensor, experts: int) -> Route:
    """Sort pairs by expert; chosen has shape (token, choice).

    Raises:
        InputError: where the number of an expert is out of range.
    """
    number, order = chosen.flatten().sort(stable=True)
    if len(number):
        _check(int(number[0]), experts)
        _check(int(number[-1]), experts)
    return Route(order, order // max(chosen.shape[1], 1), number.bincount(minlength=experts).tolist())


def forward(
    tokens: torch.Tensor,
    gate: Weights,
    up: Weights,
    down: Weights,
    way: Route,
    weight: torch.Tensor,
    keep: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Output, shape (token, width), and what SiLU is taken of and multiplied with, shape (2, pair, inner).

    Without `keep` the latter is empty, which saves the time of writing it.
    """
    out = tokens.new_zeros(tokens.shape)
    scale = weight.flatten()[way.order, None]
    before = tokens.new_empty(2, len(way.order) if keep else 0, gate[0].shape[0])
    for number, rows in _blocks(way.counts):
        token = way.token[rows]
        block = tokens.index_select(0, token)
        one = torch.mm(block, gate[number].t(), out=before[0, rows] if keep else None)
        other = torch.mm(block, up[number].t(), out=before[1, rows] if keep else None)
        inner = functional.silu(one, inplace=not keep).mul_(other)
        out.index_add_(0, token, torch.mm(inner, down[number].t()).mul_(scale[rows]))
    return out, before


def backward(
    gradient: torch.Tensor,
    tokens: torch.Tensor,
    gate: Weights,
    up: Weights,
    down: Weights,
    way: Route,
    weight: torch.Tensor,
    before: torch.Tensor,
) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
    """Gradients of tokens, gate, up, down and weight; `before` as `forward` returned it."""
    scale = weight.flatten()[way.order, None]
    of_tokens = tokens.new_zeros(tokens.shape)
    of_scale = torch.empty_like(scale)
    of_gate, of_up, of_down = (
        [_unless_used(one, count) for one, count in zip(some, way.counts, strict=True)]
        for some in (gate, up, down)
    )
    for number, rows in _blocks(way.counts):
        token = way.token[rows]
        block, arriving = tokens.index_select(0, token), gradient.index_select(0, token)
        one, other = before[0, rows], before[1, rows]
        active = functional.silu(one)
        inner = active * other
        of_inner = torch.mm(arriving, down[number])
        of_scale[rows] = (of_inner * inner).sum(1, keepdim=True)
        torch.mm(arriving.mul_(scale[rows]).t(), inner, out=of_down[number])
        of_inner.mul_(scale[rows])
        of_other = active.mul_(of_inner)
        of_one = torch.ops.aten.silu_backward(of_inner.mul_(other), one)
        torch.mm(of_one.t(), block, out=of_gate[number])
        torch.mm(of_other.t(), block, out=of_up[number])
        of_block = torch.mm(of_one, gate[number])
        # In place it would do the same, but the FLOP counter knows only this form.
        torch.addmm(of_block, of_other, up[number], out=of_block)
        of_tokens.index_add_(0, token, of_block)
    of_weight = torch.empty_like(weight.flatten()).index_copy_(0, way.order, of_scale[:, 0]).view_as(weight)
    return of_tokens, of_gate, of_up, of_down, of_weight


class Grouped(torch.autograd.Function):
    """`forward` and `backward` for autograd, without an operator's call through the dispatcher."""

    @staticmethod
    def forward(
        ctx: Any,
        tokens: torch.Tensor,
        weight: torch.Tensor,
        way: Route,
        experts: int,
        *matrices: torch.Tensor,
    ) -> torch.Tensor:
        """Shape (token, width); matrices: all of gate, all of up, all of down."""
        out, before = forward(tokens, *_split(matrices, experts), way, weight)
        ctx.save_for_backward(tokens, weight, before, *matrices)
        ctx.way, ctx.experts = way, experts
        return out

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        """Gradients in the order of the arguments."""
        tokens, weight, before, *matrices = ctx.saved_tensors
        of_tokens, of_gate, of_up, of_down, of_weight = backward(
            gradients[0].contiguous(), tokens, *_split(matrices, ctx.experts), ctx.way, weight, before
        )
        return of_tokens, of_weight, None, None, *of_gate, *of_up, *of_down


def one_token(
    tokens: torch.Tensor,
    gate: Weights,
    up: Weights,
    down: Weights,
    chosen: torch.Tensor,
    weight: torch.Tensor,
) -> torch.Tensor:
    """For a single token, as when a series is generated step by step: no sorting. Shape (1, width)."""
    out = torch.zeros_like(tokens)
    for number, share in zip(chosen[0].tolist(), weight[0].tolist(), strict=True):
        _check(number, len(gate))
        inner = functional.silu(torch.mm(tokens, gate[number].t())).mul_(torch.mm(tokens, up[number].t()))
        out = torch.addmm(out, inner, down[number].t(), alpha=share)
    return out


def _check(number: int, experts: int) -> None:
    if not 0 <= number < experts:
        raise InputError(f"moe_ffn: expert {number} was chosen; there are {experts}, from 0")


def _blocks(counts: list[int]) -> list[tuple[int, slice]]:
    """Number and rows of each expert that has any."""
    found, start = [], 0
    for number, count in enumerate(counts):
        if count:
            found.append((number, slice(start, start + count)))
        start += count
    return found


def _unless_used(matrix: torch.Tensor, count: int) -> torch.Tensor:
    """Place for a gradient, which is zero for an expert without tokens."""
    return torch.empty_like(matrix) if count else torch.zeros_like(matrix)


def _split(matrices: Weights, experts: int) -> tuple[Weights, Weights, Weights]:
    return matrices[:experts], matrices[experts : 2 * experts], matrices[2 * experts :]
