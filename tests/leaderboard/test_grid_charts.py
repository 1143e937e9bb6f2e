"""Heat maps, curves and pictures of responses: colours, values as text, and small files."""

import re

import numpy as np
import pandas as pd
import pytest

from tsbench.leaderboard import charts
from tsbench.leaderboard.charts.shades import PALETTE, STEPS, Shades, text_on

SPEEDS, SPREADS = ["1", "10", "30"], ["30", "100"]


def maps(entries=("deep", "naive"), facets=("model A", "model B"), speeds=SPEEDS, scale=10.0) -> str:
    rows = [
        (entry, facet, x, y, scale**place * (1 + len(x) + len(y)))
        for place, entry in enumerate(entries)
        for facet in facets
        for x in speeds
        for y in SPREADS
        if (facet, x) != ("model A", "1")
    ]
    frame = pd.DataFrame(rows, columns=["entry", "facet", "x", "y", "value"])
    return charts.heat_maps(frame, entries, ("speed", speeds), ("spread", SPREADS), facets, "NMSE")


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def outlines(svg: str) -> int:
    """Rectangles in filled paths."""
    return sum(path.count("M") for path in re.findall(r'd="([^"]*)" fill="#', svg))


def test_a_heat_map_has_a_rectangle_and_a_text_for_each_value():
    svg = maps()
    assert outlines(svg) == STEPS + 2 * (2 * 3 * 2 - 2)
    said = texts(svg)
    assert {"deep", "naive", "model A", "model B", "speed", "spread", "NMSE"} <= set(said)
    assert said.count("60") == 4  # ten times (1 + 2 + 3): speeds 10 and 30 at spread 100, two facets


def test_a_large_heat_map_has_no_texts_in_its_cells():
    svg = maps(facets=[f"model {number}" for number in range(6)], speeds=[str(one) for one in range(1, 18)])
    assert "60" not in texts(svg)
    assert len(svg) < 80_000


def curve(values, entries=("deep", "naive")) -> str:
    rows = [
        (entry, x, value * (1 + place))
        for place, entry in enumerate(entries)
        for x, value in enumerate(values)
    ]
    frame = pd.DataFrame(rows, columns=["entry", "x", "value"])
    return charts.curve_chart([charts.Panel("regular: noise", "snr db", frame)], entries, "NMSE")


def test_curves_over_a_decade_have_a_logarithmic_axis():
    assert {"0.01", "0.1", "1"} <= set(texts(curve([0.01, 0.1, 1.0])))
    assert "0.01" not in texts(curve([0.5, 0.7, 1.0]))


def test_curves_of_decibels_lie_on_both_sides_of_zero():
    said = texts(curve([-8.0, -2.0, 3.0]))
    assert any(one.startswith("−") for one in said)


@pytest.mark.parametrize("draw", [maps, lambda: curve([1.0, 2.0])])
def test_a_chart_is_the_same_twice_with_names_as_text(draw):
    svg = draw()
    assert svg == draw()
    assert "style=" not in svg
    assert "currentColor" in svg


def test_names_are_escaped():
    assert "<script>" not in maps(entries=("<script>", "naive"), facets=("<script>",))
    assert "<script>" not in curve([1.0, 2.0], entries=("<script>", "naive"))


def test_shades_rise_in_luminance_and_values_beyond_take_the_end():
    shades = Shades(0.1, 10.0, log=True)
    assert shades.colours(np.array([0.01, 0.1, 1.001, 10.0, 99.0])) == [
        PALETTE[0], PALETTE[0], PALETTE[STEPS // 2], PALETTE[-1], PALETTE[-1],
    ]  # fmt: skip
    assert [text_on(colour) for colour in (PALETTE[0], PALETTE[-1])] == ["#ffffff", "#000000"]


def test_equal_values_have_a_shade():
    assert len(Shades.of([0.0, 0.0]).colours(np.array([0.0]))) == 1


def response(features: int, entries=("deep", "naive"), far: float = 1.0) -> str:
    rows = [
        (entry, "regular/speed=1", 0, str(feature), str(lead), lead, 1 + np.sin(feature / 5 + lead), forecast)
        for entry in entries
        for feature in range(features)
        for lead in range(-15, 5)
        for forecast in [None if lead < 1 else far * (1 + np.sin(feature / 5 + lead))]
    ]
    names = ["entry", "scenario", "case", "variable", "time", "lead_time", "observed", "forecast"]
    frame = pd.DataFrame(rows, columns=names)
    return charts.response_images(frame, entries, variable_title="subcarrier", value_title="magnitude")


def test_a_response_is_drawn_once_as_truth_and_for_each_entry_as_a_forecast():
    svg = response(75)
    assert outlines(svg) == STEPS + 75 * 20 + 2 * 75 * 4
    assert {"truth", "deep", "naive", "subcarrier", "magnitude"} <= set(texts(svg))
    assert len(svg) < 150_000
    assert svg == response(75)


def test_many_variables_are_thinned():
    assert outlines(response(300)) == STEPS + 100 * 20 + 2 * 100 * 4
    assert len(response(300)) < 300_000


def test_a_forecast_far_off_does_not_take_the_shades_from_the_truth():
    largest = max(float(one) for one in texts(response(20, far=1000.0)) if re.fullmatch(r"\d+(\.\d+)?", one))
    assert largest <= 20
