"""How numbers, names and commands are written."""

import pytest

from tsbench.leaderboard.site import text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.39581, "0.3958"),
        (1.29441, "1.294"),
        (0.01234567, "0.01235"),
        (123.456, "123.5"),
        (12345.6, "12346"),
        (1.5e-7, "1.500 × 10⁻⁷"),
        (3.2e8, "3.200 × 10⁸"),
        (-0.5, "−0.5000"),
        (0.0, "0"),
        (float("nan"), "–"),
        (None, "–"),
    ],
)
def test_numbers_have_four_significant_digits(value, shown):
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0123, "12.3 ms"),
        (0.9, "900 ms"),
        (1.5, "1.50 s"),
        (100, "100 s"),
        (600, "10.0 min"),
        (9000, "2.50 h"),
    ],
)
def test_durations_have_a_unit_that_suits_them(seconds, shown):
    assert text.duration(seconds).replace("\u202f", " ") == shown


def test_quantities_have_a_prefix():
    assert text.prefixed(1.234e9, "flop").replace("\u202f", " ") == "1.23 Gflop"
    assert text.prefixed(999.9, "B").replace("\u202f", " ") == "1000 B"
    assert text.count(412345).replace("\u202f", " ") == "412 345"


def test_shares_and_drops_are_per_cent():
    assert text.percent(-0.316) == "−31.6 %"
    assert text.drop(0.0953101798) == "+10.0 %"


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "Name", "", "..", "<b>", "con" * 60, "x y"])
def test_a_slug_is_a_plain_file_name(name):
    slug = text.slug(name)
    assert slug
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert not slug.startswith(".")
    assert len(slug) <= 81


def test_slugs_of_different_names_differ():
    assert text.slug("a b") != text.slug("a-b") != text.slug("A b")
    assert text.slug("etth1-96") == "etth1-96"
