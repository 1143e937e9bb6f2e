"""`pgn_history` and `pgn_gate` at TPGN's published sizes: forward and backward, against the eager layers.

The eager peer is the official way: rows of zeros before the first, a convolution, then concatenation, a 1×1
convolution, split, sigmoid, tanh and mix, on tensors that lie as convolutions want them.
"""

from collections.abc import Callable, Iterator

import torch
from torch.nn import functional

from tsbench.cuda_ops import pgn_gate, pgn_history

from .measure import Row, compare, unmeasured

SIZES = {"ETTh1": 2, "Weather": 4, "ETTh2": 8, "ECL": 32, "Traffic-168": 128, "Traffic-720": 256}
"""Set and width; all have a look-back of 7 periods of 24 hours, one value and four calendar features."""
ROWS, PERIOD, INPUTS, BATCH = 7, 24, 5, 32
FAR = 1e-5


def rows(device: str, repeats: int) -> Iterator[Row]:
    """One row a size."""
    words = {
        name: f"{name}: width {width}, batch {BATCH}, forward + backward" for name, width in SIZES.items()
    }
    if device == "cuda" and not torch.cuda.is_available():
        yield from unmeasured("pgn_gate", list(words.values()), device)
        return
    for name, width in SIZES.items():
        ways = both_ways(width, device)
        if device == "cuda":
            ways["torch.compile"] = step(*made(width, device), torch.compile(eager), as_convolution=True)
        _agree(ways, name)
        yield compare("pgn_gate", words[name], device, ways, repeats)


def both_ways(width: int, device: str) -> dict[str, Callable[[], list[torch.Tensor]]]:
    """A step of ours and of the eager layers, on the same numbers; each gives output and gradients."""
    grid, weights = made(width, device)
    return {
        "ours": step(grid, weights, ours, as_convolution=False),
        "eager": step(grid, weights, eager, as_convolution=True),
    }


def made(width: int, device: str) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Grid (1, input, row, sample × phase); weight and bias of history and of the gate."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, width, INPUTS, ROWS - 1), (1, width), (1, 2 * width, INPUTS + width), (1, 2 * width)]
    weights = [
        (torch.randn(shape, generator=generator) / (INPUTS + width) ** 0.5).to(device).requires_grad_()
        for shape in shapes
    ]
    return torch.randn(1, INPUTS, ROWS, BATCH * PERIOD, generator=generator).to(device), weights


def ours(grid: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
    """Shape (1, width, row, column)."""
    history = pgn_history(grid, weights[0], weights[1])
    return pgn_gate(grid.flatten(2), history.flatten(2), weights[2], weights[3]).view_as(history)


def eager(grid: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
    """Shape (column, width, row), from (column, input, row)."""
    history = functional.conv1d(functional.pad(grid, (ROWS - 1, -1)), weights[0][0], weights[1][0])
    both = functional.conv1d(torch.cat([grid, history], dim=1), weights[2][0, :, :, None], weights[3][0])
    share, fresh = both.chunk(2, dim=1)
    share, fresh = share.sigmoid(), fresh.tanh()
    return share * history + (1 - share) * fresh


def step(
    grid: torch.Tensor, weights: list[torch.Tensor], layer: Callable, as_convolution: bool
) -> Callable[[], list[torch.Tensor]]:
    """Forward, and backward from a random gradient to the parameters."""
    laid = grid[0].permute(2, 0, 1).contiguous() if as_convolution else grid
    order = (2, 0, 1) if as_convolution else (0, 1, 2, 3)
    rng = torch.Generator().manual_seed(1)
    arriving = torch.randn(1, weights[1].shape[1], ROWS, grid.shape[3], generator=rng).to(grid.device)
    arriving = (arriving[0].permute(order) if as_convolution else arriving).contiguous()

    def run() -> list[torch.Tensor]:
        out = layer(laid, weights)
        return [out.detach(), *torch.autograd.grad(out, weights, arriving)]

    return run


def _agree(ways: dict[str, Callable[[], list[torch.Tensor]]], name: str) -> None:
    results = [way() for way in ways.values()]
    results[0][0] = results[0][0][0].permute(2, 0, 1)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            if (one - two).abs().max() > FAR * two.abs().max().clamp_min(1):
                raise SystemExit(f"pgn_gate, {name}: the ways differ by {(one - two).abs().max()}")
