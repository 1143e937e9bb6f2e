"""What `moe_ffn` computes: each expert in turn on the tokens that chose it."""

from collections.abc import Sequence

import torch
from torch.nn import functional


def reference(
    tokens: torch.Tensor,
    gate: Sequence[torch.Tensor],
    up: Sequence[torch.Tensor],
    down: Sequence[torch.Tensor],
    chosen: torch.Tensor,
    weight: torch.Tensor,
) -> torch.Tensor:
    """Shape (token, width); arguments as of `moe_ffn`."""
    out = torch.zeros_like(tokens)
    for number in range(len(gate)):
        token, choice = torch.where(chosen == number)
        of_expert = swiglu(tokens[token], gate[number], up[number], down[number])
        out = out.index_add(0, token, of_expert * weight[token, choice, None])
    return out


def swiglu(tokens: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """down(SiLU(gate x) · up x) (Shazeer, arXiv 2002.05202), shape (token, width)."""
    inner = functional.silu(functional.linear(tokens, gate)) * functional.linear(tokens, up)
    return functional.linear(inner, down)
