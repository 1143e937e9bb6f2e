"""What pages say of tasks on many series."""

import pytest

from tsbench import registry
from tsbench.leaderboard.site.pages.definition import in_words


@pytest.mark.parametrize(
    ("task", "term", "said"),
    [
        (
            "m4-hourly",
            "Split",
            "of each series the last window for the test, 48 steps apart; 1 before for validation; training by "
            "gradient draws one origin a series and epoch, 480 values back",
        ),
        (
            "gift_eval-ett1-h-medium",
            "Split",
            "of each series as many windows as make up 10 % of the shortest series, at most 20, for the test, "
            "480 steps apart; 1 before for validation",
        ),
        ("m4-hourly", "Independent unit", "series; cluster: the data set"),
        ("m4-hourly", "Normalisation", "none"),
    ],
)
def test_rolling_windows_in_words(task, term, said):
    assert dict(in_words(registry.task(task)))[term] == said


def test_the_scale_and_the_rest_of_the_split_in_words(ragged_task):
    split = {"kind": "rolling", "windows": 3, "unused": 5, "shortest_context": 7, "short_series": "leave_out"}
    words = dict(in_words(ragged_task(split=split)))

    assert words["Normalisation"].startswith("of each series by itself")
    assert "the last 3 windows for the test, 4 steps apart" in words["Split"]
    assert "the last 5 values are not used" in words["Split"]
    assert "series with less than 7 values before these are left out" in words["Split"]
