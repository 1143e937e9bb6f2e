"""What metrics read of each kind of forecast."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tsbench.contracts import Forecast, InputError
from tsbench.evaluation.reading import Reading, point

MEMBERS = torch.randn(8, 3, 4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LEVELS = (0.1, 0.5, 0.9)


@given(level=st.floats(0.001, 0.999), members=st.integers(1, 8))
def test_quantiles_of_members_are_those_of_numpy(level, members):
    found = Reading(Forecast(MEMBERS[:members], "samples")).quantiles((level,)).values[0]

    np.testing.assert_allclose(found, np.quantile(MEMBERS[:members], level, axis=0), rtol=1e-12, atol=1e-12)


def test_a_point_forecast_is_a_distribution_without_spread():
    reading = Reading(Forecast(MEMBERS[0]))

    assert all(torch.equal(one, MEMBERS[0]) for one in reading.quantiles(LEVELS).values)
    assert torch.equal(reading.samples(), MEMBERS[:1])
    assert torch.equal(reading.point, MEMBERS[0])


def test_the_point_of_members_is_their_median():
    assert point(Forecast(MEMBERS[:3], "samples")).equal(MEMBERS[:3].median(dim=0).values)
    np.testing.assert_allclose(point(Forecast(MEMBERS, "samples")), np.median(MEMBERS, axis=0))


def test_the_point_of_complex_members_has_the_medians_of_both_parts():
    members = torch.complex(MEMBERS[:5], MEMBERS[3:])
    found = point(Forecast(members, "samples"))

    torch.testing.assert_close(found.real, members.real.median(dim=0).values)
    torch.testing.assert_close(found.imag, members.imag.median(dim=0).values)


def test_levels_are_taken_by_their_value_in_any_number():
    forecast = Forecast(MEMBERS[:3], "quantiles", (0.1, 0.5, 1 - 0.1))

    assert torch.equal(Reading(forecast).quantiles((0.1, 0.9)).values, MEMBERS[[0, 2]])
    assert torch.equal(point(forecast), MEMBERS[1])


def test_quantiles_that_cross_are_kept_as_they_are():
    crossing = torch.stack([MEMBERS[0] + 1, MEMBERS[0], MEMBERS[0] - 1])

    assert torch.equal(Reading(Forecast(crossing, "quantiles", LEVELS)).quantiles(LEVELS).values, crossing)


def test_a_level_that_is_missing_is_named_with_those_there_are():
    reading = Reading(Forecast(MEMBERS[:3], "quantiles", LEVELS))

    with pytest.raises(
        InputError, match=r"^msis needs the quantiles 0.025, 0.975; the forecast has 0.1, 0.5, 0.9$"
    ):
        reading.quantiles((0.025, 0.5, 0.975), "msis")
    with pytest.raises(InputError, match=r"needs the quantile 0.2; the forecast"):
        reading.quantiles((0.1, 0.2))


def test_quantiles_are_no_ensemble():
    with pytest.raises(InputError, match="energy_score needs samples or a point; quantiles do not say how"):
        Reading(Forecast(MEMBERS[:3], "quantiles", LEVELS)).samples("energy_score")


def test_what_is_asked_for_twice_is_computed_once():
    reading = Reading(Forecast(MEMBERS, "samples"))

    assert reading.quantiles(LEVELS) is reading.quantiles(list(LEVELS))
