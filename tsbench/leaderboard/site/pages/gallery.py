"""Which of the kept cases are drawn: typical ones and the worst, by the error of the entries shown."""

import numpy as np
import pandas as pd

TYPICAL, WORST = "Typical", "Worst"
KEYS = ["scenario", "case", "variable"]


def chosen_panels(examples: pd.DataFrame) -> list[tuple[str, int, str, str]]:
    """Two typical panels and the worst one, each with its word.

    The error of a panel is the mean absolute error of all entries on it, in units of the variable's own
    deviation over the kept cases, so that variables of different size compare. Typical is the median; the
    second is the next one to it with another variable, or another case.

    Args:
        examples: of all entries that are drawn: columns `EXAMPLE_COLUMNS` and entry.

    Returns:
        (scenario, case, variable, word), worst last; with fewer than three panels all of them.
    """
    errors = panel_errors(examples)
    order = list(errors.sort_values(kind="stable").index)
    if not order:
        return []
    if len(order) < 3:
        words = [TYPICAL, WORST] if len(order) == 2 else [""]
        return [(*key, word) for key, word in zip(order, words, strict=True)]
    worst = order.pop()
    middle = (len(order) - 1) // 2
    first = order[middle]
    rest = sorted((one for one in order if one != first), key=lambda one: abs(order.index(one) - middle))
    second = next((one for one in rest if one[2] != first[2]), rest[0])
    return [(*first, TYPICAL), (*second, TYPICAL), (*worst, WORST)]


def chosen_cases(examples: pd.DataFrame) -> list[tuple[str, int, str]]:
    """(scenario, case, word) of the typical and the worst case, over all variables together."""
    errors = panel_errors(examples).groupby(level=["scenario", "case"]).mean().sort_values(kind="stable")
    order = list(errors.index)
    if len(order) < 2:
        return [(*key, "") for key in order]
    return [(*order[(len(order) - 1) // 2], TYPICAL), (*order[-1], WORST)]


def panel_errors(examples: pd.DataFrame) -> pd.Series:
    """Mean absolute error of each (scenario, case, variable), relative to the variable's deviation."""
    ahead = examples[(examples["lead_time"] > 0)].dropna(subset=["forecast", "observed"])
    size = examples.groupby("variable")["observed"].std(ddof=0).replace(0.0, np.nan)
    error = (ahead["forecast"] - ahead["observed"]).abs() / ahead["variable"].map(size).fillna(1.0)
    return error.groupby([ahead[key] for key in KEYS], sort=True).mean()
