"""Charts are well-formed, the same twice, transparent, and hold every name as text."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest

from tsbench.leaderboard import charts
from tsbench.leaderboard.charts.forecasts import _choose_panels
from tsbench.leaderboard.charts.labels import label_corners

HOSTILE = "<script>alert('x')</script>\"&"
ENTRIES = ["deep", "linear", HOSTILE]


def cost() -> str:
    points = pd.DataFrame({"entry": ENTRIES, "cost": [100.0, 1.0, 10.0], "error": [0.6, 0.9, 1.2]})
    return charts.cost_chart(points, "seconds", "relative error")


def condition() -> str:
    rows = [
        (entry, name, 0.5 + place)
        for place, entry in enumerate(ENTRIES)
        for name in ("regular", "robustness")
    ]
    return charts.condition_chart(
        pd.DataFrame(rows, columns=["entry", "condition", "value"]), ENTRIES, "error"
    )


def lead_time() -> str:
    rows = [(entry, lead, lead * 0.1) for entry in ENTRIES for lead in range(1, 9)]
    return charts.lead_time_chart(pd.DataFrame(rows, columns=["entry", "lead_time", "value"]), ENTRIES, "MSE")


def examples() -> pd.DataFrame:
    rows = [
        (entry, "regular", case, variable, f"2026-01-01T{12 + lead:02d}:00:00", lead, np.sin(lead), forecast)
        for entry in ENTRIES
        for case in (0, 5)
        for variable in ("HUFL", "OT")
        for lead in range(-3, 5)
        for forecast in [None if lead < 1 else 0.1 * lead]
    ]
    names = ["entry", "scenario", "case", "variable", "time", "lead_time", "observed", "forecast"]
    return pd.DataFrame(rows, columns=names)


def forecasts() -> str:
    return charts.forecast_chart(examples(), entries=ENTRIES)


def bounded() -> pd.DataFrame:
    """Examples in which one entry has an interval."""
    frame = examples()
    there = frame["entry"] == ENTRIES[0]
    return frame.assign(
        lower=(frame["forecast"] - 1).where(there), upper=(frame["forecast"] + 1).where(there)
    )


def intervals() -> str:
    return charts.forecast_chart(bounded(), entries=ENTRIES)


def test_an_interval_is_an_area_in_each_panel_that_has_one():
    def areas(svg: str) -> int:
        return svg.count('class="mark-area')

    assert areas(forecasts()) == 0
    assert areas(charts.forecast_chart(bounded().assign(lower=np.nan), entries=ENTRIES)) == 0
    assert areas(intervals()) == 3


def wins() -> str:
    matrix = np.array([[np.nan, 0.9, 0.5], [0.1, np.nan, 1.0], [0.5, 0.0, np.nan]])
    return charts.win_chart(matrix, ENTRIES, "against, by place")


def mean_ranks() -> str:
    return charts.rank_chart(np.array([1.2, 2.9, 1.9]), ENTRIES, [(0, 1)], 0.9)


def data() -> str:
    return charts.data_chart(examples().assign(variable=HOSTILE))


ALL = pytest.mark.parametrize(
    "draw", [cost, condition, lead_time, forecasts, intervals, wins, mean_ranks, data]
)


def test_a_pair_is_drawn_in_the_colour_of_who_wins_and_none_against_itself():
    svg = wins()
    assert {said for said in (">90<", ">10<", ">50<", ">100<", ">0<") if said in svg} == {
        ">90<", ">10<", ">50<", ">100<", ">0<",
    }  # fmt: skip
    root = ElementTree.fromstring(svg)
    numbers = [one.text for one in root.iter() if one.tag.endswith("text") and (one.text or "").isdecimal()]
    assert len(numbers) == 6 + 3  # the pairs, and the columns by place


def test_ranks_are_drawn_with_the_critical_difference_only_where_there_is_a_test():
    assert "CD = 0.90" in mean_ranks()
    assert "CD" not in charts.rank_chart(np.array([1.2, 2.9, 1.9]), ENTRIES, [], None)
    assert "deep  1.20" in mean_ranks()
    assert "2.90  linear" in mean_ranks()


def test_the_data_are_drawn_once_for_each_variable():
    svg = charts.data_chart(examples())
    assert svg.count(">HUFL<") == svg.count(">OT<") == 1
    assert svg.count('class="mark-line') == 2


@ALL
def test_a_chart_is_well_formed_and_carries_nothing_but_drawing(draw):
    root = ElementTree.fromstring(draw())
    tags = {element.tag.split("}")[-1] for element in root.iter()}
    assert tags <= {"svg", "g", "path", "text", "tspan", "rect", "line", "defs", "clipPath", "title"}
    names = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in names if name.startswith("on") or name in ("style", "href")}
    assert any("<script>" in (element.text or "") for element in root.iter() if element.tag.endswith("text"))


@ALL
def test_a_chart_is_the_same_twice_and_takes_its_text_colour_from_the_page(draw):
    svg = draw()
    assert svg == draw()
    assert "currentColor" in svg
    assert 'fill="white"' not in svg


def test_one_model_needs_no_entry_column():
    table = examples()
    alone = table[table["entry"] == "deep"].drop(columns="entry")
    svg = charts.forecast_chart(alone, panels=1)
    assert svg.count(">steps from the forecast origin<") == 1
    assert "OT · from 2026-01-01 13:00 · regular" in svg


def test_panels_show_different_cases_before_different_variables():
    chosen = _choose_panels(examples(), 3)
    assert [case for _, case, _ in chosen[:2]] == [0, 5]
    assert len({(case, variable) for _, case, variable in chosen}) == 3


def test_labels_of_points_close_together_do_not_meet():
    frame = pd.DataFrame(
        {"cost": [1.0, 1.1, 100.0], "error": [0.8, 0.81, 0.5], "label": ["one", "two", "three"]}
    )
    corners = label_corners(frame, (430, 270), [0.5, 200.0], [0.4, 1.0])
    assert corners[0] != corners[1]
