"""Tallies: sums that add up over batches, variables, lead times and units."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsbench.contracts import Scenario
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
        tally.update(FORECAST[index], OBSERVED[index], VALID[index] if masked else None, SCALE, index)
    return tally


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

    assert found.values() == pytest.approx(whole.values(), rel=1e-12)
    torch.testing.assert_close(found.by_unit, whole.by_unit)


def test_tallies_of_disjoint_cases_merge_to_that_of_all():
    one, other = tally_of(list(range(9)), masked=True), tally_of(list(range(9, CASES)), masked=True)

    one.merge(other)

    assert one.values() == pytest.approx(tally_of(list(range(CASES)), masked=True).values(), rel=1e-12)
    torch.testing.assert_close(one.by_unit, tally_of(list(range(CASES)), masked=True).by_unit)


@pytest.mark.parametrize("metric", METRICS)
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

    assert {sums.shape for sums in tally.by_lead_and_variable.values()} == {(2, HORIZON, 3)}
    assert tally.by_unit.shape == (2, 5)
