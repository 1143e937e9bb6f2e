"""Windows of tables: where loaders of time series copy rows, with `window_gather` where that pays.

The operator copies runs of memory, an index copies element by element; the bits are the same. The operator
needs some 20 µs before it begins, and is 1.1 to 5 times as fast from some ten thousand values on. Masks of
single bytes are indexed: their runs are too short to gain anything.
"""

import torch

from tsbench.cuda_ops import window_gather

RUNS_PAY, SERIES_PAY = 2**15, 2**13
"""Values of a batch from which the operator is the faster way, as measured on a processor (docs/cuda_ops.md):
of one table, and of series laid end to end."""


def runs(rows: torch.Tensor, starts: torch.Tensor, length: int) -> torch.Tensor:
    """Windows of a contiguous table.

    Args:
        rows: shape (row, column), contiguous.
        starts: first row of each window, int64, shape (sample,).
        length: rows of a window.

    Returns:
        Shape (sample, length, column).
    """
    columns = rows.shape[1]
    if rows.dtype == torch.bool or len(starts) * length * columns < RUNS_PAY:
        view = rows.as_strided((rows.shape[0] - length + 1, length, columns), (columns, columns, 1))
        return view[starts]
    return window_gather(rows, starts, length, 0, check_starts=False).context


def runs_of_series(
    rows: torch.Tensor,
    bounds: torch.Tensor,
    series: torch.Tensor,
    origins: torch.Tensor,
    context: int,
    horizon: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Contexts and targets of series that are laid end to end.

    Args:
        rows: shape (row, column); series after series.
        bounds: first row and row after the last of each series, int64, shape (series, 2).
        series: of each window, int64, shape (sample,).
        origins: row of each first target, whose targets all lie in the series, int64, shape (sample,).
        context: steps; those before a series are 0.
        horizon: steps.

    Returns:
        Shapes (sample, context, column) and (sample, horizon, column).
    """
    found = window_gather(
        rows, origins - context, context, horizon, bounds=bounds, owner=series, check_starts=False
    )
    # Laid out as an index lays them, so that what is computed of them has the same bits.
    return found.context.contiguous(), found.target.contiguous()
