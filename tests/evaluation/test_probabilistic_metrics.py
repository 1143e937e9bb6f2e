"""Scores of distributions against scoringrules, gluonts and utilsforecast, and the laws that they obey."""

import gluonts.ev.metrics as gluonts_metrics
import numpy as np
import pandas as pd
import pytest
import scoringrules
import torch
import utilsforecast.losses as losses
from hypothesis import given, settings
from hypothesis import strategies as st

from tsbench.contracts import Forecast, InputError
from tsbench.contracts.forecast import DECILES
from tsbench.evaluation.metrics import METRICS

BOUNDS = {80: (0.1, 0.9), 95: (0.025, 0.975)}
LEVELS = (0.025, 0.1, 0.2, 0.5, 0.9, 0.975)
ENSEMBLE = ("crps", "crps_fair", "energy_score")
DISTRIBUTION = (*ENSEMBLE, "mql", "wql", "sql", "msis")


def samples(members) -> Forecast:
    return Forecast(torch.as_tensor(members), "samples")


def quantiles(made, levels=LEVELS) -> Forecast:
    return Forecast(torch.from_numpy(made.quantiles(levels)), "quantiles", tuple(levels))


def of_gluonts(metric, made, levels=LEVELS) -> float:
    """Value of a gluonts metric; missing labels and cases without a seasonal error are masked."""
    seasonal = np.broadcast_to(made.seasonal[1].numpy(), made.truth.shape)
    scaled = type(metric).__name__ in ("MSIS", "MeanScaledQuantileLoss")
    mask = np.isnan(made.truth) | ((seasonal == 0) if scaled else False)
    data = {
        "label": np.ma.masked_array(made.truth, mask),
        "seasonal_error": np.ma.masked_array(seasonal, mask),
    }
    data |= {str(level): values for level, values in zip(levels, made.quantiles(levels), strict=True)}
    data["0.975"] = data[str(1.0 - 0.05 / 2)] = made.quantiles((0.975,))[0]
    with np.errstate(all="ignore"):
        evaluator = metric(axis=None)
        evaluator.update(data)
        return float(evaluator.get())


@pytest.mark.parametrize(("name", "estimator"), [("crps", "nrg"), ("crps", "qd"), ("crps_fair", "fair")])
def test_crps_of_an_ensemble_equals_that_of_scoringrules(score, made, name, estimator):
    members = np.moveaxis(made.members, 0, -1)
    expected = scoringrules.crps_ensemble(np.nan_to_num(made.truth), members, estimator=estimator)

    found = score(name, samples(made.members), made.truth)

    assert found == pytest.approx(expected[~np.isnan(made.truth)].mean(), rel=1e-9)


def test_the_energy_score_equals_that_of_scoringrules_on_whole_steps(score, made):
    whole = ~np.isnan(made.truth).any(axis=-1)
    members = np.moveaxis(made.members, 0, -2)
    expected = scoringrules.es_ensemble(np.nan_to_num(made.truth), members, estimator="nrg")

    assert score("energy_score", samples(made.members), made.truth) == pytest.approx(
        expected[whole].mean(), rel=1e-9
    )


def test_wql_equals_that_of_gluonts(score, made):  # GIFT-Eval: its CRPS
    metric = gluonts_metrics.MeanWeightedSumQuantileLoss(quantile_levels=list(LEVELS))

    found = score("wql", quantiles(made), made.truth, levels=LEVELS)

    assert found == pytest.approx(of_gluonts(metric, made), rel=1e-9)


def test_mql_and_sql_equal_those_of_gluonts(score, made):
    counted = (~np.isnan(made.truth)).sum()
    sums = [of_gluonts(gluonts_metrics.SumQuantileLoss(q=level), made) for level in LEVELS]
    scaled = [of_gluonts(gluonts_metrics.MeanScaledQuantileLoss(q=level), made) for level in LEVELS]

    found = {name: score(name, quantiles(made), made.truth, made.seasonal, LEVELS) for name in ("mql", "sql")}

    assert found["mql"] == pytest.approx(np.mean(sums) / counted, rel=1e-9)
    assert found["sql"] == pytest.approx(np.mean(scaled), rel=1e-9)


def test_msis_equals_that_of_gluonts(score, made):
    expected = of_gluonts(gluonts_metrics.MSIS(alpha=0.05), made)

    assert score("msis", quantiles(made), made.truth, made.seasonal) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("percent", BOUNDS)
