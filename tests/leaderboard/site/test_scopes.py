"""Standings over a part of the cells are the aggregate's over those cells; the whole is the board itself."""

import numpy as np
import pytest

from tsbench.leaderboard import aggregate
from tsbench.leaderboard.site.pages import scopes as module
from tsbench.leaderboard.site.pages.scopes import scopes
from tsbench.leaderboard.site.view import View, shade_of, views_of

ORDER = {"naive": (1.0, 1.0), "linear": (0.8, 1.4), "deep": (0.9, 0.7)}


def errors(model: str, task: str, scenario: str, unit: int, seed: int) -> float:
    return ORDER[model]["robustness" in scenario] * (2 if task.startswith("two") and model == "deep" else 1)


@pytest.fixture
def view(bench, monkeypatch) -> View:
    # The data sets of synthetic tasks are not installed: their fields are given here.
    monkeypatch.setattr(module, "field_of", lambda task: "wireless" if task.name == "two-4" else "energy")
    (found,) = views_of([bench.suite], bench.save_all(errors=errors), bench.declared)
    return found


def test_there_is_a_scope_for_each_field_and_condition_with_cells(view):
    found = {(one["field"], one["condition"]): one["cells"] for one in scopes(view)}
    # Only the first task has generalisation, and it is no wireless one.
    assert found == {
        ("", ""): 7, ("", "regular"): 3, ("", "robustness"): 3, ("", "generalisation"): 1,
        ("energy", ""): 5, ("energy", "regular"): 2, ("energy", "robustness"): 2, ("energy", "generalisation"): 1,
        ("wireless", ""): 2, ("wireless", "regular"): 1, ("wireless", "robustness"): 1,
    }  # fmt: skip


def test_the_whole_is_the_board_and_a_part_the_aggregate_of_its_cells(view):
    names = [row["entry"] for row in view.rows]
    for one in scopes(view):
        index = view.standings.ranked.index
        task, condition = index.get_level_values("task"), index.get_level_values("condition")
        mask = np.array(["wireless" if name == "two-4" else "energy" for name in task]) == one["field"]
        mask = (mask | (one["field"] == "")) & ((condition == one["condition"]) | (one["condition"] == ""))
        part = view.standings.ranked.loc[mask, names].to_numpy(float)
        assert [value for value, _ in one["rank"]] == pytest.approx(list(aggregate.mean_rank(part)))
        expected = list(aggregate.skill_score(part, names.index("naive")))
        assert [value for value, _ in one["skill"]] == pytest.approx(expected)
        if one["field"] == one["condition"] == "":
            assert one["place"] == [1, 2, 3]
            assert [value for value, _ in one["win"]] == [row["win_rate"] for row in view.rows]


def test_a_place_follows_the_rank_in_the_scope(view):
    names = [row["entry"] for row in view.rows]
    (robust,) = [one for one in scopes(view) if (one["field"], one["condition"]) == ("energy", "robustness")]
    assert dict(zip(names, robust["place"], strict=True)) == {"deep": 1, "naive": 2, "linear": 3}


@pytest.mark.parametrize(
    ("relative", "shade"),
    [(1.0, 0), (0.5, 4), (2.0, -4), (0.1, 4), (9.0, -4), (0.9, 1), (1.1, -1), (float("nan"), 0)],
)
def test_shades_end_at_half_and_at_twice_the_baseline(relative, shade):
    assert shade_of(relative) == shade
