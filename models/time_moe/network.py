"""The network of Time-MoE: one token a value, blocks of attention and experts, a linear head a horizon.

Shi, Wang, Nie, Li, Ye, Wen and Jin, "Time-MoE: Billion-Scale Time Series Foundation Models with Mixture of
Experts", ICLR 2025 (arXiv 2409.16040), section 3.2. Parameter names are the official ones.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from .attention import Attention, Cache, mask_of, rotation_of
from .configuration import Configuration
from .experts import SparseExperts, SwiGLU


@dataclass(frozen=True)
class Encoded:
    """What the backbone makes of sequences.

    Attributes:
        hidden: normalised state of each step, shape (sequence, step, width).
        router_logits: of each block with experts, shape (sequence × step, expert).
    """

    hidden: torch.Tensor
    router_logits: tuple[torch.Tensor, ...]


class Backbone(nn.Module):
    """Embedding, blocks and the last normalisation."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self.configuration = configuration
        width, epsilon = configuration.hidden_size, configuration.rms_norm_eps
        self.embed_layer = Embedding(width)
        self.layers = nn.ModuleList(
            Block(configuration, index) for index in range(configuration.num_hidden_layers)
        )
        self.norm = nn.RMSNorm(width, eps=epsilon)

    def forward(
        self, series: torch.Tensor, cache: Cache | None = None, attended: torch.Tensor | None = None
    ) -> Encoded:
        """States of the steps; each depends on its own and earlier steps alone.

        Args:
            series: shape (sequence, step).
            cache: of earlier steps, which these follow; it gets these too, and knows which hold a value.
            attended: without a cache, which steps hold a value, shape (sequence, step); None where all do.
                No other step depends on one that holds none.
        """
        start, steps = cache.length if cache else 0, series.shape[1]
        chosen = self.configuration
        tokens = self.embed_layer(series[..., None])  # (sequence, step, width)
        rotation = rotation_of(start, steps, chosen.head_width, chosen.rope_theta, tokens)
        mask = mask_of(start, steps, cache.attended if cache else attended, tokens.device)
        router_logits: list[torch.Tensor] = []
        for block in self.layers:
            tokens, logits = block(tokens, rotation, mask, cache)
            router_logits += [] if logits is None else [logits]
        if cache:
            cache.length += steps
        return Encoded(self.norm(tokens), tuple(router_logits))


class Embedding(nn.Module):
    """SiLU(W_gate x) · (W_emb x) of a value x; paper, eq. 3."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.emb_layer = nn.Linear(1, width, bias=False)
        self.gate_layer = nn.Linear(1, width, bias=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Shape (sequence, step, width) from (sequence, step, 1)."""
        return functional.silu(self.gate_layer(values)) * self.emb_layer(values)


class Block(nn.Module):
    """x + Attention(norm x), then x + Experts(norm x); paper, eqs. 4-5."""

    def __init__(self, configuration: Configuration, layer: int) -> None:
        super().__init__()
        width, epsilon = configuration.hidden_size, configuration.rms_norm_eps
        self.self_attn = Attention(configuration, layer)
        self.ffn_layer = (
            SwiGLU(width, configuration.intermediate_size)
            if configuration.use_dense
            else SparseExperts(configuration)
        )
        self.input_layernorm = nn.RMSNorm(width, eps=epsilon)
        self.post_attention_layernorm = nn.RMSNorm(width, eps=epsilon)

    def forward(
        self,
        tokens: torch.Tensor,
        rotation: tuple[torch.Tensor, torch.Tensor],
        mask: torch.Tensor | None,
        cache: Cache | None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Tokens, shape (sequence, step, width), and the router's logits, or None without a router."""
        tokens = tokens + self.self_attn(self.input_layernorm(tokens), rotation, mask, cache)
        inner = self.post_attention_layernorm(tokens)
        if isinstance(self.ffn_layer, SwiGLU):
            return tokens + self.ffn_layer(inner), None
        mixed, logits = self.ffn_layer(inner)
        return tokens + mixed, logits


class Head(nn.Module):
    """The next `horizon` steps from the state of a step; paper, section 3.2.3."""

    def __init__(self, width: int, horizon: int) -> None:
        super().__init__()
        self.out_layer = nn.Linear(width, horizon, bias=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Shape (..., horizon) from (..., width)."""
        return self.out_layer(hidden)


def heads_of(configuration: Configuration, outputs: int = 1) -> nn.ModuleList:
    """One head for each horizon length; it gives so many numbers a step, the steps of one after another's.

    A point forecast has one, as published.
    """
    return nn.ModuleList(
        Head(configuration.hidden_size, outputs * horizon) for horizon in configuration.horizon_lengths
    )


def initialise(module: nn.Module, deviation: float) -> None:
    """Draw the weights of every linear layer from N(0, deviation²) and clear the biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
