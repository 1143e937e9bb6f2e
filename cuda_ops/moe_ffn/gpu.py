"""`moe_ffn` on a CUDA device: the order of kernels, their tiles, and whether they can run at all.

Tile sizes follow from shapes by rule rather than by timing, so that the same shapes give the same bits in
every process. Nothing waits for the device: offsets of the experts stay there, and the grid has room for all.
"""

import importlib.util
from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch

from .. import build

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
OLDEST = (8, 0)
"""Compute capability from which on bfloat16 products exist."""


class Route(NamedTuple):
    """Pairs sorted by expert.

    Attributes:
        order: numbers of the pairs in that order, int64, shape (pair).
        token: of each, int64, shape (pair).
        offset: where each expert begins, int64, shape (expert + 1).
    """

    order: torch.Tensor
    token: torch.Tensor
    offset: torch.Tensor


def obstacle(device: torch.device, dtype: torch.dtype = torch.float32) -> str | None:
    """Why the kernels cannot run on a CUDA device, or None; runs them once to find out."""
    if dtype not in DTYPES:
        return f"{dtype} is none of float32, bfloat16, float16"
    return _tried(device)


@cache
def _tried(device: torch.device) -> str | None:
    if torch.cuda.get_device_capability(device) < OLDEST:
        return (
            f"{torch.cuda.get_device_name(device)} is older than compute capability {OLDEST[0]}.{OLDEST[1]}"
        )
    if importlib.util.find_spec("triton") is None:
        return "Triton is missing, which comes with a CUDA build of torch"
    try:
        made = [torch.zeros(16, 16, device=device) for _ in range(3)]
        chosen = torch.zeros(16, 1, dtype=torch.int64, device=device)
        weight = torch.zeros(16, 1, device=device)
        before = forward(made[0], made[:1], made[1:2], made[2:], chosen, weight)[1]
        backward(made[0], made[0], made[:1], made[1:2], made[2:], chosen, weight, before)
        torch.cuda.synchronize(device)
    except Exception as error:  # compilers and drivers have no common exception, and all mean the same here
        return f"Triton does not build it: {build.first_line(error)}"
    return None


