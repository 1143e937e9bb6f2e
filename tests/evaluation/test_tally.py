"""Tallies: sums that add up over batches, variables, lead times and units."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsbench.contracts import Forecast, Scenario
from tsbench.contracts.result import Column
from tsbench.evaluation.metrics import METRICS as ALL_METRICS
from tsbench.evaluation.tally import Tally

METRICS = {name: one for name, one in ALL_METRICS.items() if one.view == "sequence"}
CASES, HORIZON, TARGETS, UNIT = 23, 4, ("a", "b", "c"), 5
SCALE = torch.tensor([0.5, 2.0, torch.nan], dtype=torch.float64)
SCENARIO = Scenario(key="regular", condition="regular", dataset="waves")
GENERATOR = torch.Generator().manual_seed(0)
FORECAST, OBSERVED = (torch.randn(CASES, HORIZON, 3, generator=GENERATOR) for _ in range(2))
VALID = torch.rand(CASES, HORIZON, 3, generator=GENERATOR) < 0.7


def tally_of(*batches: list[int], masked: bool = False) -> Tally:
    tally = Tally(SCENARIO, list(METRICS.values()), "mae", TARGETS, HORIZON, -(-CASES // UNIT), UNIT)
    for cases in batches:
        index = torch.tensor(cases)
        forecast = Forecast(FORECAST[index])
        tally.update(forecast, OBSERVED[index], VALID[index] if masked else None, lambda _: SCALE, index)
    return tally


def numbers(tally: Tally) -> dict[str, float]:
    """Values of the metrics, NaN where there is none."""
    return {name: float("nan") if value is None else value for name, value in tally.values().items()}


def rows(tally: Tally, metric: str) -> list[dict]:
    columns = tally.score_columns()
    table = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [row for row in table if row["metric"] == metric]


@given(cuts=st.lists(st.integers(0, CASES), max_size=5), seed=st.integers(0, 99), masked=st.booleans())
@settings(max_examples=30, deadline=None)
def test_batches_of_any_size_and_order_give_the_same_tally(cuts, seed, masked):
    order = np.random.default_rng(seed).permutation(CASES)
    batches = [part.tolist() for part in np.split(order, sorted(cuts)) if len(part)]

    found, whole = tally_of(*batches, masked=masked), tally_of(list(range(CASES)), masked=masked)

    assert numbers(found) == pytest.approx(numbers(whole), rel=1e-9, abs=1e-12, nan_ok=True)
    torch.testing.assert_close(found.by_unit, whole.by_unit)


def test_tallies_of_disjoint_cases_merge_to_that_of_all():
    one, other = tally_of(list(range(9)), masked=True), tally_of(list(range(9, CASES)), masked=True)

    one.merge(other)

    whole = tally_of(list(range(CASES)), masked=True)
    assert numbers(one) == pytest.approx(numbers(whole), rel=1e-9, abs=1e-12, nan_ok=True)
    torch.testing.assert_close(one.by_unit, tally_of(list(range(CASES)), masked=True).by_unit)


SUMMED = [name for name, one in METRICS.items() if not one.composed(len(TARGETS))]


@pytest.mark.parametrize("metric", [name for name in SUMMED if not METRICS[name].joint])
def test_variables_and_lead_times_each_add_up_to_the_total(metric):
    table = rows(tally_of(list(range(CASES)), masked=True), metric)
    (total,) = [row for row in table if row["variable"] is None and row["lead_time"] is None]

    for marginal in ("variable", "lead_time"):
        parts = [row for row in table if row[marginal] is not None]
        assert sum(row["numerator"] for row in parts) == pytest.approx(total["numerator"])
        assert sum(row["denominator"] for row in parts) == pytest.approx(total["denominator"])
    assert [row["variable"] for row in table if row["variable"]] == list(TARGETS)
    assert [row["lead_time"] for row in table if row["lead_time"]] == [1, 2, 3, 4]


def test_values_are_those_of_the_summed_rows():
    tally = tally_of(list(range(CASES)))

    for name, metric in METRICS.items():
        (total,) = [row for row in rows(tally, name) if row["variable"] is None and row["lead_time"] is None]
        assert metric.value(total["numerator"], total["denominator"]) == tally.values()[name]
    assert tally.values()["mse"] == pytest.approx(float((FORECAST - OBSERVED).square().mean()), rel=1e-6)


def test_masked_values_count_neither_above_nor_below():
    tally = tally_of(list(range(CASES)), masked=True)

    error = (FORECAST - OBSERVED).abs()[VALID].double()
    assert tally.values()["mae"] == pytest.approx(float(error.mean()), rel=1e-6)
    (total,) = [row for row in rows(tally, "mae") if row["variable"] is None and row["lead_time"] is None]
    assert total["denominator"] == int(VALID.sum())


def test_units_are_blocks_of_windows_of_the_primary_metric():
    columns = tally_of(list(range(CASES))).unit_columns()

    assert columns["unit"] == [0, 1, 2, 3, 4]
    assert columns["denominator"] == [UNIT * HORIZON * 3] * 4 + [3 * HORIZON * 3]
    first = (FORECAST - OBSERVED)[:UNIT].double().abs().sum()
    assert columns["numerator"][0] == pytest.approx(float(first), rel=1e-6)
    assert set(columns["metric"]) == {"mae"}
    assert set(columns["cluster"]) == {"waves"}


def test_units_in_which_nothing_was_counted_are_left_out():
    assert tally_of([0, 1, 12]).unit_columns()["unit"] == [0, 2]


def test_memory_does_not_depend_on_the_number_of_cases_but_for_one_column_a_unit():
    tally = tally_of(list(range(CASES)))

    shapes = {sums.shape for sums in tally.by_lead_and_variable.values()}
    assert shapes == {(2, HORIZON, 3), (3, HORIZON, 3), (2, HORIZON, 1)}
    assert tally.by_unit.shape == (2, 5, 1)


def test_a_mean_over_channels_is_recorded_as_value_and_weight():
    metric = METRICS["fev.RMSE"]
    tally = tally_of(list(range(CASES)), masked=True)
    table = rows(tally, "fev.RMSE")
    square = (FORECAST.double() - OBSERVED.double()).square()

    def mean_root(mask):
        kept = [square[..., one][mask[..., one]] for one in range(3)]
        return np.mean([float(one.mean()) ** 0.5 for one in kept])

    by_variable = {row["variable"]: row for row in table if row["variable"]}
    for number, name in enumerate(TARGETS):
        row = by_variable[name]
        expected = float(square[..., number][VALID[..., number]].mean()) ** 0.5
        assert metric.value(row["numerator"], row["denominator"]) == pytest.approx(expected, rel=1e-9)
        assert row["denominator"] == int(VALID[..., number].sum())
    for row in [row for row in table if row["lead_time"]]:
        step = torch.zeros_like(VALID)
        step[:, row["lead_time"] - 1] = True
        found = metric.value(row["numerator"], row["denominator"])
        assert found == pytest.approx(mean_root(VALID & step), rel=1e-9)
    assert tally.values()["fev.RMSE"] == pytest.approx(mean_root(VALID), rel=1e-9)


def test_a_channel_that_is_nowhere_defined_leaves_a_mean_over_channels_without_a_value():
    tally = tally_of(list(range(CASES)))  # the third channel has no seasonal error

    assert tally.values()["fev.MASE"] is None
    assert tally.values()["mase"] is not None
    (total,) = [r for r in rows(tally, "fev.MASE") if r["variable"] is None and r["lead_time"] is None]
    assert (total["numerator"], total["denominator"]) == (0.0, 0.0)


def test_a_metric_of_all_channels_together_has_no_rows_by_variable():
    table = rows(tally_of(list(range(CASES)), masked=True), "energy_score")
    whole = VALID.all(dim=-1)
    norm = (FORECAST - OBSERVED).double().norm(dim=-1)

    assert [row["lead_time"] for row in table] == [None, 1, 2, 3, 4]
    assert table[0]["denominator"] == int(whole.sum())
    assert table[0]["numerator"] == pytest.approx(float(norm[whole].sum()), rel=1e-6)


@pytest.mark.parametrize(("primary", "power"), [("fev.RMSE", 0.5), ("fev.MAE", 1.0)])
def test_units_of_a_mean_over_channels_are_values_with_weights(primary, power):
    tally = Tally(SCENARIO, list(METRICS.values()), primary, TARGETS, HORIZON, 5, UNIT)
    index = torch.arange(CASES)
    tally.update(Forecast(FORECAST), OBSERVED, None, lambda _: SCALE, index)
    columns = tally.unit_columns()
    error = (FORECAST - OBSERVED).double().abs()
    error = error.square() if primary == "fev.RMSE" else error
    first = (error[:UNIT].mean(dim=(0, 1)) ** power).mean()

    assert columns["denominator"] == [UNIT * HORIZON * 3] * 4 + [3 * HORIZON * 3]
    assert columns["numerator"][0] / columns["denominator"][0] == pytest.approx(float(first), rel=1e-6)


def test_ratios_of_one_channel_are_recorded_as_their_sums_so_that_units_can_be_resampled():
    metrics = [METRICS[name] for name in ("fev.WQL", "wql")]
    tally = Tally(SCENARIO, metrics, "fev.WQL", TARGETS[:1], HORIZON, 5, UNIT)
    one = slice(0, 1)
    tally.update(
        Forecast(FORECAST[..., one]), OBSERVED[..., one], None, lambda _: SCALE[one], torch.arange(CASES)
    )

    columns = tally.unit_columns()
    assert sum(columns["numerator"]) / sum(columns["denominator"]) == pytest.approx(
        tally.values()["fev.WQL"], rel=1e-12
    )
    assert tally.values()["fev.WQL"] == tally.values()["wql"]


@pytest.mark.parametrize("kind", ["quantiles", "samples"])
def test_reading_some_cases_after_others_changes_no_value(monkeypatch, kind):
    members = torch.randn(9, CASES, HORIZON, 3, generator=GENERATOR).sort(dim=0).values
    levels = tuple((np.arange(9) + 1) / 10) if kind == "quantiles" else ()
    needs_more = {name for name, one in METRICS.items() if one.levels or one.joint}
    chosen = [one for name, one in METRICS.items() if kind == "samples" or name not in needs_more]
    scale = torch.rand(CASES, 1, 3, dtype=torch.float64, generator=GENERATOR) + 0.5

    def values() -> dict[str, float]:
        tally = Tally(SCENARIO, chosen, "mae", TARGETS, HORIZON, 5, UNIT)
        forecast = Forecast(members, kind, levels)
        tally.update(forecast, OBSERVED, VALID, lambda power: scale**power, torch.arange(CASES))
        return numbers(tally)

    whole = values()
    monkeypatch.setattr("tsbench.evaluation.tally.VALUES", 9 * HORIZON * 3 * 2)

    assert values() == pytest.approx(whole, rel=1e-9, nan_ok=True)


COLUMNS = [Column("a", "500"), Column("b"), Column("a", "500", "tropics")]


def told_apart(name: str = "mae", apart: bool = False) -> Tally:
    """A tally of three columns, the third of which is a region of the first."""
    metric = replace(ALL_METRICS[name], apart=apart)
    clusters = [f"member {unit}" for unit in range(5)]
    tally = Tally(SCENARIO, [metric], name, TARGETS[:2], HORIZON, 5, UNIT, columns=COLUMNS, cluster=clusters)
    index = torch.arange(CASES)
    tally.update(Forecast(FORECAST), OBSERVED, None, lambda _: SCALE, index)
    return tally


def test_regions_are_recorded_and_part_of_no_total():
    error = (FORECAST - OBSERVED).abs().double()
    tally = told_apart()

    assert tally.values()["mae"] == pytest.approx(error[..., :2].mean().item())
    table = rows(tally, "mae")
    (tropics,) = [row for row in table if row["region"] == "tropics" and row["lead_time"] is None]
    assert (tropics["variable"], tropics["level"]) == ("a", "500")
    assert tropics["numerator"] == pytest.approx(error[..., 2].sum().item())
    by_lead = [row for row in table if row["variable"] is None and row["lead_time"]]
    assert [row["numerator"] for row in by_lead] == pytest.approx(error[..., :2].sum(dim=(0, 2)).tolist())
    assert sum(tally.unit_columns()["numerator"]) == pytest.approx(error[..., :2].sum().item())


@pytest.mark.parametrize("name", ["mae", "rmse", "fev.RMSE"])
def test_each_column_is_recorded_at_each_lead_time(name):
    table = rows(told_apart(name), name)
    cells = {
        (row["variable"], row["region"], row["lead_time"]): row["numerator"] / row["denominator"]
        for row in table
        if row["variable"] and row["lead_time"]
    }

    error = (FORECAST - OBSERVED).double()
    assert len(cells) == len(COLUMNS) * HORIZON
    wanted = {"mae": error.abs().mean(dim=0), "rmse": error.square().mean(dim=0)}
    wanted["fev.RMSE"] = wanted["rmse"].sqrt()
    assert cells["b", None, 3] == pytest.approx(wanted[name][2, 1].item())
    assert cells["a", "tropics", 1] == pytest.approx(wanted[name][0, 2].item())


def test_variables_with_units_of_their_own_have_no_common_value():
    tally = told_apart(apart=True)

    assert tally.values()["mae"] is None
    assert all(row["variable"] for row in rows(tally, "mae"))


def test_each_unit_may_have_a_cluster_of_its_own():
    assert told_apart().unit_columns()["cluster"] == [f"member {unit}" for unit in range(5)]
