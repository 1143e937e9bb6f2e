"""Means over a scenario grid: which scenarios enter, and where there is no mean."""

import numpy as np
import pandas as pd
import pytest

from tsbench.contracts import averages
from tsbench.leaderboard.grid import Axis, grids


def error(scenario) -> float:
    """Additive over the axes, so that every mean is known."""
    cell = scenario.cell
    return (
        {"A": 1, "B": 2, "C": 4}[cell["model"]] + cell["speed"] / 10 + cell["spread"] + scenario.level / 100
    )


@pytest.fixture
def task(make):
    return make.cells_task()


@pytest.fixture
def found(task):
    values = {one.key: [error(one), 2 * error(one)] for one in task.scenarios()}
    table = pd.DataFrame(values, index=["deep", "naive"])
    return {grid.condition: grid for grid in grids(task.scenarios(), averages(task.scenarios()), table)}


def test_axes_come_from_the_cells_and_numbers_ascend(found):
    regular, unseen = found["regular"], found["generalisation"]
    assert regular.axes == [Axis("model", ("A", "B")), Axis("spread", (10, 100)), Axis("speed", (1, 30))]
    assert [axis.numeric for axis in unseen.axes] == [False, True, True]


def test_only_what_counts_for_the_condition_is_in_its_grid(found):
    assert len(found["robustness"].scenarios) == 8 * 2
    assert not any(one.options for one in found["robustness"].scenarios)
    assert len(found["generalisation"].scenarios) == (16 - 4) * 3
    assert [grid.whole for grid in found.values()] == [True, True, False]


def test_a_level_is_the_mean_over_all_cells(found):
    (noise,) = found["regular"].disturbances()
    assert (noise.name, noise.parameter, list(noise.levels)) == ("white_noise", "snr_db", [0, 10, 20])
    expected = 1.5 + 15.5 / 10 + 55
    assert noise.levels[10.0]["deep"] == pytest.approx(expected + 0.1)
    assert noise.levels[20.0]["naive"] == pytest.approx(2 * (expected + 0.2))


def test_along_an_axis_only_complete_rows_are_compared(found):
    # Model A lacks speeds 1 and 30, which were trained on: a mean over what is left would mix models.
    speed = found["generalisation"].axes[2]
    means = found["generalisation"].along(speed)
    differences = np.diff([means[value]["deep"] for value in speed.values])
    assert differences == pytest.approx(np.diff([0.1, 0.3, 0.9, 3.0]))


def test_a_combination_without_scenarios_is_left_out(found):
    grid = found["generalisation"]
    model, spread, speed = grid.axes
    maps = grid.over(model, speed, spread)
    assert ("A", 1, 10) not in maps
    assert maps["A", 3, 10]["deep"] == pytest.approx(1 + 0.3 + 10 + 0.1)


def test_half_a_grid_has_no_mean(task):
    keys = [one.key for one in task.scenarios()]
    table = pd.DataFrame(1.0, index=["deep", "broken"], columns=keys)
    table.loc["broken", keys[0]] = np.nan
    grid = grids(task.scenarios(), averages(task.scenarios()), table)[0]
    (noise,) = grid.disturbances()
    assert noise.levels[10.0].to_dict() == {"deep": 1.0, "broken": 1.0}
    assert np.isnan(noise.levels[0.0]["broken"])


def test_a_task_without_cells_has_no_grid(make):
    task = make.task("one-4")
    values = pd.DataFrame(1.0, index=["deep"], columns=[one.key for one in task.scenarios()])
    assert grids(task.scenarios(), averages(task.scenarios()), values) == []
