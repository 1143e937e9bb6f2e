"""Sparse experts with a shared one: each token goes to the few experts that its router prefers.

Time-MoE paper, eqs. 6-8. The parameters lie here, under the published names; what experts compute is the
operator `moe_ffn`.
"""

import torch
from torch import nn
from torch.nn import functional

from ...cuda_ops import moe_ffn
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
        mixed = moe_ffn(
            flat,
            *self.matrices(),
            chosen,
            weight.to(flat.dtype),
            shared=_matrices_of(self.shared_expert),
            shared_weight=self.shared_expert_gate(flat).sigmoid(),
        )
        return mixed.view_as(tokens), logits

    def matrices(self) -> tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]:
        """Gate, up and down matrices of all experts."""
        gate, up, down = zip(*(_matrices_of(expert) for expert in self.experts), strict=True)
        return list(gate), list(up), list(down)


def _matrices_of(expert: nn.Module) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    assert isinstance(expert, SwiGLU)
    return expert.gate_proj.weight, expert.up_proj.weight, expert.down_proj.weight
