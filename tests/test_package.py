"""The package: everything that it offers is there, and no name hides a part of it."""

import importlib.util

import pytest

import tsbench


@pytest.mark.parametrize("name", tsbench.__all__)
def test_what_the_package_offers_is_there(name):
    assert getattr(tsbench, name) is not None


def test_no_name_that_is_offered_hides_a_package():
    hidden = [name for name in tsbench.__all__ if importlib.util.find_spec(f"tsbench.{name}")]

    assert hidden == ["registry"]  # the module itself


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'forecasts'"):
        _ = tsbench.forecasts
