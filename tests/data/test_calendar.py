"""Calendar features against the formulas of the protocol, computed with pandas."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsbench.data.calendar import calendar_features, calendar_names


def by_pandas(index: pd.DatetimeIndex) -> dict[str, np.ndarray]:
    """ltsf_protocol, marks: hour/23, dayofweek/6, (day-1)/30, (dayofyear-1)/365, each minus 0.5."""
    return {
        "calendar:minute": index.minute / 59 - 0.5,
        "calendar:hour": index.hour / 23 - 0.5,
        "calendar:weekday": index.dayofweek / 6 - 0.5,
        "calendar:day": (index.day - 1) / 30 - 0.5,
        "calendar:day_of_year": (index.dayofyear - 1) / 365 - 0.5,
    }


@pytest.mark.parametrize(
    ("step", "names"),
    [
        ("PT10M", ("minute", "hour", "weekday", "day", "day_of_year")),
        ("PT15M", ("minute", "hour", "weekday", "day", "day_of_year")),
        ("PT1H", ("hour", "weekday", "day", "day_of_year")),
        ("P1D", ("weekday", "day", "day_of_year")),
        ("P1W", ("weekday", "day", "day_of_year")),
    ],
)
def test_a_finer_step_has_more_features(step, names):  # tpgn sheet, table of time features
    assert calendar_names(step, dated=True) == tuple(f"calendar:{name}" for name in names)


def test_data_without_dates_have_no_calendar():
    assert calendar_names(None, dated=False) == ()
    assert calendar_features(np.arange(5), ()).shape == (5, 0)


@given(
    start=st.datetimes(min_value=pd.Timestamp("1900-01-01"), max_value=pd.Timestamp("2200-01-01")),
    minutes=st.sampled_from([1, 10, 15, 60, 1440]),
)
@settings(max_examples=40, deadline=None)
def test_features_equal_the_formulas_of_pandas_and_stay_in_their_range(start, minutes):
    index = pd.date_range(start.replace(second=0, microsecond=0), periods=500, freq=f"{minutes}min")
    expected = by_pandas(index)

    found = calendar_features(index.to_numpy("datetime64[ns]"), tuple(expected))

    np.testing.assert_allclose(found, np.stack(list(expected.values()), axis=1), atol=1e-6)
    assert found.min() >= -0.5
    assert found.max() <= 0.5


def test_the_last_hour_of_a_leap_year_is_one_half_everywhere_but_in_the_week():
    (found,) = calendar_features(
        np.array(["2024-12-31T23:59"], "datetime64[ns]"), calendar_names("PT1M", dated=True)
    )

    assert found.tolist() == pytest.approx([0.5, 0.5, 1 / 6 - 0.5, 0.5, 0.5])  # a Tuesday
