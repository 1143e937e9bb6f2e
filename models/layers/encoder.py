"""A Transformer encoder layer that normalises after each residual sum, as PatchTST and iTransformer use it.

Parameter names are those of Time-Series-Library, on which the official weights of both agree.
"""

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional

from tsbench.contracts import InputError


class Encoder(nn.Module):
    """Encoder layers, then a closing normalisation.

    Args:
        layers: their number.
        width: of a token (`d_model`).
        heads: of the attention; they divide the width.
        inner: width of the feed-forward part (`d_ff`).
        dropout: share dropped of attention weights and of both branches.
        norm: applied to the tokens of the last layer, (row, token, width).

    Raises:
        InputError: where the heads do not divide the width.
    """

    def __init__(
        self, layers: int, width: int, heads: int, inner: int, dropout: float, norm: nn.Module
    ) -> None:
        super().__init__()
        if width % heads:
            raise InputError(f"n_heads must divide d_model; {heads} does not divide {width}")
        self.attn_layers = nn.ModuleList(EncoderLayer(width, heads, inner, dropout) for _ in range(layers))
        self.norm = norm

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens of the same shape, (row, token, width); rows never mix."""
        for layer in self.attn_layers:
            tokens = layer(tokens)
        return self.norm(tokens)


class EncoderLayer(nn.Module):
    """x ← norm1(x + attention(x)); x ← norm2(x + conv2(gelu(conv1(x)))), the convolutions one token wide."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads, dropout)
        self.conv1 = nn.Conv1d(width, inner, 1)
        self.conv2 = nn.Conv1d(inner, width, 1)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Shape (row, token, width)."""
        tokens = self.norm1(tokens + self.dropout(self.attention(tokens)))
        inner = self.dropout(functional.gelu(each_token(self.conv1, tokens)))  # (row, token, inner)
        return self.norm2(tokens + self.dropout(each_token(self.conv2, inner)))


class SelfAttention(nn.Module):
    """Scaled dot-product attention of all tokens of a row to all of them."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query_projection = nn.Linear(width, width)
        self.key_projection = nn.Linear(width, width)
        self.value_projection = nn.Linear(width, width)
        self.out_projection = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Shape (row, token, width)."""
        query, key, value = (
            rearrange(project(tokens), "row token (head d) -> row head token d", head=self.heads)
            for project in (self.query_projection, self.key_projection, self.value_projection)
        )
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.out_projection(rearrange(mixed, "row head token d -> row token (head d)"))


def each_token(layer: nn.Conv1d, tokens: torch.Tensor) -> torch.Tensor:
    """A convolution one token wide as the matrix product that it is; tokens of shape (row, token, width)."""
    return functional.linear(tokens, layer.weight[..., 0], layer.bias)
