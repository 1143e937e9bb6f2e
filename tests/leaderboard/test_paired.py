"""Paired tests against scipy and by hand, Holm's rule, and what leaving a cluster out does to a ranking."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from tsbench.leaderboard.bootstrap import MIN_CLUSTERS
from tsbench.leaderboard.paired import holm, paired_tests, rank_stability


def blocks_of(clusters: int = 14, entries: int = 4, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (
        generator.normal(size=(clusters, 1))
        + 0.5 * np.arange(entries)
        + generator.normal(size=(clusters, entries))
    )


def test_a_single_pair_is_tested_as_scipy_does():
    one, other = blocks_of(entries=2).T

    found = paired_tests(np.stack([one, other], axis=1)).p_values

    assert found["t"][0, 1] == pytest.approx(scipy.stats.ttest_rel(one, other).pvalue)
    assert found["wilcoxon"][1, 0] == pytest.approx(scipy.stats.wilcoxon(one, other).pvalue)


def test_a_family_is_adjusted_over_all_of_its_pairs():
    blocks = blocks_of()
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    single = [scipy.stats.ttest_rel(blocks[:, i], blocks[:, j]).pvalue for i, j in pairs]

    found = paired_tests(blocks).p_values["t"]

    smallest = pairs[int(np.argmin(single))]
    assert found[smallest] == pytest.approx(min(1.0, 6 * min(single)))
    assert np.isnan(np.diag(found)).all()
    assert np.array_equal(found, found.T, equal_nan=True)
    assert all(found[pair] >= value for pair, value in zip(pairs, single, strict=True))


def test_few_clusters_make_no_test():
    few, one = paired_tests(blocks_of(MIN_CLUSTERS - 1)), paired_tests(blocks_of(entries=1))

    assert (few.p_values, few.clusters) == ({}, MIN_CLUSTERS - 1)
    assert few.reason == f"No test: {MIN_CLUSTERS - 1} clusters, and at least {MIN_CLUSTERS} are needed."
    assert one.reason == "No test: there is one entry only."


def test_entries_that_never_differ_are_not_told_apart():
    blocks = np.repeat(blocks_of(entries=1), 2, axis=1)

    assert paired_tests(blocks).p_values["t"][0, 1] == 1
    assert paired_tests(blocks).p_values["wilcoxon"][0, 1] == 1
    assert paired_tests(blocks + np.arange(2)).p_values["t"][0, 1] == 0


def test_a_missing_value_is_refused():
    blocks = blocks_of()
    blocks[3, 1] = np.nan

    with pytest.raises(ValueError, match="every entry needs a value in every cluster"):
        paired_tests(blocks)


def test_holm_by_hand():
    # 0.011·3 = 0.033, 0.02·2 = 0.04, 0.03·1 = 0.03 → not below the step before.
    assert holm(np.array([0.03, 0.011, 0.02])) == pytest.approx([0.04, 0.033, 0.04])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_never_lowers(values):
    given_values = np.array(values)

    found = holm(given_values)

    assert (found >= given_values).all()
    assert (found <= 1).all()
    order = np.argsort(given_values, kind="stable")
    assert (np.diff(found[order]) >= 0).all()


def test_a_cluster_that_alone_makes_a_rank_is_seen():
    # The second entry is better by a little in one cluster, the first in another; the third is always last.
    blocks = np.array([[1.0, 2.0, 9.0], [2.0, 1.0, 9.0]])

    found = rank_stability(blocks)

    assert found.tolist() == [[2.0, 1.0, 3.0], [1.0, 2.0, 3.0]]


def test_places_that_are_shared_are_shared():
    blocks = np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]])

    assert rank_stability(blocks)[0].tolist() == [1.5, 1.5]
