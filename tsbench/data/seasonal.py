"""Mean seasonal differences of many series up to many forecast origins, in one pass over the values."""

import torch

ROWS = 2**22
"""Rows that are differenced at a time, so that memory does not grow with the data."""


def seasonal_means(
    values: torch.Tensor,
    observed: torch.Tensor | None,
    first: torch.Tensor,
    origins: torch.Tensor,
    period: int,
    power: int = 1,
) -> torch.Tensor:
    """Mean of |x_t − x_(t − period)|^power over a series' values before each forecast origin.

    Args:
        values: series after series, float64, shape (row, channel).
        observed: mask of `values`, or None; a difference with a missing value does not count.
        first: row of the first value of each case's series, int64, shape (case,).
        origins: first row that does not count, of each case, int64, shape (case,), ascending.
        period: season in steps.
        power: of the absolute difference.

    Returns:
        float64, shape (case, channel); NaN where there is no difference.
    """
    cases, channels = len(origins), values.shape[1]
    totals = torch.zeros(2, cases, channels, dtype=torch.float64)  # sums and counts since the case before
    for start in range(period, int(origins[-1]), ROWS):
        rows = torch.arange(start, min(start + ROWS, int(origins[-1])))
        # The first case whose origin lies behind the row; a row of another series has none.
        case = torch.searchsorted(origins, rows, right=True)
        rows, case = (one[rows >= first[case] + period] for one in (rows, case))
        difference = (values[rows] - values[rows - period]).abs() ** power
        counted = torch.ones_like(difference)
        if observed is not None:
            counted = (observed[rows] & observed[rows - period]).to(difference)
        totals[0].index_add_(0, case, difference * counted)
        totals[1].index_add_(0, case, counted)
    sums, counts = _sum_up(totals, first)
    return torch.where(counts > 0, sums / counts, torch.nan)


def _sum_up(totals: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    """Running sums over the cases of each series by itself, so that large ones leave small ones exact."""
    _, group, sizes = torch.unique_consecutive(first, return_inverse=True, return_counts=True)
    rank = torch.arange(len(first)) - (sizes.cumsum(0) - sizes)[group]
    table = totals.new_zeros(2, len(sizes), int(sizes.max()), totals.shape[-1])
    table[:, group, rank] = totals
    return table.cumsum(dim=2)[:, group, rank]
