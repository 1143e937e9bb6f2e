"""Triton kernels of `moe_ffn`: matrix products of unequal groups of rows, one group an expert.

Rows are pairs (token, choice) sorted by expert; `offset` (expert + 1) tells where each expert's begin.
Matrices of the experts lie anywhere: `*_table` holds their addresses. Imported only where Triton is at hand.
Every kernel writes each of its numbers once, and sums in a fixed order: the same input gives the same bits.
"""

import triton
import triton.language as tl


@triton.jit
def expert_of_tile(offset, tile, experts, tile_rows: tl.constexpr):
    """Expert of a tile of rows, its first row, and the end of the expert's rows; beyond the last, no rows."""
    found, first, end = 0, 0, 0
    before = 0
    for expert in range(experts):
        start = tl.load(offset + expert).to(tl.int32)
        stop = tl.load(offset + expert + 1).to(tl.int32)
        tiles = (stop - start + tile_rows - 1) // tile_rows
        inside = (tile >= before) & (tile < before + tiles)
        found = tl.where(inside, expert, found)
        first = tl.where(inside, start + (tile - before) * tile_rows, first)
        end = tl.where(inside, stop, end)
        before += tiles
    return found, first, end


@triton.jit
def up_kernel(
    tokens, gate_table, up_table, token, offset, before, inner_out,
    experts, pairs, width, inner, token_stride, width_stride,
    tile_rows: tl.constexpr, tile_columns: tl.constexpr, tile_depth: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """Gate and up products of gathered tokens; stores both and SiLU(gate) · up, shape (pair, inner)."""
    expert, first, end = expert_of_tile(offset, tl.program_id(0), experts, tile_rows)
    if first < end:
        row = (first + tl.arange(0, tile_rows)).to(tl.int64)
        column = (tl.program_id(1) * tile_columns + tl.arange(0, tile_columns)).to(tl.int64)
        source = tl.load(token + row, mask=row < end, other=0)
        kind = tokens.dtype.element_ty
        gate = tl.load(gate_table + expert).to(tl.pointer_type(kind))
        up = tl.load(up_table + expert).to(tl.pointer_type(kind))
        one = tl.zeros((tile_rows, tile_columns), dtype=tl.float32)
        other = tl.zeros((tile_rows, tile_columns), dtype=tl.float32)
        for start in range(0, width, tile_depth):
            depth = start + tl.arange(0, tile_depth)
            block = tl.load(
                tokens + source[:, None] * token_stride + depth[None, :] * width_stride,
                mask=(row[:, None] < end) & (depth[None, :] < width), other=0.0,
            )  # fmt: skip
            place = column[None, :] * width + depth[:, None]
            there = (depth[:, None] < width) & (column[None, :] < inner)
            one = tl.dot(block, tl.load(gate + place, mask=there, other=0.0), one, input_precision=precision)
            other = tl.dot(
                block, tl.load(up + place, mask=there, other=0.0), other, input_precision=precision
            )
        target = row[:, None] * inner + column[None, :]
        stored = (row[:, None] < end) & (column[None, :] < inner)
        one, other = one.to(kind), other.to(kind)
        tl.store(before + target, one, mask=stored)
        tl.store(before + tl.cast(pairs, tl.int64) * inner + target, other, mask=stored)
        active = one.to(tl.float32) * tl.sigmoid(one.to(tl.float32))
        tl.store(inner_out + target, (active * other.to(tl.float32)).to(kind), mask=stored)


@triton.jit
def rows_kernel(
    left, left_more, table, table_more, order, offset, scale, out,
    experts, depth_size, columns, matrix_row, matrix_column,
    tile_rows: tl.constexpr, tile_columns: tl.constexpr, tile_depth: tl.constexpr, precision: tl.constexpr,
    more: tl.constexpr, scale_rows: tl.constexpr,
):  # fmt: skip
    """Rows times their expert's matrix (plus a second product), scaled, stored where the pair lies unsorted.

    The matrix is read at depth · matrix_row + column · matrix_column.
    """
    expert, first, end = expert_of_tile(offset, tl.program_id(0), experts, tile_rows)
    if first < end:
        row = (first + tl.arange(0, tile_rows)).to(tl.int64)
        column = (tl.program_id(1) * tile_columns + tl.arange(0, tile_columns)).to(tl.int64)
        kind = left.dtype.element_ty
        matrix = tl.load(table + expert).to(tl.pointer_type(kind))
        total = tl.zeros((tile_rows, tile_columns), dtype=tl.float32)
        for start in range(0, depth_size, tile_depth):
            depth = start + tl.arange(0, tile_depth)
            here = row[:, None] * depth_size + depth[None, :]
            inside = (row[:, None] < end) & (depth[None, :] < depth_size)
            place = depth[:, None] * matrix_row + column[None, :] * matrix_column
            there = (depth[:, None] < depth_size) & (column[None, :] < columns)
            block = tl.load(left + here, mask=inside, other=0.0)
            total = tl.dot(
                block, tl.load(matrix + place, mask=there, other=0.0), total, input_precision=precision
            )
            if more:
                second = tl.load(table_more + expert).to(tl.pointer_type(kind))
                block = tl.load(left_more + here, mask=inside, other=0.0)
                total = tl.dot(
                    block, tl.load(second + place, mask=there, other=0.0), total, input_precision=precision
                )
        pair = tl.load(order + row, mask=row < end, other=0)
        if scale_rows:
            total *= tl.load(scale + pair, mask=row < end, other=0.0).to(tl.float32)[:, None]
        stored = (row[:, None] < end) & (column[None, :] < columns)
        tl.store(out + pair[:, None] * columns + column[None, :], total.to(kind), mask=stored)


@triton.jit
def inner_gradient_kernel(
    gradient, down_table, token, order, offset, weight, before, of_before, scaled_inner, of_weight,
    experts, pairs, width, inner,
    tile_rows: tl.constexpr, tile_columns: tl.constexpr, tile_depth: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """Through the down product and SwiGLU: gradients of gate and up products, shape (2, pair, inner).

    Also weight · SwiGLU, for the gradient of the down matrix, and each column block's share of the gradient
    of the weight, shape (column block, pair unsorted).
    """
    expert, first, end = expert_of_tile(offset, tl.program_id(0), experts, tile_rows)
    if first < end:
        row = (first + tl.arange(0, tile_rows)).to(tl.int64)
        column = (tl.program_id(1) * tile_columns + tl.arange(0, tile_columns)).to(tl.int64)
        source = tl.load(token + row, mask=row < end, other=0)
        kind = gradient.dtype.element_ty
        down = tl.load(down_table + expert).to(tl.pointer_type(kind))
        arriving = tl.zeros((tile_rows, tile_columns), dtype=tl.float32)
        for start in range(0, width, tile_depth):
            depth = start + tl.arange(0, tile_depth)
            block = tl.load(
                gradient + source[:, None] * width + depth[None, :],
                mask=(row[:, None] < end) & (depth[None, :] < width), other=0.0,
            )  # fmt: skip
            matrix = tl.load(
                down + depth[:, None] * inner + column[None, :],
                mask=(depth[:, None] < width) & (column[None, :] < inner), other=0.0,
            )  # fmt: skip
            arriving = tl.dot(block, matrix, arriving, input_precision=precision)
        target = row[:, None] * inner + column[None, :]
        second = tl.cast(pairs, tl.int64) * inner
        stored = (row[:, None] < end) & (column[None, :] < inner)
        one = tl.load(before + target, mask=stored, other=0.0).to(tl.float32)
        other = tl.load(before + second + target, mask=stored, other=0.0).to(tl.float32)
        pair = tl.load(order + row, mask=row < end, other=0)
        share = tl.load(weight + pair, mask=row < end, other=0.0).to(tl.float32)[:, None]
        sigmoid = tl.sigmoid(one)
        active = one * sigmoid
        slot = of_weight + tl.program_id(1).to(tl.int64) * pairs + pair
        tl.store(slot, tl.sum(arriving * active * other, axis=1), mask=row < end)
        tl.store(scaled_inner + target, (share * active * other).to(kind), mask=stored)
        arriving *= share
        of_one = arriving * other * sigmoid * (1 + one * (1 - sigmoid))
        tl.store(of_before + target, of_one.to(kind), mask=stored)
        tl.store(of_before + second + target, (arriving * active).to(kind), mask=stored)


@triton.jit
def matrix_gradient_kernel(
    left, right, left_row, right_row, offset, out,
    rows_of_out, columns,
    tile_rows: tl.constexpr, tile_columns: tl.constexpr, tile_depth: tl.constexpr, precision: tl.constexpr,
    gather_left: tl.constexpr, gather_right: tl.constexpr,
):  # fmt: skip
    """Σ over an expert's rows of left ⊗ right, shape (expert, rows_of_out, columns); zeros without rows.

    Left (…, rows_of_out) and right (…, columns) are read at the row itself, or at the row that `left_row` and
    `right_row` name.
    """
    expert = tl.program_id(2)
    begin = tl.load(offset + expert).to(tl.int32)
    end = tl.load(offset + expert + 1).to(tl.int32)
    row = (tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)).to(tl.int64)
    column = (tl.program_id(1) * tile_columns + tl.arange(0, tile_columns)).to(tl.int64)
    total = tl.zeros((tile_rows, tile_columns), dtype=tl.float32)
    for start in range(begin, end, tile_depth):
        pair = (start + tl.arange(0, tile_depth)).to(tl.int64)
        here, there = pair, pair
        if gather_left:
            here = tl.load(left_row + pair, mask=pair < end, other=0)
        if gather_right:
            there = tl.load(right_row + pair, mask=pair < end, other=0)
        one = tl.load(
            left + here[None, :] * rows_of_out + row[:, None],
            mask=(pair[None, :] < end) & (row[:, None] < rows_of_out), other=0.0,
        )  # fmt: skip
        other = tl.load(
            right + there[:, None] * columns + column[None, :],
            mask=(pair[:, None] < end) & (column[None, :] < columns), other=0.0,
        )  # fmt: skip
        total = tl.dot(one, other, total, input_precision=precision)
    place = expert.to(tl.int64) * rows_of_out * columns + row[:, None] * columns + column[None, :]
    tl.store(
        out + place,
        total.to(out.dtype.element_ty),
        mask=(row[:, None] < rows_of_out) & (column[None, :] < columns),
    )


@triton.jit
def sum_kernel(
    done, out, tokens, choices, width, tile_rows: tl.constexpr, tile_columns: tl.constexpr
):  # fmt: skip
    """Sum over the choices of each token, in their order: (token, choice, width) to (token, width)."""
    row = (tl.program_id(0) * tile_rows + tl.arange(0, tile_rows)).to(tl.int64)
    column = tl.program_id(1) * tile_columns + tl.arange(0, tile_columns)
    stored = (row[:, None] < tokens) & (column[None, :] < width)
    total = tl.zeros((tile_rows, tile_columns), dtype=tl.float32)
    for choice in range(choices):
        place = (row[:, None] * choices + choice) * width + column[None, :]
        total += tl.load(done + place, mask=stored, other=0.0).to(tl.float32)
    tl.store(out + row[:, None] * width + column[None, :], total.to(out.dtype.element_ty), mask=stored)
