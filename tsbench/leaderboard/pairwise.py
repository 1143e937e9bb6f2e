"""Entries in pairs: how often one beats the other, and by how much. Matrices of row against column."""

import numpy as np

from .aggregate import CLIP, Floats, mean_over_cells


def win_matrix(errors: Floats) -> Floats:
    """Share of the common cells in which the row's error is smaller than the column's; ties count half.

    Args:
        errors: shape (cell, entry); NaN where an entry takes no part.

    Returns:
        Shape (entry, entry); NaN on the diagonal and without a common cell. Opposite cells sum to 1.
    """
    entries = errors.shape[1]
    matrix = np.full((entries, entries), np.nan)
    for row in range(entries):
        mine = errors[:, row, None]
        won = (mine < errors) + 0.5 * (mine == errors)
        matrix[row] = mean_over_cells(np.where(np.isnan(mine) | np.isnan(errors), np.nan, won), None)
    np.fill_diagonal(matrix, np.nan)
    return matrix


def skill_matrix(errors: Floats) -> Floats:
    """1 − geometric mean over common cells of the row's error relative to the column's, clipped to `CLIP`.

    Args:
        errors: shape (cell, entry); NaN where an entry takes no part.

    Returns:
        Shape (entry, entry): positive where the row is better; NaN on the diagonal and without common cells.
    """
    entries = errors.shape[1]
    matrix = np.full((entries, entries), np.nan)
    for column in range(entries):
        reference = errors[:, column, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where((errors == 0) & (reference == 0), 1.0, errors / reference)
        matrix[:, column] = 1 - np.exp(mean_over_cells(np.log(np.clip(ratio, *CLIP)), None))
    np.fill_diagonal(matrix, np.nan)
    return matrix
