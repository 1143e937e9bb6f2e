"""Split conformal intervals: the rank of the guarantee, coverage on exchangeable errors, laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsbench.forecasting.conformal import coverage, interval


@given(st.integers(20, 200), st.sampled_from([0.5, 0.8, 0.9]), st.integers(0, 10**6))
def test_coverage_of_new_errors_of_the_same_law_is_at_least_the_level_on_average(windows, level, seed):
    random = np.random.default_rng(seed)
    errors = random.standard_gamma(2, (windows, 1, 400)) - 1  # lopsided; 400 repetitions as variables
    new = random.standard_gamma(2, (50, 1, 400)) - 1

    assert coverage(new, *interval(errors, level)) >= level - 0.02


@given(st.integers(0, 10**6))
def test_a_higher_level_gives_an_interval_that_holds_the_lower_ones(seed):
    errors = np.random.default_rng(seed).standard_normal((60, 3, 2))
    (low, high), (lower, higher) = interval(errors, 0.5), interval(errors, 0.9)

    assert (lower <= low).all()
    assert (high <= higher).all()


def test_shift_and_scale_of_the_errors_move_the_bounds_alike():
    errors = np.random.default_rng(0).standard_normal((60, 3, 2))

    for bound, moved in zip(interval(errors, 0.8), interval(4 * errors + 7, 0.8), strict=True):
        assert np.allclose(moved, 4 * bound + 7)


def test_each_lead_time_and_variable_has_its_own_bounds():
    errors = np.random.default_rng(0).standard_normal((500, 2, 2)) * [[1, 10], [2, 20]]
    low, high = interval(errors, 0.8)

    assert (high - low)[0, 1] == pytest.approx(10 * (high - low)[0, 0], rel=0.2)
    assert (high - low)[1, 0] == pytest.approx(2 * (high - low)[0, 0], rel=0.2)


def test_with_too_few_windows_the_extremes_are_the_bounds():
    errors = np.array([3.0, -1.0, 2.0])[:, None, None]

    assert [float(bound[0, 0]) for bound in interval(errors, 0.95)] == [-1, 3]


@pytest.mark.parametrize("level", [0, 1, -0.5, 80])
def test_a_level_outside_its_range_is_refused(level):
    with pytest.raises(ValueError, match="a level lies between 0 and 1"):
        interval(np.zeros((5, 1, 1)), level)


def test_without_a_window_there_is_no_interval():
    with pytest.raises(ValueError, match="no window"):
        interval(np.zeros((0, 1, 1)), 0.8)
