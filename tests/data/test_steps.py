"""Time steps: found in the data, named in ISO 8601, and where an axis breaks them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsbench.data.steps import (
    following,
    infer_step,
    irregularities,
    iso_step,
    main_period,
    stamps_at,
    step_seconds,
)


@pytest.mark.parametrize(
    ("frequency", "start", "step", "period"),
    [
        ("h", "2024-01-01", "PT1H", 24),
        ("15min", "2024-01-01", "PT15M", 96),
        ("10min", "2024-01-01", "PT10M", 144),
        ("D", "2024-01-01", "P1D", 7),
        ("W", "2024-01-01", "P1W", 52),
        ("MS", "2024-01-01", "P1M", 12),
        ("ME", "2023-11-30", "P1M", 12),
        ("QS", "2024-01-01", "P3M", 4),
        ("QE", "2024-01-01", "P3M", 4),
        ("YS", "2020-01-01", "P1Y", 1),
        ("7s", "2024-01-01", "PT7S", 1),
        ("250ms", "2024-01-01", "PT0.25S", 1),
        ("min", "2024-02-28 23:40", "PT1M", 1440),
        ("30min", "2023-12-31 12:00", "PT30M", 48),
        ("6h", "2024-02-27 03:30", "PT6H", 4),
        ("3D", "2023-02-01", "P3D", 1),
        ("W-WED", "2023-12-01", "P1W", 52),
        ("QE-FEB", "2020-01-01", "P3M", 4),
        ("6MS", "2020-01-01", "P6M", 2),
        ("YE", "2019-12-31", "P1Y", 1),
    ],
)
def test_step_and_main_season_of_a_frequency(frequency, start, step, period):
    time = pd.date_range(start, periods=40, freq=frequency).to_numpy()
    assert infer_step(time) == step
    assert main_period(step) == period
    assert irregularities(time, step) == []


@given(st.integers(1, 10**7))
def test_step_in_seconds_survives_its_name(seconds):
    assert step_seconds(iso_step(seconds)) == seconds


@given(st.integers(3, 60), st.sampled_from([60, 900, 3600, 86400]), st.data())
def test_one_missing_row_is_one_gap_and_leaves_the_step(rows, seconds, data):
    time = np.datetime64("2024-02-27", "ns") + np.arange(rows + 3) * np.timedelta64(seconds, "s")
    lost = data.draw(st.integers(1, rows + 1))
    time = np.delete(time, lost)
    step = infer_step(time) if rows > 3 else iso_step(seconds)
    (found,) = irregularities(time, step)
    assert (step, found.row, found.kind) == (iso_step(seconds), lost, "gap")


def test_step_of_a_monthly_axis_with_a_gap_is_still_a_month():
    time = np.delete(pd.date_range("2020-01-01", periods=30, freq="MS").to_numpy(), 11)
    assert infer_step(time) == "P1M"
    assert [found.row for found in irregularities(time, "P1M")] == [11]


def test_every_kind_of_irregularity_is_told_with_its_stamp():
    time = np.array(["2024-01-01T00", "2024-01-01T01", "2024-01-01T01", "2024-01-01T00", "2024-01-01T05"])
    found = irregularities(time.astype("datetime64[ns]"), "PT1H")
    assert [(one.row, one.kind) for one in found] == [(2, "repeated"), (3, "unsorted"), (4, "gap")]
    assert found[2].text == "gap in time: 2024-01-01T05:00:00 follows 2024-01-01T00:00:00"


def test_too_few_rows_show_no_step():
    assert infer_step(np.array(["2024-01-01", "2024-01-02"], "datetime64[ns]")) is None
    assert irregularities(np.array(["2024-01-01"], "datetime64[ns]"), None) == []


@pytest.mark.parametrize("start", ["2023-11-30", "2024-01-31", "2024-01-15T06:30", "2024-02-29"])
@pytest.mark.parametrize("step", ["P1M", "P3M", "P1Y", "P1D", "PT15M"])
def test_stamps_at_positions_are_those_that_follow_each_other(start, step):
    first = np.array([start], "datetime64[ns]")
    axis = np.concatenate([first, stamps_at(first, np.arange(1, 3), step).astype("datetime64[ns]")])

    np.testing.assert_array_equal(stamps_at(first, np.arange(20), step)[2:], following(axis[:2], step, 18))


def test_stamps_reach_far_beyond_nanoseconds():
    stamps = stamps_at(np.array(["1750-12-31"], "datetime64[ns]"), np.array([0, 834]), "P1Y")

    assert stamps.astype("datetime64[D]").astype(str).tolist() == ["1750-12-31", "2584-12-31"]
