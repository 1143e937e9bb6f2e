"""Paired tests of entries over clusters, and how much a ranking hangs on one of them.

The pairs are clusters: an entry's value in each is the mean over its units and seeds, so that what shares one
data set, map or channel folder counts once. Below `MIN_CLUSTERS` no test is made. Student's t for means, and
Wilcoxon's signed ranks (Demšar, JMLR 7, 2006, sections 3.1.1 and 3.1.3); p-values of a family are adjusted by
Holm's step-down rule (Scandinavian Journal of Statistics 6, 1979).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.stats

from .aggregate import Floats
from .bootstrap import MIN_CLUSTERS

ROUNDING = 1e-12

Test = Literal["t", "wilcoxon"]


@dataclass(frozen=True)
class PairedTests:
    """Every pair of entries, tested over clusters.

    Attributes:
        p_values: of each test, adjusted by Holm over all pairs, shape (entry, entry), NaN on the diagonal;
            empty where no test is made.
        clusters: number of pairs.
        reason: why no test is made; empty where one is.
    """

    p_values: dict[Test, Floats]
    clusters: int
    reason: str = ""


def paired_tests(blocks: Floats) -> PairedTests:
    """Test every pair of entries, two-sided.

    Args:
        blocks: value of each entry in each cluster, shape (cluster, entry), no NaN: errors of one task, or
            logarithms of relative errors where tasks with different scales come together.

    Raises:
        ValueError: where a value is missing.
    """
    if np.isnan(blocks).any():
        raise ValueError("blocks hold NaN: every entry needs a value in every cluster")
    clusters, entries = blocks.shape
    if clusters < MIN_CLUSTERS:
        return PairedTests(
            {}, clusters, f"No test: {clusters} clusters, and at least {MIN_CLUSTERS} are needed."
        )
    if entries < 2:
        return PairedTests({}, clusters, "No test: there is one entry only.")
    first, second = np.triu_indices(entries, 1)
    differences = blocks[:, first] - blocks[:, second]  # (cluster, pair)
    found: dict[Test, Floats] = {}
    tests: dict[Test, Callable[[Floats], float]] = {"t": student, "wilcoxon": wilcoxon}
    for name, test in tests.items():
        adjusted = holm(np.array([test(one) for one in differences.T]))
        matrix = np.full((entries, entries), np.nan)
        matrix[first, second] = matrix[second, first] = adjusted
        found[name] = matrix
    return PairedTests(found, clusters)


def holm(p_values: Floats) -> Floats:
    """Holm's adjusted p-values of a family, in the order given.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * (len(p_values) - np.arange(len(p_values)))
    adjusted = np.empty_like(steps)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def rank_stability(blocks: Floats) -> Floats:
    """Place of each entry by its mean when each cluster in turn is left out, shape (cluster, entry).

    1 is best. Entries with the same mean share the mean of their places.

    Args:
        blocks: value of each entry in each cluster, smaller is better, shape (cluster, entry), no NaN; at
            least two clusters. Ranks in place of values give places by the mean rank.
    """
    means = (blocks.sum(axis=0) - blocks) / (len(blocks) - 1)
    return scipy.stats.rankdata(means.round(12), method="average", axis=1)


def student(differences: Floats) -> float:
    """p-value of Student's paired t, two-sided.

    1 where all differences are 0; a difference that is the same everywhere is certain.

    Args:
        differences: of the pairs, shape (pair,).
    """
    if np.ptp(differences) <= ROUNDING * np.abs(differences).max():
        return 1.0 if differences[0] == 0 else 0.0
    return float(np.asarray(scipy.stats.ttest_1samp(differences, 0.0))[1])


def wilcoxon(differences: Floats) -> float:
    """p-value of Wilcoxon's signed ranks, two-sided; 1 where all differences are 0.

    Zeros are shared out between both signs (Demšar, 2006, section 3.1.3).

    Args:
        differences: of the pairs, shape (pair,).
    """
    if not differences.any():
        return 1.0
    return float(np.asarray(scipy.stats.wilcoxon(differences, zero_method="zsplit"))[1])
