"""Sparse experts with a shared one: each token goes to the few experts that its router prefers.

Time-MoE paper, eqs. 6-8. Tokens are sorted by expert, so that every expert that has any works on one
contiguous block; those without tokens are passed over.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from .configuration import Configuration


class SwiGLU(nn.Module):
    """down(SiLU(gate x) · up x), without biases (Shazeer, arXiv 2002.05202)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Shape (..., width)."""
        return self.down_proj(functional.silu(self.gate_proj(tokens)) * self.up_proj(tokens))


class SparseExperts(nn.Module):
    """y = Σ p_k Expert_k(x) over the chosen k, + sigmoid(w·x) Shared(x); the p_k are not renormalised."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        width, count = configuration.hidden_size, configuration.num_experts
        self.choices = configuration.num_experts_per_tok
        self.gate = nn.Linear(width, count, bias=False)
        self.experts = nn.ModuleList(SwiGLU(width, configuration.expert_width) for _ in range(count))
        self.shared_expert = SwiGLU(width, configuration.intermediate_size)
        self.shared_expert_gate = nn.Linear(width, 1, bias=False)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens after the experts, and what the router said.

        Args:
            tokens: shape (sequence, step, width).

        Returns:
            Tokens, same shape; logits of the router, shape (sequence × step, expert).
        """
        flat = tokens.flatten(0, 1)
        logits = self.gate(flat)
        weight, chosen = logits.softmax(dim=-1, dtype=torch.float32).topk(self.choices, dim=-1)
        sparse = grouped(flat, weight.to(flat.dtype), chosen, self.experts)
        shared = self.shared_expert(flat) * self.shared_expert_gate(flat).sigmoid()
        return (sparse + shared).view_as(tokens), logits


def grouped(
    tokens: torch.Tensor,
    weight: torch.Tensor,
    chosen: torch.Tensor,
    experts: Sequence[nn.Module] | nn.ModuleList,
) -> torch.Tensor:
    """Weighted sum of the chosen experts of each token, each expert called once on all of its tokens.

    Args:
        tokens: shape (token, width).
        weight: of each choice, shape (token, choice).
        chosen: numbers of the experts, int64, shape (token, choice), no expert twice for a token.
        experts: maps of (token, width) to the same shape.

    Returns:
        Shape (token, width).
    """
    choices = chosen.shape[1]
    pairs = chosen.flatten()  # (token × choice)
    order = pairs.argsort(stable=True)
    counts = pairs.bincount(minlength=len(experts)).tolist()
    blocks = tokens.index_select(0, order // choices).split(counts)
    done = torch.cat([expert(block) for expert, block in zip(experts, blocks, strict=True) if len(block)])
    weighted = done * weight.flatten()[order, None]
    return torch.zeros_like(tokens).index_add_(0, order // choices, weighted)