def test_coverage_equals_that_of_utilsforecast(score, made, percent):
    lower, upper = made.quantiles(BOUNDS[percent])
    known = ~np.isnan(made.truth)
    table = pd.DataFrame(
        {
            "unique_id": "all",
            "y": made.truth[known],
            f"m-lo-{percent}": lower[known],
            f"m-hi-{percent}": upper[known],
        }
    )
    expected = float(losses.coverage(table, ["m"], percent)["m"].iloc[0])

    assert score(f"coverage_{percent}", quantiles(made), made.truth) == pytest.approx(expected, rel=1e-9)
    assert score(f"coverage_error_{percent}", quantiles(made), made.truth) == pytest.approx(
        abs(expected - percent / 100), rel=1e-9, abs=1e-15
    )
    assert score(f"width_{percent}", quantiles(made), made.truth) == pytest.approx(
        (upper - lower)[known].mean(), rel=1e-9
    )


def test_smape_and_mase_equal_those_of_utilsforecast(score, made):
    truth, point = np.nan_to_num(made.truth), made.members[0]
    known = ~np.isnan(made.truth) & (np.abs(truth) + np.abs(point) > 0)
    ids = np.broadcast_to(np.arange(made.truth.size // 4).reshape(11, 1, 3), truth.shape)
    table = pd.DataFrame({"unique_id": ids[known], "y": truth[known], "m": point[known]})
    past_ids = np.broadcast_to(np.arange(33).reshape(11, 1, 3), made.past.shape)
    train = pd.DataFrame(
        {
            "unique_id": past_ids.transpose(0, 2, 1).ravel(),
            "y": made.past.transpose(0, 2, 1).ravel(),
            "ds": np.tile(np.arange(10), 33),
        }
    )
    counts = table.groupby("unique_id").size()
    smape = losses.smape(table, ["m"]).set_index("unique_id")["m"]
    mase = losses.mase(table, ["m"], made.period, train).set_index("unique_id")["m"]
    usable = np.isfinite(mase) & (made.seasonal[1].numpy().reshape(11, 3).ravel()[mase.index] > 0)
    masked = np.where(known, made.truth, np.nan)

    # Theirs is a fraction of 1, and a mean for each series.
    expected = 200 * (smape * counts).sum() / counts.sum()
    assert score("smape", Forecast(torch.from_numpy(point)), masked) == pytest.approx(expected, rel=1e-9)
    expected = (mase * counts)[usable].sum() / counts[usable].sum()
    found = score("mase", Forecast(torch.from_numpy(point)), masked, made.seasonal)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["crps", "crps_fair"])
def test_crps_of_a_quantile_forecast_is_its_mean_quantile_loss(score, made, name):
    deciles = quantiles(made, DECILES)

    assert score(name, deciles, made.truth) == score("mql", deciles, made.truth)


def test_the_mean_quantile_loss_of_many_levels_comes_to_the_crps(score, made):
    levels = tuple((np.arange(199) + 1) / 200)

    found = score("mql", samples(made.members), made.truth, levels=levels)

    assert found == pytest.approx(score("crps", samples(made.members), made.truth), rel=0.03)


@pytest.mark.parametrize("name", ["crps", "crps_fair", "mql"])
def test_a_point_forecast_has_its_absolute_error(score, made, name):
    point = Forecast(torch.from_numpy(made.members[0]))

    assert score(name, point, made.truth) == pytest.approx(score("mae", point, made.truth), rel=1e-12)
    assert score(name, samples(made.members[:1]), made.truth) == pytest.approx(
        score("mae", point, made.truth), rel=1e-12
    )


def test_the_energy_score_of_one_channel_is_its_crps(score, made):
    members, truth = made.members[..., :1], made.truth[..., :1]

    assert score("energy_score", samples(members), truth) == pytest.approx(
        score("crps", samples(members), truth), rel=1e-9
    )


def test_an_energy_score_of_a_quantile_forecast_is_refused(score, made):
    with pytest.raises(InputError, match="energy_score needs samples or a point"):
        score("energy_score", quantiles(made), made.truth)


def test_a_quantile_forecast_without_the_bounds_of_an_interval_is_refused(score, made):
    with pytest.raises(
        InputError, match=r"coverage_95 needs the quantiles 0.025, 0.975; the forecast has 0.1, "
    ):
        score("coverage_95", quantiles(made, DECILES), made.truth)


MEMBERS = torch.randn(12, 6, 3, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
TRUTH = torch.randn(6, 3, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
SCALES = {1: torch.tensor([0.5, 2.0], dtype=torch.float64)}


@pytest.mark.parametrize("name", DISTRIBUTION)
@given(seed=st.integers(0, 99), batch=st.integers(1, 6))
@settings(max_examples=10)
def test_the_order_of_members_and_the_size_of_batches_do_not_matter(score, name, seed, batch):
    shuffled = MEMBERS[torch.randperm(12, generator=torch.Generator().manual_seed(seed))]

    found = score(name, samples(shuffled), TRUTH, SCALES, batch=batch)

    assert found == pytest.approx(score(name, samples(MEMBERS), TRUTH, SCALES), rel=1e-9)


@pytest.mark.parametrize("name", [*ENSEMBLE, "mql", "sql", "msis", "width_80"])
@given(shift=st.floats(-1e6, 1e6))
@settings(max_examples=10)
def test_a_shift_of_forecast_and_truth_changes_nothing(score, name, shift):
    found = score(name, samples(MEMBERS + shift), TRUTH + shift, SCALES)

    assert found == pytest.approx(score(name, samples(MEMBERS), TRUTH, SCALES), rel=1e-6)


@pytest.mark.parametrize("shift", [-7.5, 0.25, 30.0])
def test_a_shift_changes_no_coverage_that_single_precision_can_tell(score, shift):
    found = score("coverage_80", samples(MEMBERS + shift), TRUTH + shift)

    assert found == score("coverage_80", samples(MEMBERS), TRUTH)


@pytest.mark.parametrize("name", [*DISTRIBUTION, "coverage_80", "width_80"])
@given(factor=st.floats(1e-3, 1e3))
@settings(max_examples=10)
def test_scores_have_the_units_of_the_data_or_none(score, name, factor):
    power = 0 if name in ("wql", "sql", "msis", "coverage_80") else 1
    scales = {1: factor * SCALES[1]}

    found = score(name, samples(factor * MEMBERS), factor * TRUTH, scales)

    assert found == pytest.approx(factor**power * score(name, samples(MEMBERS), TRUTH, SCALES), rel=1e-9)


@pytest.mark.parametrize("name", DISTRIBUTION)
@pytest.mark.parametrize("wrong", ["shifted", "too wide", "too narrow"])
def test_the_distribution_that_the_truth_is_drawn_from_scores_best(score, name, wrong):
    random = torch.Generator().manual_seed(3)
    truth = torch.randn(4000, 1, 2, generator=random, dtype=torch.float64)
    drawn = torch.randn(40, 4000, 1, 2, generator=random, dtype=torch.float64)
    changed = {"shifted": drawn + 0.6, "too wide": 2 * drawn, "too narrow": 0.4 * drawn}[wrong]

    ones = {1: torch.ones(2, dtype=torch.float64)}
    assert score(name, samples(drawn), truth, ones, batch=1000) < score(
        name, samples(changed), truth, ones, batch=1000
    )


def test_the_fair_crps_does_not_depend_on_how_many_members_are_drawn(score):  # Ferro (2014)
    random = torch.Generator().manual_seed(4)
    truth = torch.randn(20_000, 1, 1, generator=random, dtype=torch.float64)
    few, many = (
        samples(torch.randn(members, 20_000, 1, 1, generator=random, dtype=torch.float64))
        for members in (3, 40)
    )

    difference = {
        name: score(name, few, truth, batch=5000) - score(name, many, truth, batch=5000)
        for name in ("crps", "crps_fair")
    }

    # The standard form is above by E|X − X'| / 2 · (1/3 − 1/40), with E|X − X'| = 2 / √π.
    assert difference["crps_fair"] == pytest.approx(0, abs=0.01)
    assert difference["crps"] == pytest.approx((1 / 3 - 1 / 40) / np.sqrt(np.pi), abs=0.01)


def test_a_bound_that_repeats_the_observation_holds_it_in_single_precision(score):
    truth = TRUTH.float().double()
    forecast = Forecast(truth + 1e-12)

    assert score("coverage_80", forecast, truth) == 1.0


def test_only_coverage_ranks_nothing():
    assert {name for name, one in METRICS.items() if one.better == "nominal"} == {
        "coverage_80",
        "coverage_95",
    }
