"""Pareto fronts, pairs, and tests of mean ranks against their laws, scipy and printed values."""

import numpy as np
import pytest
import scipy.stats

from tsbench.leaderboard import aggregate
from tsbench.leaderboard.pairwise import skill_matrix, win_matrix
from tsbench.leaderboard.pareto import front
from tsbench.leaderboard.significance import compare, critical_difference, friedman, groups


def table(cells: int = 40, entries: int = 6, seed: int = 0) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(size=(cells, entries)).round(1))


def dominated_by_search(points: np.ndarray) -> list[bool]:
    return [
        any((other <= one).all() and (other < one).any() for other in points if not np.isnan(other).any())
        for one in points
    ]


@pytest.mark.parametrize("objectives", [1, 2, 4])
def test_the_front_is_who_nobody_dominates(objectives):
    points = np.random.default_rng(objectives).integers(0, 6, size=(60, objectives)).astype(float)
    assert front(points).tolist() == [not one for one in dominated_by_search(points)]


def test_an_entry_without_a_cost_is_not_on_the_front_and_dominates_nobody():
    points = np.array([[np.nan, 0.0], [1.0, 1.0], [2.0, 2.0], [1.0, 1.0]])
    assert front(points).tolist() == [False, True, False, True]


def test_opposite_win_shares_sum_to_one_and_average_to_the_win_rate():
    errors = table()
    wins = win_matrix(errors)
    off = ~np.eye(6, dtype=bool)
    assert np.allclose((wins + wins.T)[off], 1)
    assert np.isnan(np.diag(wins)).all()
    assert np.allclose(np.nanmean(wins, axis=1), aggregate.win_rate(errors))


def test_pairs_are_compared_in_their_common_cells_only():
    errors = np.array([[1.0, 2.0, np.nan], [3.0, 2.0, 9.0], [1.0, 1.0, np.nan]])
    assert win_matrix(errors)[0, 1] == 0.5
    assert win_matrix(errors)[0, 2] == 1
    assert np.isnan(win_matrix(np.array([[1.0, np.nan], [np.nan, 1.0]]))).all()


def test_a_column_of_the_skill_matrix_is_the_skill_score_against_it():
    errors = table()
    matrix = skill_matrix(errors)
    for baseline in range(6):
        expected = np.delete(aggregate.skill_score(errors, baseline), baseline)
        assert np.delete(matrix[:, baseline], baseline) == pytest.approx(expected)


@pytest.mark.parametrize(("entries", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_has_the_quantiles_of_demsars_table(entries, q):
    # Demšar (2006), table 5(a), α = 0.05.
    scale = np.sqrt(entries * (entries + 1) / (6 * 20))
    assert critical_difference(entries, 20) == pytest.approx(q * scale, abs=1e-3 * scale)


def test_friedman_is_scipys_also_with_ties():
    blocks = table(20, 5).round(0)
    assert friedman(blocks) == pytest.approx(scipy.stats.friedmanchisquare(*blocks.T).pvalue, rel=1e-9)
    assert friedman(np.ones((12, 3))) == 1


def test_groups_are_the_largest_runs_within_the_difference():
    assert groups(np.array([3.0, 1.0, 1.5, 5.0]), 2.1) == ((0, 2), (2, 3))
    assert groups(np.array([1.0, 5.0]), 2.0) == ()
    assert groups(np.array([1.0, 1.1, 1.2]), 2.0) == ((0, 2),)


def test_no_test_is_made_below_ten_clusters_and_it_says_why():
    few = compare(table(9, 4))
    assert (few.difference, few.p_value, few.groups) == (None, None, ())
    assert "9 clusters" in few.reason
    assert compare(table(10, 4)).difference == critical_difference(4, 10)


def test_a_missing_block_is_refused():
    blocks = table(12, 3)
    blocks[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        compare(blocks)
