"""Aggregations that other suites define, under their names, for parity with their boards: fev, GIFT-Eval.

Both take tasks for units: a table of errors, one row a task and one column a model. Rows are put in the order
of their names, as fev does: the bootstrap draws by position. With every model in each task (after tasks were
dropped or errors imputed) win rate and skill are means over tasks, so that all bootstrap replicates together
are one product of the counts with which tasks were drawn.
"""

import re
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from tsbench.contracts import InputError, Result

from . import aggregate
from .aggregate import CLIP, Floats, Missing
from .interchange import FormatName, errors_of

RESAMPLES, SEED = 1000, 123
QUANTILES = (0.025, 0.975)


def parity_board(
    results: Iterable[tuple[str, Result]], rules: FormatName, baseline: str, missing: Missing
) -> pd.DataFrame:
    """The board of `fev` or `gift-eval` over Results, ours and imported ones.

    Args:
        results: with the name that they are shown under.
        rules: whose aggregation.
        baseline: name of the model that errors are divided by; the first entry that is named so, or begins
            so, counts.
        missing: what happens to gaps (fev only; GIFT-Eval compares models on every configuration).

    Raises:
        InputError: where the baseline has no Results, or results are missing that may not be.
    """
    results = list(results)
    names = sorted({name for name, _ in results})
    found = next((name for name in names if _plain(name) == _plain(baseline)), None)
    found = found or next((name for name in names if name.startswith(baseline)), baseline)
    if rules == "fev":
        return fev_leaderboard(errors_of(results, lambda result: result.primary), found, missing=missing)
    mase, crps = (errors_of(results, lambda _, name=name: name) for name in ("mase", "wql"))
    return gift_eval_leaderboard(mase, crps, found)


def fev_leaderboard(
    errors: pd.DataFrame,
    baseline: str = "seasonal_naive",
    *,
    missing: Missing = "error",
    leaked: pd.DataFrame | None = None,
    leakage_model: str | None = None,
    resamples: int | None = RESAMPLES,
    seed: int = SEED,
) -> pd.DataFrame:
    """Win rate and skill score as `fev.leaderboard` (fev 0.10, Shchur et al. 2025, arXiv 2509.26468).

    Args:
        errors: tasks × models, NaN where a result is missing, smaller is better.
        baseline: the model that errors are divided by.
        missing: `error` refuses, `drop` leaves tasks out, `impute` takes the baseline's error.
        leaked: tasks × models, true where a model was trained on the task's data set.
        leakage_model: whose errors replace leaked ones.
        resamples: of the tasks, for intervals; None for none.
        seed: of the resampling.

    Returns:
        A row a model, sorted by win rate: win_rate and skill_score with their `_lower` and `_upper` (95 %),
        and num_failures.

    Raises:
        InputError: where the baseline or the leakage model is not there, leaked itself, or results are
            missing.
    """
    relative = _relative(errors, baseline)
    if leakage_model is not None and leaked is not None:
        relative = _replace_leaked(relative, leaked, leakage_model)
    relative = relative.clip(*CLIP)
    failures = relative.isna().sum()
    relative = _complete(relative, missing).sort_index()
    values = relative.to_numpy(float)
    board = _with_intervals(
        {
            "win_rate": lambda weights: aggregate.win_rate(values, weights),
            "skill_score": lambda weights: 1 - np.exp(aggregate.mean_over_cells(np.log(values), weights)),
        },
        relative.columns,
        _draws(len(values), resamples, seed),
    )
    return board.assign(num_failures=failures).sort_values("win_rate", ascending=False, kind="stable")


def fev_pairwise(
    errors: pd.DataFrame,
    *,
    missing: Missing = "error",
    baseline: str | None = None,
    resamples: int | None = RESAMPLES,
    seed: int = SEED,
) -> pd.DataFrame:
    """Win rate and skill score of each pair of models, as `fev.pairwise_comparison`.

    Args:
        errors: tasks × models, NaN where a result is missing, smaller is better.
        missing: `error` refuses, `drop` leaves tasks out, `impute` takes the baseline's error.
        baseline: needed to impute.
        resamples: of the tasks, for intervals; None for none.
        seed: of the resampling.

    Returns:
        A row a pair (model_1, model_2), models in the order of their mean rank.

    Raises:
        InputError: where results are missing, or the baseline that shall replace them.
    """
    if missing == "impute":
        _require(errors, baseline or "", "baseline")
        errors = errors.apply(lambda column: column.fillna(errors[baseline]))
    errors = _complete(errors, missing).sort_index()
    errors = errors[errors.rank(axis=1).mean().sort_values().index]
    values = errors.to_numpy(float)
    tasks, models = values.shape
    mine, others = values[:, :, None], values[:, None, :]
    won = ((mine < others) + 0.5 * (mine == others)).reshape(tasks, models**2)
    ratios = np.log(np.clip(mine / others, *CLIP)).reshape(tasks, models**2)
    pairs = pd.MultiIndex.from_product([errors.columns, errors.columns], names=["model_1", "model_2"])
    return _with_intervals(
        {
            "win_rate": lambda weights: aggregate.mean_over_cells(won, weights),
            "skill_score": lambda weights: 1 - np.exp(aggregate.mean_over_cells(ratios, weights)),
        },
        pairs,
        _draws(tasks, resamples, seed),
    )


