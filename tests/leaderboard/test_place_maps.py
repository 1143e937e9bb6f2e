"""Maps of a quantity by place."""

import re

import pandas as pd
import pytest

from tsbench.leaderboard.charts.places import place_maps


def frame(**changes) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "entry": ["a", "a", "b", "b"],
            "place": ["x", "y", "x", "y"],
            "latitude": [40.0, 42.0, 40.0, 42.0],
            "longitude": [-100.0, -90.0, -100.0, -90.0],
            "value": [1.0, 2.0, 2.0, 3.0],
        }
        | changes
    )


def dots(svg: str) -> list[tuple[str, str]]:
    """Colour and place of each dot."""
    found = re.findall(r'transform="translate\(([^)]*)\)" d="M[^"]*A[^"]*" fill="(#[0-9a-f]{6})"', svg)
    return [(colour, place) for place, colour in found]


def test_a_place_is_a_dot_and_equal_values_have_one_colour_in_all_maps():
    drawn = place_maps(frame(), ["a", "b"], "error")
    found = dots(drawn)
    assert len(found) == 4
    assert found[1][0] == found[2][0]  # 2 in both maps
    assert len({colour for colour, _ in found}) == 3
    assert {place for _, place in found[:2]} == {place for _, place in found[2:]}
    assert ">a<" in drawn
    assert ">error<" in drawn


def test_north_is_up_and_east_is_right():
    (_, south_west), (_, north_east) = dots(place_maps(frame(), ["a", "b"], "error"))[:2]
    (x, y), (east, north) = (map(float, one.split(",")) for one in (south_west, north_east))
    assert east > x
    assert north < y


def test_a_place_without_a_value_is_left_out():
    assert len(dots(place_maps(frame(value=[1.0, None, 2.0, 3.0]), ["a", "b"], "error"))) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"latitude": [40.0, None, 40.0, 42.0]}, "without coordinates"), ({"value": [None] * 4}, "no value")],
)
def test_what_cannot_be_drawn_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        place_maps(frame(**changes), ["a", "b"], "error")
