"""Aggregations of other suites: equal to the packages that define them, and to their published boards."""

import warnings

import fev
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsbench.contracts import InputError
from tsbench.leaderboard.parity import fev_leaderboard, fev_pairwise, gift_eval_leaderboard

MASE, CRPS = "eval_metrics/MASE[0.5]", "eval_metrics/mean_weighted_sum_quantile_loss"


def table_of(seed: int, tasks: int, models: int, missing: float = 0.0) -> pd.DataFrame:
    """Errors with ties and gaps, the baseline complete."""
    rng = np.random.default_rng(seed)
    errors = np.exp(rng.normal(size=(tasks, models)))
    errors[rng.random(errors.shape) < 0.2] = 1.0
    errors[rng.random(errors.shape) < missing] = np.nan
    errors[:, 0] = np.where(rng.random(tasks) < 0.3, 1.0, np.exp(rng.normal(size=tasks)))
    names = ["seasonal_naive", *(f"model_{number}" for number in range(1, models))]
    return pd.DataFrame(errors, index=[f"task_{row}" for row in range(tasks)], columns=names)


def summaries(errors: pd.DataFrame, leaked: pd.DataFrame | None = None) -> pd.DataFrame:
    """The same errors as fev takes them."""
    long = errors.rename_axis("dataset_path").reset_index().melt("dataset_path", var_name="model_name")
    trained = False if leaked is None else leaked.melt()["value"].to_numpy()
    return long.rename(columns={"value": "test_error"}).assign(
        fev_version="0.10.0",
        quantile_levels="[0.5]",
        training_time_s=1.0,
        inference_time_s=1.0,
        trained_on_this_dataset=trained,
    )


def reference(function, errors, leaked=None, **options) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(summaries(errors, leaked), **options)


def assert_same(made: pd.DataFrame, expected: pd.DataFrame) -> None:
    columns = [name for name in expected if name in made]
    assert len(columns) >= 2
    np.testing.assert_allclose(
        made.loc[expected.index, columns].to_numpy(float),
        expected[columns].to_numpy(float),
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize("missing", ["error", "drop", "impute"])
@pytest.mark.parametrize("resamples", [None, 1000])
def test_the_leaderboard_is_that_of_fev(missing, resamples):
    # ltsf_protocol.md, must show 5: a random 20 x 5 matrix with ties, missing entries and 1000 resamples.
    errors = table_of(7, 20, 5, missing=0.0 if missing == "error" else 0.1)

    made = fev_leaderboard(errors, missing=missing, resamples=resamples)

    assert_same(made, reference(fev.leaderboard, errors, missing_strategy=missing, n_resamples=resamples))
    assert made["win_rate"].is_monotonic_decreasing


@given(seed=st.integers(0, 10_000), tasks=st.integers(1, 12), models=st.integers(2, 6))
@settings(max_examples=25)
def test_any_leaderboard_is_that_of_fev(seed, tasks, models):
    errors = table_of(seed, tasks, models, missing=0.2)

    made = fev_leaderboard(errors, missing="impute", resamples=50, seed=seed)

    expected = reference(fev.leaderboard, errors, missing_strategy="impute", n_resamples=50, seed=seed)
    assert_same(made, expected)


@pytest.mark.parametrize("missing", ["error", "drop", "impute"])
def test_pairs_are_those_of_fev(missing):
    errors = table_of(3, 30, 6, missing=0.0 if missing == "error" else 0.05)
    options = {"baseline_model": "seasonal_naive"}

    made = fev_pairwise(errors, missing=missing, baseline="seasonal_naive", resamples=200)

    expected = reference(
        fev.pairwise_comparison, errors, missing_strategy=missing, n_resamples=200, **options
    )
    assert list(made.index) == list(expected.index)
    assert_same(made, expected)


def test_leaked_results_are_replaced_before_clipping():
    errors = table_of(5, 20, 4)
    leaked = pd.DataFrame(False, index=errors.index, columns=errors.columns)
    leaked.iloc[:6, 2] = True
    errors.iloc[0, 1] = 1e9

    made = fev_leaderboard(errors, leaked=leaked, leakage_model="model_1", resamples=100)

    assert_same(
        made, reference(fev.leaderboard, errors, leaked, leakage_imputation_model="model_1", n_resamples=100)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"baseline": "naive"}, "The baseline 'naive' has no results; there are seasonal_naive, model_1"),
        ({"missing": "error"}, r"Of 20 tasks results are missing for model_1 \(1\)"),
        ({"leakage_model": "x"}, "The leakage model 'x' has no results"),
        ({"leakage_model": "model_2"}, "The leakage model 'model_2' was itself trained"),
    ],
)
def test_what_cannot_be_aggregated_is_named(change, message):
    errors = table_of(5, 20, 4)
    errors.iloc[3, 1] = np.nan
    leaked = pd.DataFrame(False, index=errors.index, columns=errors.columns)
    leaked.iloc[0, 2] = True

    with pytest.raises(InputError, match=message):
        fev_leaderboard(errors, **({"missing": "impute", "leaked": leaked} | change))


def test_a_baseline_with_gaps_is_refused():
    errors = table_of(5, 20, 4)
    errors.iloc[3, 0] = np.nan

    with pytest.raises(InputError, match="'seasonal_naive' are missing for 1 of 20 tasks"):
        fev_leaderboard(errors, missing="impute")


def test_tasks_that_nobody_shares_cannot_be_dropped():
    errors = pd.DataFrame({"seasonal_naive": [1.0, 1.0], "a": [np.nan, 1.0], "b": [1.0, np.nan]})

    with pytest.raises(InputError, match="No task has results of all models"):
        fev_leaderboard(errors, missing="drop")


@pytest.mark.parametrize(
    ("model", "mase", "crps"),
    [
        # ltsf_protocol.md, check figures of the public result files.
        ("seasonal_naive", 1.000, 1.000),
        ("naive", 1.270, 1.591),
        ("DLinear", 1.061, 0.846),
        ("PatchTST", 0.849, 0.587),
        ("deepar", 1.343, 0.853),
        ("auto_theta", 1.090, 1.244),
        ("chronos_bolt_base", 0.808, 0.574),
    ],
)
def test_published_results_give_the_published_board_of_gift_eval(shared_data, model, mase, crps):
    files = sorted((shared_data / "gift_eval").glob("*.csv"))
    tables = {path.stem: pd.read_csv(path, index_col="dataset") for path in files}
    errors = [pd.DataFrame({name: one[column] for name, one in tables.items()}) for column in (MASE, CRPS)]

    board = gift_eval_leaderboard(*errors)

    assert len(errors[0]) == 97
    assert board.loc[model, "mase"] == pytest.approx(mase, abs=1e-3)
    assert board.loc[model, "crps"] == pytest.approx(crps, abs=1e-3)
    assert board["crps_rank"].sum() == pytest.approx(len(files) * (len(files) + 1) / 2)
