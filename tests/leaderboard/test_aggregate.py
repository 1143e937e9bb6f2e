"""Ranks, win rates and skill scores: small examples, laws, and figures of the fev package."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tsbench.contracts import InputError
from tsbench.leaderboard.aggregate import (
    first_share,
    log_drop,
    mean_rank,
    ranks,
    relative_error,
    resolve_missing,
    skill_score,
    win_rate,
)

errors_strategy = arrays(float, (4, 3), elements=st.sampled_from([0.1, 0.2, 0.5, 1.0, 3.0]))


def fev_table() -> np.ndarray:
    """The table that was given to fev 0.10.0: ties, an all-equal task and two clipped ratios."""
    errors = np.round(np.random.default_rng(0).lognormal(size=(20, 5)), 2)
    errors[3, 1] = errors[3, 2]
    errors[7] = errors[7, 0]
    errors[5, 4], errors[6, 3] = 1e-5, 1e5
    return errors


def frame(errors: np.ndarray) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples(
        [(f"t{i}", "regular") for i in range(len(errors))], names=["task", "condition"]
    )
    return pd.DataFrame(errors, index=index, columns=["base", "a", "b", "c", "d"][: errors.shape[1]])


def nowhere(errors: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(False, index=errors.index, columns=errors.columns)


def test_ties_share_the_average_rank():
    assert ranks(np.array([[0.2, 0.1, 0.2, 0.5]])).tolist() == [[2.5, 1.0, 2.5, 4.0]]


def test_an_entry_that_takes_no_part_moves_no_rank():
    assert ranks(np.array([[0.3, np.nan, 0.1]]))[0, [0, 2]].tolist() == [2.0, 1.0]


def test_win_rate_and_skill_equal_fev():
    # fev 0.10.0, fev.analysis.leaderboard(baseline_model=first), on the same table
    errors = fev_table()
    assert win_rate(relative_error(errors, 0)) == pytest.approx(
        [0.5625, 0.41875, 0.39375, 0.55, 0.575], abs=1e-12
    )
    expected = [0.0, -0.551259, -0.590095, -0.216218, 0.066233]
    assert skill_score(errors, 0) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("missing", "wins", "skills"),
    [  # fev 0.10.0, missing_strategy="drop" and "impute"
        (
            "drop",
            [
                0.5416666666666667,
                0.43750000000000006,
                0.3819444444444445,
                0.5833333333333334,
                0.5555555555555556,
            ],
            [0.0, -0.42322075293660677, -0.6203416698297894, -0.08121003724315723, 0.12385361578801235],
        ),
        (
            "impute",
            [0.54375, 0.425, 0.39375, 0.5625, 0.575],
            [0.0, -0.5012475817838193, -0.590094835852629, -0.09409207746469694, 0.13936457638852462],
        ),
    ],
)
def test_missing_results_are_treated_as_by_fev(missing, wins, skills):
    errors = fev_table()
    errors[2, 1] = errors[9, 4] = errors[9, 3] = np.nan
    table = frame(errors)
    resolved = resolve_missing(table, missing, "base", nowhere(table)).to_numpy()
    assert win_rate(relative_error(resolved, 0)) == pytest.approx(wins, abs=1e-12)
    assert skill_score(resolved, 0) == pytest.approx(skills, abs=1e-12)


@given(errors_strategy)
@settings(max_examples=50, deadline=None)
def test_statistics_move_with_the_entries_and_not_with_the_cells(errors):
    order, cells = [2, 0, 1], [3, 1, 0, 2]
    for statistic in (mean_rank, win_rate, lambda e: skill_score(e, 0)):
        assert statistic(errors[cells]) == pytest.approx(statistic(errors))
    for statistic in (mean_rank, win_rate):
        assert statistic(errors[:, order]) == pytest.approx(statistic(errors)[order])


@given(errors_strategy)
@settings(max_examples=50, deadline=None)
def test_win_rates_average_one_half(errors):
    assert win_rate(errors).mean() == pytest.approx(0.5)


def test_pairwise_and_rank_forms_of_the_win_rate_agree():
    errors = fev_table()
    with_absent = np.concatenate([errors, np.full((20, 1), np.nan)], axis=1)
    assert win_rate(with_absent)[:5] == pytest.approx(win_rate(errors), abs=1e-12)
    assert np.isnan(win_rate(with_absent)[5])


def test_weights_equal_repeated_cells():
    errors = fev_table()[:4]
    repeated = errors[[0, 0, 0, 2, 3]]
    weights = np.array([3.0, 0.0, 1.0, 1.0])
    for statistic in (mean_rank, win_rate, lambda e, w=None: skill_score(e, 0, w)):
        assert statistic(errors, weights) == pytest.approx(statistic(repeated))


def test_the_baseline_has_skill_zero_and_ratios_are_clipped():
    errors = np.array([[1.0, 1e-9, 1e9]])
    assert skill_score(errors, 0) == pytest.approx([0.0, 0.99, -99.0])


def test_log_drop_is_the_mean_log_ratio():
    regular = np.array([[1.0, 2.0], [4.0, np.nan]])
    assert log_drop(regular * np.e, regular) == pytest.approx([1.0, 1.0])


def test_error_names_the_missing_results():
    table = frame(np.array([[1.0, np.nan], [1.0, 2.0]]))
    with pytest.raises(InputError, match="1 results are missing: a on t0/regular"):
        resolve_missing(table, "error", "base", nowhere(table))


def test_a_declared_gap_is_neither_imputed_nor_a_reason_to_drop():
    table = frame(np.array([[1.0, np.nan], [1.0, 2.0]]))
    gap = nowhere(table)
    gap.iloc[0, 1] = True
    for missing in ("error", "drop", "impute"):
        assert resolve_missing(table, missing, "base", gap).equals(table)


def test_without_the_baseline_the_missing_take_no_part():
    table = frame(np.array([[np.nan, np.nan, 3.0], [1.0, 2.0, np.nan]]))
    resolved = resolve_missing(table, "impute", "base", nowhere(table))
    assert resolved.iloc[0].isna().tolist() == [True, True, False]
    assert resolved.iloc[1].tolist() == [1.0, 2.0, 1.0]


def test_a_cell_without_any_value_does_not_count():
    table = frame(np.array([[np.nan, np.nan], [1.0, 2.0]]))
    assert len(resolve_missing(table, "error", "base", nowhere(table))) == 1


def test_the_first_share_is_that_of_csi_rrg():  # csi_rrg sheet: 132 of 162 = 81.5 %, ties by order
    errors = np.full((162, 3), 2.0)
    errors[:132, 1] = 1.0
    errors[132:, 2] = 1.0

    assert first_share(errors).tolist() == pytest.approx([0, 132 / 162, 30 / 162])
    assert round(100 * first_share(errors)[1], 1) == 81.5


def test_a_tie_for_the_first_place_goes_to_the_entry_listed_first():
    assert first_share(np.array([[1.0, 1.0, 2.0], [3.0, 1.0, 1.0]])).tolist() == [0.5, 0.5, 0]


def test_an_entry_without_a_value_is_not_first_and_cells_without_any_do_not_count():
    errors = np.array([[np.nan, 2.0], [1.0, 2.0], [np.nan, np.nan]])

    assert first_share(errors).tolist() == [0.5, 0.5]
