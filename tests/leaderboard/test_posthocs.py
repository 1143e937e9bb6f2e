"""Tests of mean ranks and of pairs against scikit-posthocs, to 1e-9, on tables with and without ties."""

import numpy as np
import pytest
import scikit_posthocs
import scipy.stats

from tsbench.leaderboard import aggregate
from tsbench.leaderboard.paired import paired_tests
from tsbench.leaderboard.significance import LEVEL, compare, critical_difference

ROUNDINGS = [12, 1]
"""Decimals of the errors; with one of them there are ties within clusters, and differences of 0."""


def blocks_of(clusters: int, entries: int, decimals: int, seed: int = 7) -> np.ndarray:
    """Errors, shape (cluster, entry), of which some entries are truly apart."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(clusters, 1)) + 0.35 * np.arange(entries)
    return (values + random.normal(size=(clusters, entries))).round(decimals)


@pytest.mark.parametrize("decimals", ROUNDINGS)
@pytest.mark.parametrize(("clusters", "entries"), [(10, 3), (24, 6), (60, 11)])
def test_nemenyi_gives_each_pair_the_probability_at_which_its_distance_is_critical(
    clusters, entries, decimals
):
    blocks = blocks_of(clusters, entries, decimals)
    reference = scikit_posthocs.posthoc_nemenyi_friedman(blocks).to_numpy()

    found = compare(blocks)

    apart = np.abs(found.mean_ranks[:, None] - found.mean_ranks)
    assert found.difference is not None
    assert np.array_equal(apart > found.difference, reference < LEVEL)
    pairs = [pair for pair in np.argwhere(reference < 0.999) if pair[0] < pair[1]]
    assert len(pairs) > 1
    for one, other in pairs:
        level = float(reference[one, other])
        if level > 1e-4:  # further out the quantile, found by search, has fewer digits
            assert critical_difference(entries, clusters, level) == pytest.approx(
                apart[one, other], abs=1e-9, rel=1e-9
            )


@pytest.mark.parametrize("decimals", ROUNDINGS)
def test_bars_join_what_nemenyi_does_not_part(decimals):
    blocks = blocks_of(30, 8, decimals)
    reference = scikit_posthocs.posthoc_nemenyi_friedman(blocks).to_numpy()

    found = compare(blocks)

    order = np.argsort(found.mean_ranks, kind="stable")
    same = reference[np.ix_(order, order)] >= LEVEL
    runs = [(i, j) for i in range(8) for j in range(i + 1, 8) if same[i : j + 1, i : j + 1].all()]
    largest = [one for one in runs if not any(a <= one[0] and one[1] <= b and (a, b) != one for a, b in runs)]
    assert len(largest) > 0
    assert found.groups == tuple(largest)


@pytest.mark.parametrize("decimals", ROUNDINGS)
def test_friedman_is_that_of_scipy(decimals):
    blocks = blocks_of(24, 6, decimals)

    assert compare(blocks).p_value == pytest.approx(
        scipy.stats.friedmanchisquare(*blocks.T).pvalue, rel=1e-9, abs=1e-12
    )
    assert compare(blocks).mean_ranks == pytest.approx(aggregate.mean_rank(blocks))


@pytest.mark.parametrize("decimals", ROUNDINGS)
@pytest.mark.parametrize(("clusters", "entries"), [(10, 3), (40, 7)])
def test_pairs_by_wilcoxon_and_holm(clusters, entries, decimals):
    blocks = blocks_of(clusters, entries, decimals)
    reference = scikit_posthocs.posthoc_wilcoxon(
        list(blocks.T), zero_method="zsplit", p_adjust="holm", sort=False
    ).to_numpy()

    found = paired_tests(blocks).p_values["wilcoxon"]

    off = ~np.eye(entries, dtype=bool)
    assert (reference[off] < 1).any()
    assert found[off] == pytest.approx(reference[off], rel=1e-9, abs=1e-9)
