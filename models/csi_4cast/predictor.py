"""The predictor and the head of CSI-4CAST: a Transformer over one token a step, then two linear maps.

Cheng et al., "CSI-4CAST", arXiv 2510.12996. Parameter names are the official ones: those of torch's
TransformerEncoder, whose fused path for evaluation gives other last digits and is not taken here.
"""

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional

from tsbench.contracts import InputError


class Predictor(nn.Module):
    """Transformer encoder under the official name, without a closing normalisation.

    Args:
        width: of a token.
        layers: number of encoder layers.
        heads: of the attention; they divide the width.
        hidden: width of the feed-forward part.
        dropout: share dropped of attention weights, of the hidden features and of both branches.

    Raises:
        InputError: where the heads do not divide the width.
    """

    def __init__(self, width: int, layers: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise InputError(f"transformer_num_heads must divide dim_model; {heads} does not divide {width}")
        inner = nn.ModuleList(EncoderLayer(width, heads, hidden, dropout) for _ in range(layers))
        self.transformer = nn.ModuleDict({"layers": inner})

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Shape (sample, time, width) as it came."""
        for layer in self.transformer["layers"]:  # type: ignore[attr-defined]
            tokens = layer(tokens)
        return tokens


class EncoderLayer(nn.Module):
    """x ← norm1(x + attention(x)); x ← norm2(x + linear2(relu(linear1(x)))) (Vaswani et al., 2017)."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = SelfAttention(width, heads, dropout)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Shape (sample, token, width) as it came."""
        tokens = self.norm1(tokens + self.dropout(self.self_attn(tokens)))
        inner = self.linear2(self.dropout(torch.relu(self.linear1(tokens))))
        return self.norm2(tokens + self.dropout(inner))


class SelfAttention(nn.Module):
    """Scaled dot-product attention of all tokens of a sample, one matrix for queries, keys and values."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        # As torch's MultiheadAttention starts.
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Shape (sample, token, width) as it came."""
        projected = functional.linear(tokens, self.in_proj_weight, self.in_proj_bias)
        query, key, value = rearrange(projected, "b t (part h d) -> part b h t d", part=3, h=self.heads)
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.out_proj(rearrange(mixed, "b h t d -> b t (h d)"))


class Head(nn.Module):
    """Tokens to channels, then steps of the look-back to steps of the forecast."""

    def __init__(self, width: int, channels: int, context: int, horizon: int) -> None:
        super().__init__()
        self.pred_to_data = nn.Linear(width, channels)
        self.hist_to_pred = nn.Linear(context, horizon)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, channel), of tokens (sample, time, width)."""
        return self.hist_to_pred(self.pred_to_data(tokens).transpose(1, 2)).transpose(1, 2)