def gift_eval_leaderboard(
    mase: pd.DataFrame, crps: pd.DataFrame, baseline: str = "seasonal_naive"
) -> pd.DataFrame:
    """MASE and CRPS relative to the baseline, and ranks, as on the GIFT-Eval board (arXiv 2410.10393).

    Args:
        mase: configurations × models, MASE of the median.
        crps: same shape, the mean weighted sum of quantile losses.
        baseline: whose errors others are divided by.

    Returns:
        A row a model, sorted by the rank by CRPS: geometric means `mase` and `crps` of the relative errors,
        `mase_rank` and `crps_rank`, the means over configurations of the ranks among the models shown.

    Raises:
        InputError: where the baseline is not there, or a result is missing.
    """
    columns: dict[str, Floats] = {}
    for name, errors in (("mase", mase), ("crps", crps)):
        relative = _complete(_relative(errors, baseline), "error").to_numpy(float)
        columns[name] = np.exp(aggregate.mean_over_cells(np.log(relative), None))
        columns[f"{name}_rank"] = aggregate.mean_rank(errors.to_numpy(float))
    return pd.DataFrame(columns, index=mase.columns).sort_values("crps_rank", kind="stable")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _relative(errors: pd.DataFrame, baseline: str) -> pd.DataFrame:
    _require(errors, baseline, "baseline")
    if lost := int(errors[baseline].isna().sum()):
        raise InputError(
            f"Results of the baseline '{baseline}' are missing for {lost} of {len(errors)} tasks"
        )
    return errors.div(errors[baseline], axis=0)


def _require(errors: pd.DataFrame, name: str, what: str) -> None:
    if name not in errors.columns:
        raise InputError(
            f"The {what} '{name}' has no results; there are {', '.join(map(str, errors.columns))}"
        )


def _replace_leaked(relative: pd.DataFrame, leaked: pd.DataFrame, model: str) -> pd.DataFrame:
    _require(relative, model, "leakage model")
    mask = leaked.reindex_like(relative).fillna(False).astype(bool)
    if bool(mask[model].any()):
        raise InputError(f"The leakage model '{model}' was itself trained on a task's data set")
    return relative.mask(mask, relative[model], axis=0)


def _complete(errors: pd.DataFrame, missing: Missing) -> pd.DataFrame:
    """Errors without a gap: relative ones are imputed with 1, the baseline's own."""
    absent = errors.isna()
    if not absent.to_numpy().any():
        return errors
    if missing == "impute":
        return errors.fillna(1.0)
    if missing == "drop":
        left = errors.dropna()
        if left.empty:
            raise InputError("No task has results of all models; impute what is missing")
        return left
    counts = absent.sum()
    named = ", ".join(f"{name} ({count})" for name, count in counts[counts > 0].items())
    raise InputError(f"Of {len(errors)} tasks results are missing for {named}")


def _draws(tasks: int, resamples: int | None, seed: int) -> Floats | None:
    """How often each replicate draws each task, shape (replicate, task)."""
    if resamples is None:
        return None
    drawn = np.random.default_rng(seed).integers(0, tasks, size=(resamples, tasks))
    places = drawn + np.arange(resamples)[:, None] * tasks
    return np.bincount(places.ravel(), minlength=resamples * tasks).reshape(resamples, tasks).astype(float)


def _with_intervals(
    statistics: dict[str, Callable[[Floats | None], Floats]], index: pd.Index, draws: Floats | None
) -> pd.DataFrame:
    columns: dict[str, Floats] = {}
    for name, statistic in statistics.items():
        columns[name] = statistic(None)
        if draws is not None:
            bounds = np.quantile(statistic(draws), QUANTILES, axis=0)
            columns[f"{name}_lower"], columns[f"{name}_upper"] = bounds
    return pd.DataFrame(columns, index=index)
