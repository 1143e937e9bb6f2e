"""`pgn_history`: the history of each row in one product, without rows of zeros."""

from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tsbench.contracts import InputError

from .. import choice
from ..surroundings import cast, learned, transformed, without_autocast
from . import gate
from .reference import history_reference


def pgn_history(grid: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """History of each row from the rows before it: h[r] = b + Σ_j A_j u[r − W + j], W = rows − 1, u[<0] = 0.

    PGN paper (arXiv 2409.17703), eq. 4. The convolution spans all rows, so that it is one product with a
    block-triangular matrix: the block from row i to row r > i is A at i − r + W. The matrix has (width × row)
    rows and (input × row) columns, which is little; the grid is never copied or padded. These are products of
    torch on every device, differentiable once, and visible to torch.compile and `torch.func`.

    Args:
        grid: values and features, shape (channel, input, row, column), at least two rows.
        weight: A, shape (channel, width, input, row − 1).
        bias: b, shape (channel, width).

    Returns:
        Shape (channel, width, row, column); row 0 is the bias.

    Raises:
        InputError: where shapes do not fit.
    """
    _check(grid, weight, bias)
    dtype = cast(grid.device)
    if dtype is not None:
        grid, weight, bias = grid.to(dtype), weight.to(dtype), bias.to(dtype)
    with without_autocast(grid.device, dtype):
        if torch.compiler.is_compiling():
            return _product(grid, _triangular_by_index(weight), bias)
        if choice.note("pgn_history", _path()) == "reference":
            return history_reference(grid, weight, bias)
        if weight.shape[1] < gate.FUSED_FROM or transformed():
            return _product(grid, _triangular_by_index(weight), bias)
        if not learned(grid, weight, bias):
            return _product(grid, _triangular(weight), bias)
        return _History.apply(grid, weight, bias)


def _path() -> choice.Path:
    """Products of torch on every device, unless the reference is asked for."""
    return "reference" if choice.chosen() == "reference" else "torch"


class _History(torch.autograd.Function):
    """The product for autograd, with the few operations that its gradient needs."""

    @staticmethod
    def forward(ctx: Any, grid: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Shape (channel, width, row, column)."""
        matrix = _triangular(weight)
        ctx.save_for_backward(grid, matrix)
        ctx.inputs = weight.shape[2]
        return _product(grid, matrix, bias)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        """Gradients of grid (where it is wanted), weight and bias."""
        grid, matrix = ctx.saved_tensors
        channels, width, rows, columns = gradients[0].shape
        arriving = gradients[0].reshape(channels, width * rows, columns)
        flat = grid.reshape(channels, ctx.inputs * rows, columns)
        of_grid = torch.bmm(matrix.mT, arriving).view_as(grid) if ctx.needs_input_grad[0] else None
        of_matrix = torch.bmm(arriving, flat.mT).view(channels, width, rows, ctx.inputs, rows)
        return of_grid, _of_triangular(of_matrix), gradients[0].sum(dim=(2, 3))


def _product(grid: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    channels, width = bias.shape
    rows, columns = grid.shape[2:]
    every_row = bias[..., None].expand(-1, -1, rows).reshape(channels, width * rows, 1)
    found = torch.baddbmm(every_row, matrix, grid.reshape(channels, -1, columns))
    return found.view(channels, width, rows, columns)


def _triangular(weight: torch.Tensor) -> torch.Tensor:
    """Shape (channel, width × row, input × row of origin), from (channel, width, input, row − 1)."""
    channels, width, inputs, steps = weight.shape
    rows = steps + 1
    shifted = weight.new_zeros(channels, width, rows, inputs, steps + rows)
    _diagonals(shifted, steps).copy_(weight[:, :, None])
    return shifted[..., steps:].reshape(channels, width * rows, inputs * rows)


def _of_triangular(of_matrix: torch.Tensor) -> torch.Tensor:
    """Gradient of the weight, from that of the matrix, shape (channel, width, row, input, row of origin)."""
    steps = of_matrix.shape[2] - 1
    return _diagonals(functional.pad(of_matrix, (steps, 0)), steps).sum(dim=2)


def _diagonals(shifted: torch.Tensor, steps: int) -> torch.Tensor:
    """A view: step s of row r lies at origin r + s − steps, behind `steps` columns for what is before 0."""
    *outer, row, inner, one = shifted.stride()
    size = (*shifted.shape[:4], steps)
    return shifted.as_strided(size, (*outer, row + one, inner, one))


def _triangular_by_index(weight: torch.Tensor) -> torch.Tensor:
    """The same matrix by operations that `torch.func` and compilers know."""
    steps = weight.shape[3]
    row = torch.arange(steps + 1, device=weight.device)
    step = row - row[:, None] + steps  # to each row, from each row
    blocks = weight[..., step.clamp_max(steps - 1)] * (row < row[:, None])
    return blocks.transpose(2, 3).flatten(3).flatten(1, 2)


def _check(grid: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> None:
    if grid.ndim != 4 or grid.shape[2] < 2:
        raise InputError(
            f"pgn_history: grid is {tuple(grid.shape)}, "
            "not (channel, input, row, column) with two rows or more"
        )
    channels, inputs, rows, _ = grid.shape
    if weight.ndim != 4 or (weight.shape[0], *weight.shape[2:]) != (channels, inputs, rows - 1):
        raise InputError(
            f"pgn_history: weight is {tuple(weight.shape)}, not ({channels}, width, {inputs}, {rows - 1})"
        )
    if bias.shape != weight.shape[:2]:
        raise InputError(f"pgn_history: bias is {tuple(bias.shape)}, not {tuple(weight.shape[:2])}")
