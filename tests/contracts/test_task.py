"""Tasks, forecasts and the base of declared types."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsbench.contracts import (
    Forecast,
    InputError,
    ModelCard,
    RollingSplit,
    Task,
    WindowRule,
    canonical_hash,
    parse,
)
from tsbench.contracts.strict import Strict

CARD = {
    "name": "one",
    "title": "One",
    "summary": "A model.",
    "kind": "neural",
    "class_name": "One",
    "settings": [{"tasks": ["etth?-96", "etth?-*"], "context": 24}, {"tasks": ["*"], "context": 96}],
    "not_applicable": [{"tasks": ["m4-*"], "reason": "series are too short"}],
}


@given(
    st.dictionaries(
        st.text(max_size=5), st.integers() | st.text(max_size=5) | st.lists(st.booleans()), max_size=6
    )
)
def test_the_hash_of_data_does_not_depend_on_the_order_of_keys(data):
    backwards = dict(reversed(list(data.items())))

    assert canonical_hash(backwards) == canonical_hash(data)
    assert canonical_hash([data]) != canonical_hash(data)
    assert len(canonical_hash(data)) == 16


def test_an_unknown_key_is_refused_with_its_file_in_one_line():
    class Declared(Strict):
        width: int

    with pytest.raises(InputError, match=r"^card\.yaml: wdith: Extra inputs are not permitted$"):
        parse(Declared, {"width": 1, "wdith": 2}, "card.yaml")


def test_a_task_is_immutable(wave_task):
    task = wave_task()

    with pytest.raises(ValueError, match="frozen"):
        task.horizon = 3


def test_scenarios_have_stable_keys_in_a_fixed_order(wave_task):
    noise = {"name": "awgn", "parameter": "snr_db", "levels": [20, 2.5]}
    conditions = {
        "robustness": [{"disturbance": noise}],
        "generalisation": [{"dataset": "other"}, {"dataset": "other", "disturbance": noise}],
    }
    task = wave_task(conditions=conditions)

    keys = [scenario.key for scenario in task.scenarios()]

    assert keys == [
        "regular",
        "robustness/awgn/snr_db=20",
        "robustness/awgn/snr_db=2.5",
        "generalisation/dataset=other",
        "generalisation/dataset=other/awgn/snr_db=20",
        "generalisation/dataset=other/awgn/snr_db=2.5",
    ]
    assert task.scenario(keys[4]).dataset == "other"
    assert task.scenario(keys[4]).level == 20
    assert task.scenario("regular").dataset == "user-waves"


def test_a_condition_that_does_not_apply_has_no_scenarios_and_a_reason(wave_task):
    task = wave_task()

    assert task.grids("robustness") == ()
    assert task.conditions.robustness.not_applicable == "not asked for"


def test_any_change_of_a_task_changes_its_hash(wave_task):
    hashes = {
        wave_task(**change).hash for change in ({}, {"version": 2}, {"horizon": 13}, {"metrics": ["mse"]})
    }

    assert len(hashes) == 4
    assert Task.model_validate_json(wave_task().model_dump_json()).hash == wave_task().hash


def test_a_unit_is_a_block_of_twice_the_horizon_unless_the_task_says_otherwise(wave_task):
    assert wave_task().unit_windows == 24
    assert wave_task(unit={"windows": 7}).unit_windows == 7


def test_the_first_settings_that_match_a_task_count():
    card = ModelCard.model_validate(CARD)

    assert card.settings_for("etth1-96").context == 24
    assert card.settings_for("weather-96").context == 96
    assert card.gap("m4-hourly").reason == "series are too short"
    assert card.gap("etth1-96") is None


@pytest.mark.parametrize(
    ("shape", "kind", "quantiles", "message"),
    [
        ((2, 3), "point", (), "a point forecast has 3 dimensions, not 2"),
        ((2, 3, 4), "samples", (), "a samples forecast has 4 dimensions, not 3"),
        ((2, 3, 4), "point", (0.5,), "belong to a quantile forecast, and only to it"),
        ((2, 3, 4, 5), "quantiles", (), "belong to a quantile forecast, and only to it"),
        ((2, 3, 4, 5), "quantiles", (0.5,), "1 quantile levels for 2 quantiles"),
    ],
)
def test_kind_rank_and_levels_of_a_forecast_agree(shape, kind, quantiles, message):
    with pytest.raises(ValueError, match=message):
        Forecast(np.zeros(shape), kind, quantiles)


@pytest.mark.parametrize("quantiles", [(0.1, 0.9), (0.5, 0.1), (0.5, 0.5), (0.5, 1.0)])
def test_quantile_levels_ascend_inside_the_unit_interval_and_hold_the_median(wave_task, quantiles):
    with pytest.raises(ValueError, match="quantiles"):
        wave_task(quantiles=quantiles)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": {"kind": "rolling", "windows": 0}}, "at least one window, not 0"),
        (
            {"unit": {"kind": "window_block"}},
            "the unit of a split by rolling is `series`, not `window_block`",
        ),
        ({"unit": {"kind": "series", "windows": 3}}, "`windows` of a unit are those of a `window_block`"),
        ({"normalisation": "zscore_parts"}, "goes with the normalisation `none` or `zscore`"),
        ({"split": {"kind": "rolling", "windows": {"share": 2, "most": 3}}}, "less than 1"),
    ],
)
def test_a_rolling_split_is_refused_where_it_fits_nothing(ragged_task, changes, message):
    with pytest.raises(ValueError, match=message):
        ragged_task(**changes)


def test_the_unit_of_a_rolling_split_holds_the_windows_of_a_series(ragged_task):
    assert ragged_task().unit_windows == 2
    task = ragged_task(split={"kind": "rolling", "windows": {"share": 0.1, "most": 20}})
    with pytest.raises(ValueError, match="depends on its data"):
        _ = task.unit_windows


def test_the_window_rule_is_that_of_gift_eval():  # ltsf_protocol: min(max(1, ceil(0.1 · shortest / H)), 20)
    rule = WindowRule(share=0.1, most=20)

    found = [rule.windows(shortest, 48) for shortest in (30, 480, 481, 960, 9601, 100_000)]

    assert found == [1, 1, 2, 2, 20, 20]


@pytest.mark.parametrize("windows", [1, 3])
@pytest.mark.parametrize("step", [None, 2, 7])
@pytest.mark.parametrize("late", [0, 5])
def test_a_task_of_fev_has_the_cutoffs_of_a_rolling_split(windows, step, late):
    import fev

    cutoff = None if late == 0 else -4 - (windows - 1) * (step or 4) - late
    task = fev.Task(
        dataset_path="no.parquet",
        horizon=4,
        num_windows=windows,
        window_step_size=step,
        initial_cutoff=cutoff,
    )
    split = RollingSplit(kind="rolling", windows=windows, step=step, unused=late)

    (first,), _ = split.borders(np.array([50]), 4)

    assert [first + number * (step or 4) - 50 for number in range(windows)] == task.cutoffs