def route(chosen: torch.Tensor, experts: int) -> Route:
    """Sort pairs by expert, stably; without waiting for the device."""
    number, order = chosen.flatten().sort(stable=True)
    offset = torch.searchsorted(number, torch.arange(experts + 1, device=chosen.device))
    return Route(order, order // max(chosen.shape[1], 1), offset)


def forward(
    tokens: torch.Tensor,
    gate: list[torch.Tensor],
    up: list[torch.Tensor],
    down: list[torch.Tensor],
    chosen: torch.Tensor,
    weight: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Output (token, width) and the products before SiLU (2, pair, inner)."""
    kernels = _kernels()
    (count, width), inner, pairs = tokens.shape, gate[0].shape[0], chosen.numel()
    out, before = tokens.new_zeros(count, width), tokens.new_empty(2, pairs, inner)
    if not out.numel() or not before.numel():
        return out, before
    tables, _kept = _tables(gate, up, down)
    way = route(chosen, len(gate))
    middle, done = tokens.new_empty(pairs, inner), tokens.new_empty(pairs, width)
    tiles = _tiles(pairs, len(gate), tokens.dtype)
    with _on(tokens):
        kernels.up_kernel[tiles.grid(inner)](
            tokens, tables[0], tables[1], way.token, way.offset, before, middle,
            len(gate), pairs, width, inner, tokens.stride(0), tokens.stride(1), **tiles.sizes,
        )  # fmt: skip
        kernels.rows_kernel[tiles.grid(width)](
            middle, middle, tables[2], tables[2], way.order, way.offset, weight.contiguous(), done,
            len(gate), inner, width, 1, inner, more=False, scale_rows=True, **tiles.sizes,
        )  # fmt: skip
        _sum(kernels, done, out, chosen.shape[1])
    return out, before


def backward(
    gradient: torch.Tensor,
    tokens: torch.Tensor,
    gate: list[torch.Tensor],
    up: list[torch.Tensor],
    down: list[torch.Tensor],
    chosen: torch.Tensor,
    weight: torch.Tensor,
    before: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of tokens, of the matrices (expert, …), and of weight."""
    kernels = _kernels()
    (count, width), inner, pairs, experts = tokens.shape, gate[0].shape[0], chosen.numel(), len(gate)
    of_tokens, of_weight = tokens.new_zeros(count, width), weight.new_zeros(weight.shape)
    of_gate, of_up = (tokens.new_zeros(experts, inner, width) for _ in range(2))
    of_down = tokens.new_zeros(experts, width, inner)
    if not of_tokens.numel() or not before.numel():
        return of_tokens, of_gate, of_up, of_down, of_weight
    tables, _kept = _tables(gate, up, down)
    way = route(chosen, experts)
    tiles = _tiles(pairs, experts, tokens.dtype)
    gradient, tokens = gradient.contiguous(), tokens.contiguous()
    of_before, scaled = torch.empty_like(before), tokens.new_empty(pairs, inner)
    shares = tokens.new_empty(tiles.grid(inner)[1], pairs, dtype=torch.float32)
    done = tokens.new_empty(pairs, width)
    with _on(tokens):
        kernels.inner_gradient_kernel[tiles.grid(inner)](
            gradient, tables[2], way.token, way.order, way.offset, weight.contiguous(),
            before, of_before, scaled, shares, experts, pairs, width, inner, **tiles.sizes,
        )  # fmt: skip
        kernels.rows_kernel[tiles.grid(width)](
            of_before[0], of_before[1], tables[0], tables[1], way.order, way.offset, shares, done,
            experts, inner, width, width, 1, more=True, scale_rows=False, **tiles.sizes,
        )  # fmt: skip
        _sum(kernels, done, of_tokens, chosen.shape[1])
        for left, right, out, gathers in (
            (of_before[0], tokens, of_gate, (False, True)),
            (of_before[1], tokens, of_up, (False, True)),
            (gradient, scaled, of_down, (True, False)),
        ):
            _matrix_gradient(kernels, left, right, way, out, gathers)
    of_weight = shares.sum(0).view(weight.shape).to(weight.dtype)
    return of_tokens, of_gate, of_up, of_down, of_weight


class _Tiles(NamedTuple):
    """Sizes of the tiles, and how many of them cover the rows of all experts at most."""

    rows: int
    sizes: dict[str, Any]

    def grid(self, columns: int) -> tuple[int, int]:
        """Row tiles first: tiles that read the same matrix run one after the other, while it is cached."""
        return self.rows, -(-columns // self.sizes["tile_columns"])


def _tiles(pairs: int, experts: int, dtype: torch.dtype) -> _Tiles:
    """Rows about as many as an expert gets on average, so that few of a tile stand empty."""
    mean = pairs / experts
    rows = 16 if mean <= 16 else 32 if mean <= 64 else 64 if mean <= 256 else 128
    depth = 32 if dtype == torch.float32 else 64
    sizes = {"tile_rows": rows, "tile_columns": 64, "tile_depth": depth, "precision": _precision()}
    sizes["num_warps"] = 8 if rows == 128 else 4
    return _Tiles(-(-pairs // rows) + min(experts, pairs), sizes)


def _matrix_gradient(
    kernels: Any,
    left: torch.Tensor,
    right: torch.Tensor,
    way: Route,
    out: torch.Tensor,
    gathers: tuple[bool, bool],
) -> None:
    experts, rows, columns = out.shape
    grid = (-(-rows // 64), -(-columns // 64), experts)
    kernels.matrix_gradient_kernel[grid](
        left, right, way.token, way.token, way.offset, out, rows, columns,
        tile_rows=64, tile_columns=64, tile_depth=32, precision=_precision(),
        gather_left=gathers[0], gather_right=gathers[1],
    )  # fmt: skip


def _sum(kernels: Any, done: torch.Tensor, out: torch.Tensor, choices: int) -> None:
    count, width = out.shape
    grid = (-(-count // 4), -(-width // 128))
    kernels.sum_kernel[grid](done, out, count, choices, width, tile_rows=4, tile_columns=128)


def _tables(
    gate: list[torch.Tensor], up: list[torch.Tensor], down: list[torch.Tensor]
) -> tuple[torch.Tensor, list[list[torch.Tensor]]]:
    """Addresses of the matrices, int64, shape (3, expert), and the contiguous matrices, to be kept."""
    kept = [[one.contiguous() for one in some] for some in (gate, up, down)]
    return _addresses(tuple(tuple(one.data_ptr() for one in some) for some in kept), gate[0].device), kept


@lru_cache(maxsize=256)
def _addresses(addresses: tuple[tuple[int, ...], ...], device: torch.device) -> torch.Tensor:
    """Copied to the device once for the weights of a model, since these stay where they are."""
    return torch.tensor(addresses, dtype=torch.int64, device=device)


def _kernels() -> Any:
    """Triton's functions, whose types only its compiler knows; imported here, since they import Triton."""
    from . import kernels

    return kernels


def _precision() -> str:
    """How float32 is multiplied: as torch's own products are."""
    return "tf32" if torch.backends.cuda.matmul.allow_tf32 else "ieee"


def _on(tokens: torch.Tensor) -> Any:
    return torch.cuda.device(tokens.device if tokens.device.type == "cuda" else -1)
