"""Which differences of mean ranks are more than chance: Friedman's test and Nemenyi's critical difference.

Blocks of the test are clusters, not cells or scenarios: thousands of scenarios share one data set. Below
`MIN_CLUSTERS` clusters no test is made. Demšar, "Statistical comparisons of classifiers over multiple data
sets", JMLR 7 (2006), section 3.2.2.
"""

from dataclasses import dataclass

import numpy as np
import scipy.stats

from .aggregate import Floats, mean_rank, ranks
from .bootstrap import MIN_CLUSTERS

LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """Entries compared by their mean rank over clusters.

    Attributes:
        mean_ranks: over clusters, shape (entry,); 1 is best.
        clusters: number of blocks.
        p_value: of Friedman's test that all entries are equal; None where no test is made.
        difference: Nemenyi's critical difference of mean ranks; None where no test is made.
        groups: index ranges (first, last) in the order of the mean ranks within which no two entries differ
            by the critical difference; only the largest, none of a single entry.
        reason: why no test is made; empty where one is.
    """

    mean_ranks: Floats
    clusters: int
    p_value: float | None
    difference: float | None
    groups: tuple[tuple[int, int], ...]
    reason: str = ""


def compare(blocks: Floats, level: float = LEVEL) -> Comparison:
    """Compare entries over clusters.

    Args:
        blocks: shape (cluster, entry), smaller is better, no NaN.
        level: of the test.

    Raises:
        ValueError: where a value is missing.
    """
    if np.isnan(blocks).any():
        raise ValueError("blocks hold NaN: every entry needs a value in every cluster")
    clusters, entries = blocks.shape
    found = mean_rank(blocks)
    if clusters < MIN_CLUSTERS or entries < 2:
        reason = f"No test: {clusters} clusters, and at least {MIN_CLUSTERS} are needed."
        reason = reason if clusters < MIN_CLUSTERS else "No test: there is one entry only."
        return Comparison(found, clusters, None, None, (), reason)
    difference = critical_difference(entries, clusters, level)
    return Comparison(found, clusters, friedman(blocks), difference, groups(found, difference))


def critical_difference(entries: int, clusters: int, level: float = LEVEL) -> float:
    """Nemenyi's critical difference of two mean ranks: q √(k (k + 1) / 6 N), Demšar (2006), section 3.2.2.

    q is the quantile of the studentised range with infinitely many degrees of freedom, divided by √2.

    >>> round(critical_difference(4, 14, 0.05), 2)
    1.25
    """
    quantile = float(scipy.stats.studentized_range.ppf(1 - level, entries, np.inf)) / np.sqrt(2)
    return float(quantile * np.sqrt(entries * (entries + 1) / (6 * clusters)))


def friedman(blocks: Floats) -> float:
    """p-value of Friedman's test with the correction for ties; 1 where all entries are tied everywhere.

    Args:
        blocks: shape (cluster, entry), smaller is better, no NaN; at least two entries.
    """
    clusters, entries = blocks.shape
    ranked = ranks(blocks)
    spread = ((ranked.sum(axis=0) - clusters * (entries + 1) / 2) ** 2).sum()
    scale = ((ranked - (entries + 1) / 2) ** 2).sum() / (entries - 1)
    return 1.0 if scale == 0 else float(scipy.stats.chi2.sf(spread / scale, entries - 1))


def groups(mean_ranks: Floats, difference: float) -> tuple[tuple[int, int], ...]:
    """Largest runs of entries, by mean rank, that the critical difference does not part."""
    ordered = np.sort(mean_ranks)
    last = [int(np.searchsorted(ordered, one + difference, side="left")) - 1 for one in ordered]
    found = [(first, end) for first, end in enumerate(last) if end > first]
    return tuple((first, end) for first, end in found if not any(a < first and end <= b for a, b in found))
