"""The leaderboard of a suite: values, missing results, ranges and intervals, costs."""

import math

import numpy as np
import pandas as pd
import pytest

from tsbench.contracts import InputError
from tsbench.leaderboard.collect import Catalogue, collect, read_pool
from tsbench.leaderboard.standings import costs, leaderboard, standings

LEVELS = {"naive": 1.0, "linear": 0.5, "deep": 0.25}


def by_level(model: str, task: str, scenario: str, unit: int, seed: int) -> float:
    return LEVELS[model] * (2.0 if scenario.startswith("robustness") else 1.0) * (1 + 0.1 * seed)


def rank(bench, folders, **options) -> pd.DataFrame:
    return leaderboard(bench.suite, folders, declared=bench.declared, **options).set_index("entry")


def test_known_errors_give_known_numbers(bench):
    table = rank(bench, bench.save_all(errors=by_level))
    assert list(table.index) == ["deep", "linear", "naive"]
    assert table["mean_rank"].tolist() == [1, 2, 3]
    assert table["win_rate"].tolist() == [1, 0.5, 0]
    assert table["skill"].to_numpy() == pytest.approx([0.75, 0.5, 0])
    assert table["drop_robustness"].to_numpy() == pytest.approx([math.log(2)] * 3)
    assert table["cells"].tolist() == [7, 7, 7]


def test_a_cell_is_the_seed_mean(bench):
    found = standings(collect(bench.suite, read_pool(bench.save_all(errors=by_level)), bench.declared))
    assert found.errors.loc[("one-4", "regular"), "deep"] == pytest.approx(0.25 * 1.05)
    assert len(found.points) == 3 * 2


def test_few_clusters_show_the_range_of_the_seeds(bench):
    def uneven(model, task, scenario, unit, seed):
        return by_level(model, task, scenario, unit, 0) * (1 + 0.2 * seed if model == "deep" else 1)

    table = rank(bench, bench.save_all(errors=uneven))
    assert table.loc["deep", "skill_low"] == pytest.approx(1 - 0.25 * 1.2)
    assert table.loc["deep", "skill_high"] == pytest.approx(0.75)
    assert table.loc["linear", "skill_low"] == table.loc["linear", "skill_high"]


def test_same_results_in_any_order_are_equal(bench):
    folders = bench.save_all()
    pd.testing.assert_frame_equal(rank(bench, folders), rank(bench, folders[::-1]), check_exact=True)


def test_missing_results_are_refused_dropped_or_imputed(bench):
    folders = [
        one for one in bench.save_all(errors=by_level) if one.name not in {"deep-one-4-0", "deep-one-4-1"}
    ]
    with pytest.raises(InputError, match="3 results are missing: deep on one-4/regular"):
        rank(bench, folders, missing="error")
    assert rank(bench, folders, missing="drop").loc["deep", "mean_rank"] == 1
    imputed = rank(bench, folders, missing="impute")
    assert imputed.loc["deep", "missing"] == 3
    assert imputed.loc["deep", "skill"] == pytest.approx(1 - 0.25 ** (4 / 7))
    assert imputed.loc["deep", "mean_rank"] == pytest.approx((4 * 1 + 3 * 2.5) / 7)


def test_one_missing_seed_is_not_a_missing_result(bench):
    folders = [one for one in bench.save_all() if one.name != "deep-one-4-1"]
    table = rank(bench, folders, missing="error")
    assert table.loc["deep", "seeds"] == 1


def test_without_the_baseline_there_is_no_skill_but_a_rank(bench):
    folders = [one for one in bench.save_all(errors=by_level) if not one.name.startswith("naive")]
    table = rank(bench, folders)
    assert table["skill"].isna().all()
    assert table["mean_rank"].tolist() == [1, 2]


def test_a_suite_without_results_is_an_empty_table(bench):
    assert rank(bench, []).empty


def test_cost_that_was_not_counted_is_not_zero(bench):
    folders = bench.save_all(cost={"fit": {"seconds": 2.0}, "predict": {"seconds": 1.0, "flops": 5.0}})
    collection = collect(bench.suite, read_pool(folders), bench.declared)
    row = costs(collection).loc[("deep", "one-4")]
    assert row["fit_seconds"] == 2
    assert np.isnan(row["fit_flops"])
    assert row["predict_flops"] == 5


@pytest.fixture(scope="module")
def wide(tmp_path_factory, make):
    """Ten data sets, five seeds, two models: enough for intervals."""
    root = tmp_path_factory.mktemp("wide")
    tasks = [make.task(f"set{number}-4") for number in range(10)]
    generator = np.random.default_rng(3)
    effect = {task.name: generator.normal(0, 0.2) for task in tasks}

    def errors(model, task, scenario, unit, seed):
        return (
            1.0 + 0.1 * unit
            if model == "naive"
            else 0.7 * (1.0 + 0.1 * unit) * math.exp(effect[task] + 0.01 * seed)
        )

    folders = [
        make.result(root / f"{model}-{task.name}-{seed}", model, task, seed, errors, examples=False)
        for model in ("naive", "deep")
        for task in tasks
        for seed in range(5)
    ]
    suite = make.suite([task.name for task in tasks], ["naive", "deep"], range(5))
    cards = {name: make.card(name) for name in ("naive", "deep")}
    return collect(suite, read_pool(folders), Catalogue({task.name: task for task in tasks}, cards))


def test_enough_clusters_and_seeds_give_intervals_around_the_point(wide):
    found = standings(wide, resamples=300)
    assert found.uncertainty.kind == "interval"
    row = found.table.set_index("entry").loc["deep"]
    assert row["skill_low"] < row["skill"] < row["skill_high"]
    assert row["skill_high"] - row["skill_low"] > 0.05
    assert found.table.set_index("entry").loc["naive", "skill_low"] == 0


def test_units_add_up_to_the_scores(wide):
    """With every unit and cluster once, the replicate formula is the point estimate."""
    found = standings(wide, resamples=2000)
    row = found.table.set_index("entry").loc["deep"]
    assert (row["skill_low"] + row["skill_high"]) / 2 == pytest.approx(row["skill"], abs=0.03)


def test_what_only_the_published_average_counts_does_not_move_an_interval(tmp_path, make):
    task = make.cells_task()

    def table(name: str, published: float) -> pd.DataFrame:
        def errors(model, task, scenario, unit, seed):
            noise = 1 + 0.01 * (sum(map(ord, scenario)) % 7) + 0.02 * unit + 0.01 * seed
            worse = published if scenario.endswith("-published") and model == "deep" else 1.0
            return {"naive": 1.0, "deep": 0.5}[model] * noise * worse

        folders = [
            make.result(tmp_path / name / f"{model}-{seed}", model, task, seed, errors, units=2)
            for model in ("naive", "deep")
            for seed in range(5)
        ]
        suite = make.suite([task.name], ["naive", "deep"], range(5))
        declared = Catalogue({task.name: task}, {one: make.card(one) for one in ("naive", "deep")})
        collection = collect(suite, read_pool(folders), declared)
        found = standings(collection, resamples=50)
        assert found.uncertainty.kind == "interval"
        return found.table

    pd.testing.assert_frame_equal(table("plain", 1.0), table("quirk", 1000.0))
