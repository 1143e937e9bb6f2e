"""Causal self-attention with rotary positions (Su et al., arXiv 2104.09864), and its cache for generation."""

import torch
from torch import nn
from torch.nn import functional

from .configuration import Configuration


class Cache:
    """Keys and values of every block for the steps seen so far; later steps attend to them unrecomputed.

    Args:
        configuration: of the network.
        sequences: batch size.
        capacity: steps that will be seen altogether.
        like: a tensor whose device and dtype the cache takes.
        attended: which of the first steps hold a value, shape (sequence, step); None where all do.

    Attributes:
        length: steps seen so far.
    """

    def __init__(
        self,
        configuration: Configuration,
        sequences: int,
        capacity: int,
        like: torch.Tensor,
        attended: torch.Tensor | None = None,
    ) -> None:
        shape = (sequences, configuration.num_attention_heads, capacity, configuration.head_width)
        layers = range(configuration.num_hidden_layers)
        self.keys = [like.new_empty(shape) for _ in layers]
        self.values = [like.new_empty(shape) for _ in layers]
        self.length, self.capacity, self.attended = 0, capacity, attended

    def extend(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Note a block's keys and values (sequence, head, step, width); returns those of all steps."""
        end = self.length + key.shape[2]
        if end > self.capacity:
            raise ValueError(f"the cache holds {self.capacity} steps, not {end}")
        self.keys[layer][:, :, self.length : end] = key
        self.values[layer][:, :, self.length : end] = value
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]


class Attention(nn.Module):
    """Multi-head attention to the present and earlier steps; query, key and value have a bias."""

    def __init__(self, configuration: Configuration, layer: int) -> None:
        super().__init__()
        width = configuration.hidden_size
        self.layer, self.heads = layer, configuration.num_attention_heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(
        self,
        tokens: torch.Tensor,
        rotation: tuple[torch.Tensor, torch.Tensor],
        mask: torch.Tensor | None,
        cache: Cache | None = None,
    ) -> torch.Tensor:
        """Attended tokens.

        Args:
            tokens: shape (sequence, step, width).
            rotation: cosine and sine of `rotation_of` for these steps.
            mask: of `mask_of`, or None for the plain causal one.
            cache: of the earlier steps, which gets these.

        Returns:
            Shape (sequence, step, width).
        """
        query, key, value = (
            project(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (sequence, head, step, width)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        query, key = rotate(query, rotation), rotate(key, rotation)
        if cache is not None:
            key, value = cache.extend(self.layer, key, value)
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None
        )
        return self.o_proj(attended.transpose(1, 2).flatten(2))


def rotation_of(start: int, steps: int, width: int, base: float, like: torch.Tensor) -> tuple:
    """Cosine and sine of the rotary angles m·base^(−2i/width) of steps m ≥ start; RoFormer, eq. 15.

    Args:
        start: position of the first step.
        steps: number of them.
        width: of an attention head; pairs are (i, i + width/2).
        base: of the frequencies.
        like: a tensor whose device and dtype they take; the angles are computed in float32.

    Returns:
        Two tensors, shape (step, width), the second half repeating the first.
    """
    device = like.device
    frequency = base ** -(torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    position = torch.arange(start, start + steps, device=device, dtype=torch.float32)
    angle = torch.outer(position, frequency).repeat(1, 2)
    return angle.cos().to(like.dtype), angle.sin().to(like.dtype)


def rotate(heads: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Each pair (i, i + width/2) turned by its angle; shape (sequence, head, step, width)."""
    cosine, sine = rotation
    first, second = heads.chunk(2, dim=-1)
    return heads * cosine + torch.cat([-second, first], dim=-1) * sine


def mask_of(
    cached: int, steps: int, attended: torch.Tensor | None, device: torch.device
) -> torch.Tensor | None:
    """Which of all steps each new one may see: earlier ones that hold a value, and itself.

    Args:
        cached: steps before the new ones.
        steps: new ones.
        attended: which of the first steps hold a value, shape (sequence, step); None where all do. Steps
            after these do.
        device: where the mask is needed.

    Returns:
        Shape (new step, step) or (sequence, 1, new step, step); None for the plain causal mask.
    """
    if cached == 0 and attended is None:
        return None
    new = torch.arange(cached, cached + steps, device=device)[:, None]
    every = torch.arange(cached + steps, device=device)
    if attended is None:
        return every <= new
    later = max(cached + steps - attended.shape[1], 0)
    held = functional.pad(attended, (0, later), value=True)[:, : cached + steps]
    # A step always sees itself: a softmax over nothing has no value.
    return ((every <= new) & held[:, None, None, :]) | (every == new)
