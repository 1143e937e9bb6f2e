"""The arithmetic of a leaderboard on plain arrays: ranks, win rates, skill scores, drops, missing values.

Errors are arrays (..., cell, entry), smaller is better; a cell is one condition of one task. NaN means that
an entry does not take part in a cell (the model declares the task not applicable): it is compared with nobody
there. Leading dimensions are bootstrap replicates, so that a point estimate and its interval are one formula.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.stats

from tsbench.contracts import InputError

Floats = npt.NDArray[np.float64]
Missing = Literal["error", "drop", "impute"]
MISSING: tuple[Missing, ...] = ("error", "drop", "impute")
CLIP = (0.01, 100.0)
"""Bounds of an error ratio, as in fev: one extreme cell must not decide a geometric mean."""


def resolve_missing(
    errors: pd.DataFrame, missing: Missing, baseline: str | None, not_applicable: pd.DataFrame
) -> pd.DataFrame:
    """Decide what happens to cells in which an entry has no value.

    Args:
        errors: cells × entries, NaN where there is no value.
        missing: `error` refuses, `drop` leaves the cell out for everybody, `impute` puts the baseline's
            error in (as fev does); in a cell without the baseline, who is missing takes no part.
        baseline: name of the baseline's column, or None where it has no Result.
        not_applicable: same shape, True where the model declares the task not applicable: never imputed,
            never a reason to drop the cell.

    Returns:
        The cells that are left; a cell in which nobody has a value is never left.

    Raises:
        InputError: with `error`, naming the first missing values.
    """
    checked_missing(missing)
    live = errors[errors.notna().any(axis=1)]
    absent = live.isna() & ~not_applicable.loc[live.index]
    if missing == "error" and absent.to_numpy().any():
        cells = ["/".join(map(str, cell)) for cell in live.index]
        named = [f"{live.columns[column]} on {cells[row]}" for row, column in np.argwhere(absent.to_numpy())]
        raise InputError(
            f"{len(named)} results are missing: {', '.join(named[:3])}{' …' if len(named) > 3 else ''}"
        )
    if missing == "drop":
        return live[~absent.any(axis=1)]
    if missing == "impute" and baseline is not None:
        filler = pd.DataFrame({entry: live[baseline] for entry in live.columns})
        return live.where(~absent, filler)
    return live


def checked_missing(choice: str) -> Missing:
    """The choice for missing results of that name.

    Raises:
        InputError: where there is none.
    """
    for one in MISSING:
        if one == choice:
            return one
    raise InputError(f"Unknown choice '{choice}' for missing results; there are {', '.join(MISSING)}")


def ranks(errors: Floats) -> Floats:
    """Average rank of each entry in each cell, 1 is best, among the entries that take part; NaN elsewhere.

    Args:
        errors: shape (..., cell, entry).
    """
    absent = np.isnan(errors)
    # As +inf the absent rank behind everybody, so that they do not move the ranks of those who take part.
    ranked = scipy.stats.rankdata(np.where(absent, np.inf, errors), method="average", axis=-1)
    return np.where(absent, np.nan, ranked)


def mean_rank(errors: Floats, weights: Floats | None = None) -> Floats:
    """Mean over cells of the average rank, shape (..., entry).

    Args:
        errors: shape (..., cell, entry).
        weights: of the cells, shape (..., cell); equal by default.
    """
    return mean_over_cells(ranks(errors), weights)


def win_rate(errors: Floats, weights: Floats | None = None) -> Floats:
    """Share of comparisons won, ties half, as in fev: the mean over other entries of the share of cells.

    Args:
        errors: shape (..., cell, entry).
        weights: of the cells, shape (..., cell); equal by default.

    Returns:
        Shape (..., entry); NaN where an entry is compared with nobody.
    """
    entries = errors.shape[-1]
    if entries < 2:
        return np.full((*errors.shape[:-2], entries), np.nan)
    if not np.isnan(errors).any():
        # With everybody in every cell the win rate is linear in the rank: no need to compare pairs.
        return (entries - mean_rank(errors, weights)) / (entries - 1)
    return np.stack([_wins_of(errors, weights, entry) for entry in range(entries)], axis=-1)


def _wins_of(errors: Floats, weights: Floats | None, entry: int) -> Floats:
    mine = errors[..., entry, None]
    others = np.delete(errors, entry, axis=-1)
    won = (mine < others) + 0.5 * (mine == others)
    shares = mean_over_cells(
        np.where(np.isnan(mine) | np.isnan(others), np.nan, won), weights
    )  # (..., other)
    return mean_over_cells(shares[..., None], None)[..., 0]


def first_share(errors: Floats) -> Floats:
    """Share of cells in which an entry ranks first: the win rate of CSI-RRG (arXiv 2510.12996, section 6).

    A tie goes to the entry that is listed first, as there.

    Args:
        errors: shape (..., cell, entry); an entry without a value does not take part in that cell.

    Returns:
        Shape (..., entry); they sum to 1. NaN where no cell has a value.
    """
    ranked = np.where(np.isnan(errors), np.inf, errors)
    first = np.arange(errors.shape[-1]) == ranked.argmin(axis=-1)[..., None]  # (..., cell, entry)
    known = ~np.isnan(errors).all(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return (first & known).sum(axis=-2) / known.sum(axis=-2)


def skill_score(errors: Floats, baseline: int, weights: Floats | None = None) -> Floats:
    """1 − geometric mean over cells of the error relative to the baseline, clipped to `CLIP`, as in fev.

    Args:
        errors: shape (..., cell, entry).
        baseline: position of the baseline among the entries.
        weights: of the cells, shape (..., cell); equal by default.

    Returns:
        Shape (..., entry): 0 is as good as the baseline, 1 is perfect, negative is worse.
    """
    return 1 - np.exp(mean_over_cells(np.log(relative_error(errors, baseline)), weights))


def relative_error(errors: Floats, baseline: int) -> Floats:
    """Errors divided by the baseline's in the same cell, clipped to `CLIP`; shape as `errors`."""
    reference = errors[..., baseline, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((errors == 0) & (reference == 0), 1.0, errors / reference)
    return np.clip(ratio, *CLIP)


def log_drop(condition: Floats, regular: Floats) -> Floats:
    """Mean over tasks of log(error under the condition / regular error), shape (..., entry).

    Args:
        condition: errors, shape (..., task, entry).
        regular: regular errors of the same tasks, same shape.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(condition / regular)
    return mean_over_cells(np.where(np.isfinite(logs), logs, np.nan), None)


def mean_over_cells(values: Floats, weights: Floats | None) -> Floats:
    """Weighted mean over the last but one axis, of the values that are there; NaN where none is.

    Args:
        values: shape (..., cell, entry).
        weights: shape (..., cell); equal by default. All replicates of a table are one matrix product.
    """
    there = ~np.isnan(values)
    weight = np.ones(values.shape[-2]) if weights is None else weights
    if values.ndim == 2 and there.all():
        return weight @ values / weight.sum(axis=-1, keepdims=True)
    known = np.where(there, values, 0.0)
    if values.ndim == 2:
        total, summed = weight @ there, weight @ known
    else:
        total = (there * weight[..., None]).sum(axis=-2)
        summed = (known * weight[..., None]).sum(axis=-2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, summed / total, np.nan)
