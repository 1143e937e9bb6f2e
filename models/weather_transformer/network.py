"""The network of the small weather model: patches, attention in windows, a latent state.

An encoder, a processor and heads as in Aurora (Bodnar et al. 2024, arXiv 2405.13063) at a thousandth of its
size: a strided convolution makes tokens of 2 × 2 points, and blocks attend within windows (Liu et al. 2021,
Swin, arXiv 2103.14030). Windows are shifted in longitude alone, around the globe, so that no token needs a
mask; every other block has windows that span all latitudes, since none is shifted across the rows.
"""

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional


class Backbone(nn.Module):
    """From states to a latent state of tokens.

    Args:
        inputs: channels of the image.
        rows, columns: of the grid.
        width: of a token.
        blocks: number of blocks.
        heads: of the attention.
        patch: points of a token in each direction.
        window: rows and columns of tokens of a window; other blocks have windows of all rows, as large.
    """

    def __init__(
        self,
        inputs: int,
        rows: int,
        columns: int,
        width: int,
        blocks: int,
        heads: int,
        patch: int,
        window: tuple[int, int],
    ) -> None:
        super().__init__()
        self.rows, self.columns = rows // patch, columns // patch
        self.embed = nn.Conv2d(inputs, width, kernel_size=patch, stride=patch)
        self.latitude = nn.Parameter(0.02 * torch.randn(self.rows, 1, width))
        self.register_buffer("longitude", _around(self.columns, width), persistent=False)
        tall = self.rows, max(1, window[0] * window[1] // self.rows)
        self.blocks = nn.ModuleList(
            Block(width, heads, *_window(number, window, tall)) for number in range(blocks)
        )

    longitude: torch.Tensor

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Latent state, shape (sample, row, column, width), of an image (sample, channel, lat, lon)."""
        tokens = rearrange(self.embed(image), "s w r c -> s r c w") + self.latitude + self.longitude
        for block in self.blocks:
            tokens = block(tokens)
        return tokens


class Block(nn.Module):
    """Attention within windows and a perceptron, each after a norm and around a skip.

    Args:
        width: of a token.
        heads: of the attention.
        window: rows and columns of tokens.
        shift: columns by which the windows are moved around the globe.
    """

    def __init__(self, width: int, heads: int, window: tuple[int, int], shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens of the same shape, (sample, row, column, width)."""
        tokens = tokens + self._attention(self.norm_1(tokens))
        return tokens + self.mlp(self.norm_2(tokens))

    def _attention(self, tokens: torch.Tensor) -> torch.Tensor:
        rows, columns = (size // own for size, own in zip(tokens.shape[1:3], self.window, strict=True))
        shifted = self.qkv(tokens.roll(-self.shift, dims=2))
        query, key, value = rearrange(
            shifted,
            "s (r a) (c b) (three h d) -> three (s r c) h (a b) d",
            three=3, r=rows, c=columns, h=self.heads,
        )  # fmt: skip
        mixed = functional.scaled_dot_product_attention(query, key, value)
        mixed = rearrange(
            mixed,
            "(s r c) h (a b) d -> s (r a) (c b) (h d)",
            r=rows, c=columns, a=self.window[0], b=self.window[1],
        )  # fmt: skip
        return self.out(mixed.roll(self.shift, dims=2))


class Head(nn.Module):
    """Fields of a latent state: a norm and a linear map of each token to its points.

    Args:
        width: of a token.
        channels: of the fields.
        patch: points of a token in each direction.
        hidden: width of a layer between, or None.
    """

    def __init__(self, width: int, channels: int, patch: int, hidden: int | None = None) -> None:
        super().__init__()
        self.patch = patch
        points = channels * patch**2
        layers = [nn.Linear(width, points)]
        if hidden is not None:
            layers = [nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, points)]
        self.layers = nn.Sequential(nn.LayerNorm(width), *layers)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Fields, shape (sample, channel, latitude, longitude)."""
        return rearrange(self.layers(tokens), "s r c (k a b) -> s k (r a) (c b)", a=self.patch, b=self.patch)


def _window(number: int, window: tuple[int, int], tall: tuple[int, int]) -> tuple[tuple[int, int], int]:
    """Window and shift of a block: wide, tall, wide shifted by half, tall shifted by half, again."""
    chosen = tall if number % 2 else window
    return chosen, chosen[1] // 2 if number % 4 > 1 else 0


def _around(columns: int, width: int) -> torch.Tensor:
    """Sines and cosines of the longitude, shape (column, width); continuous around the globe."""
    angle = 2 * torch.pi * torch.arange(columns)[:, None] / columns
    waves = torch.arange(1, width // 2 + 1)
    # Waves that the columns cannot tell apart are left out.
    size = 0.02 * (waves <= columns // 2)
    return torch.cat([size * torch.sin(waves * angle), size * torch.cos(waves * angle)], dim=1)
