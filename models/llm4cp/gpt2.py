"""GPT-2 without its head, on embedded tokens: a decoder whose tokens see themselves and those before.

Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, section 2.3. Parameter names are
those of the published weights, whose linear layers are stored as (input, output).
"""

from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional

DEVIATION = 0.02
"""Of the first weights."""


@dataclass(frozen=True)
class Configuration:
    """Sizes of a decoder.

    Attributes:
        width: of a token.
        heads: of the attention; a divisor of the width.
        blocks: that there are.
        positions: tokens at most.
        vocabulary: words in the table of tokens, which nothing here reads; 0 leaves the table out.
        dropout: of embedded tokens, attention weights and the output of each half of a block, in training.
        epsilon: in layer normalisations.
    """

    width: int
    heads: int
    blocks: int
    positions: int = 1024
    vocabulary: int = 50257
    dropout: float = 0.1
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        """Heads share the width evenly."""
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads cannot share a width of {self.width}")

    def truncated(self, blocks: int) -> "Configuration":
        """The same with the first blocks alone.

        Raises:
            ValueError: where there are not as many.
        """
        if not 1 <= blocks <= self.blocks:
            raise ValueError(f"blocks must be 1 to {self.blocks}, not {blocks}")
        return replace(self, blocks=blocks)


SIZES = {
    "gpt2": Configuration(width=768, heads=12, blocks=12),
    "gpt2-medium": Configuration(width=1024, heads=16, blocks=24),
    "gpt2-large": Configuration(width=1280, heads=20, blocks=36),
    "gpt2-xl": Configuration(width=1600, heads=25, blocks=48),
    "gpt2-tiny": Configuration(width=128, heads=4, blocks=2, positions=64, vocabulary=0),
}
"""The published sizes, and a tiny one without published weights."""


class Decoder(nn.Module):
    """Positions, blocks and the last normalisation."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self.configuration = configuration
        if configuration.vocabulary:
            self.wte = nn.Embedding(configuration.vocabulary, configuration.width)
        self.wpe = nn.Embedding(configuration.positions, configuration.width)
        self.h = nn.ModuleList(Block(configuration) for _ in range(configuration.blocks))
        self.ln_f = nn.LayerNorm(configuration.width, eps=configuration.epsilon)
        _initialise(self)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """States of the tokens, each from its own and earlier tokens alone.

        Args:
            tokens: embedded, shape (sample, token, width).

        Returns:
            Normalised states, of the same shape.
        """
        placed = tokens + self.wpe.weight[: tokens.shape[1]]
        hidden = functional.dropout(placed, self.configuration.dropout, self.training)
        for block in self.h:
            hidden = block(hidden)
        return self.ln_f(hidden)


class Block(nn.Module):
    """x + Attention(norm x), then x + Perceptron(norm x)."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        width, epsilon = configuration.width, configuration.epsilon
        self.ln_1 = nn.LayerNorm(width, eps=epsilon)
        self.attn = CausalAttention(configuration)
        self.ln_2 = nn.LayerNorm(width, eps=epsilon)
        self.mlp = Perceptron(configuration)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Shape (sample, token, width)."""
        hidden = hidden + self.attn(self.ln_1(hidden))
        return hidden + self.mlp(self.ln_2(hidden))


class CausalAttention(nn.Module):
    """Attention in several heads to the token itself and those before it."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self.heads, self.dropout = configuration.heads, configuration.dropout
        self.c_attn = Conv1D(configuration.width, 3 * configuration.width)
        self.c_proj = Conv1D(configuration.width, configuration.width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Shape (sample, token, width)."""
        parts = self.c_attn(hidden).chunk(3, dim=2)
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        joined = self.c_proj(mixed.transpose(1, 2).flatten(2))
        return functional.dropout(joined, self.dropout, self.training)


class Perceptron(nn.Module):
    """Four times the width, the tanh form of GELU, and back."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self.dropout = configuration.dropout
        self.c_fc = Conv1D(configuration.width, 4 * configuration.width)
        self.c_proj = Conv1D(4 * configuration.width, configuration.width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Shape (sample, token, width)."""
        made = self.c_proj(functional.gelu(self.c_fc(hidden), approximate="tanh"))
        return functional.dropout(made, self.dropout, self.training)


class Conv1D(nn.Module):
    """A linear layer whose weight is stored as (input, output), under the name that GPT-2 gives it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Shape (..., outputs) from (..., inputs)."""
        return values @ self.weight + self.bias


def _initialise(decoder: Decoder) -> None:
    """Normal weights; those that end a half of a block the smaller, the more of them add up."""
    for name, parameter in decoder.named_parameters():
        if parameter.dim() == 2:
            halves = 2 * decoder.configuration.blocks if name.endswith("c_proj.weight") else 1
            nn.init.normal_(parameter, std=DEVIATION / halves**0.5)
