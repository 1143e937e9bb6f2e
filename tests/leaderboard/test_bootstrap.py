"""Laws of the hierarchical bootstrap, a hand-made example, and its coverage on simulated boards."""

import numpy as np
import pandas as pd
import pytest

from tsbench.leaderboard import aggregate, bootstrap
from tsbench.leaderboard.bootstrap import TaskUnits, interval, replicate_errors, uncertainty


def board(errors: np.ndarray) -> tuple[list[TaskUnits], list[tuple[str, str]]]:
    """One task a cluster from errors (cluster, unit, entry, seed)."""
    tasks = [
        TaskUnits(
            f"task{number}",
            (f"cluster{number}",) * cluster.shape[0],
            ("regular",),
            ("regular",),
            10 * cluster[:, None],
            np.full_like(cluster[:, None], 10.0),
            np.asarray,
        )
        for number, cluster in enumerate(errors)
    ]
    return tasks, [(task.task, "regular") for task in tasks]


def random_errors(
    seed: int = 0, clusters: int = 12, units: int = 6, entries: int = 3, seeds: int = 5
) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(sigma=0.3, size=(clusters, units, entries, seeds))


def test_identical_units_clusters_and_seeds_give_no_width():
    errors = np.broadcast_to(np.array([1.0, 0.5, 2.0])[:, None], (12, 6, 3, 5)).copy()
    replicates, weights = replicate_errors(*board(errors), 200, 1)
    low, high = interval(aggregate.skill_score(replicates, 0, weights))
    assert low == pytest.approx([0, 0.5, -1])
    assert high == pytest.approx([0, 0.5, -1])


def test_entries_in_another_order_have_the_same_numbers():
    errors = random_errors()
    tasks, cells = board(errors)
    other, _ = board(errors[:, :, [2, 0, 1]])
    first, weights = replicate_errors(tasks, cells, 100, 7)
    second, same = replicate_errors(other, cells, 100, 7)
    assert np.array_equal(second, first[:, :, [2, 0, 1]], equal_nan=True)
    assert np.array_equal(weights, same)


def test_everything_is_paired_across_models():
    errors = random_errors(entries=1)
    tasks, cells = board(np.concatenate([errors, 0.7 * errors], axis=2))  # always 30 % better
    replicates, weights = replicate_errors(tasks, cells, 200, 3)
    low, high = interval(aggregate.skill_score(replicates, 0, weights))
    assert low[1] == pytest.approx(0.3)
    assert high[1] == pytest.approx(0.3)


def test_one_draw_of_seeds_serves_all_clusters():
    seed_effect = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    tasks, cells = board(np.broadcast_to(seed_effect, (12, 6, 1, 5)).copy())
    replicates, _ = replicate_errors(tasks, cells, 50, 3)
    drawn = replicates[:, :, 0]  # (replicate, cell); NaN where a cluster was not drawn
    assert np.nanmax(drawn, axis=1) == pytest.approx(np.nanmin(drawn, axis=1))
    assert np.unique(np.nanmax(drawn, axis=1)).size > 10


def test_every_replicate_draws_as_many_clusters_as_there_are():
    _, weights = replicate_errors(*board(random_errors()), 100, 3)
    assert (weights.sum(axis=1) == 12).all()


def test_a_replicate_is_the_ratio_of_resampled_sums():
    generator = np.random.default_rng(5)
    numerator, denominator = generator.random((4, 2, 1, 1)), 1 + generator.random((4, 2, 1, 1))
    task = TaskUnits(
        "t", ("a", "a", "b", "b"), ("r1", "r2"), ("robustness",) * 2, numerator, denominator, np.sqrt
    )
    errors, weights = replicate_errors([task], [("t", "robustness")], 20, 9)
    drawn = bootstrap._cluster_counts(["a", "b"], 20, 9)
    counts = bootstrap._unit_counts(task, drawn, 20, 9)
    for replicate in range(20):
        chosen = np.repeat(np.arange(4), counts[replicate].astype(int))
        expected = [np.sqrt(numerator[chosen, s].sum() / denominator[chosen, s].sum()) for s in range(2)]
        assert errors[replicate, 0, 0] == pytest.approx(np.mean(expected))
        assert counts[replicate, :2].sum() == 2 * drawn["a"][replicate]
    assert weights == pytest.approx(np.ones((20, 1)))  # half of the cell's units lie in each cluster


def test_an_entry_without_a_seed_keeps_its_other_seeds():
    errors = random_errors(entries=2, seeds=3)
    tasks, cells = board(errors)
    for task in tasks:
        task.denominator[:, :, 1, 2] = np.nan
    replicates, weights = replicate_errors(tasks, cells, 100, 3)
    assert np.isfinite(replicates[..., 1][weights > 0]).all()


def test_tables_become_arrays_whatever_their_row_order():
    rows = [("s1", "regular", "c", unit, "mse", 1.0 + unit, 2.0) for unit in (3, 1, 2)]
    rows += [("s2", "robustness", "c", 1, "mse", 9.0, 3.0)]
    names = ["scenario", "condition", "cluster", "unit", "metric", "numerator", "denominator"]
    table = pd.DataFrame(rows, columns=names)
    units = bootstrap.task_units("t", ["a", "b"], [0, 1], {("b", 1): table}, "mse")
    assert units.scenarios == ("s1", "s2")
    assert units.numerator[:, 0, 1, 1].tolist() == [2.0, 3.0, 4.0]
    assert units.numerator[:, 1, 1, 1].tolist() == [9.0, 0.0, 0.0]
    assert np.isnan(units.denominator[:, :, 0]).all()


@pytest.mark.parametrize(
    ("clusters", "seeds", "kind"), [(10, 5, "interval"), (9, 5, "range"), (10, 4, "range")]
)
def test_few_clusters_or_seeds_give_points_and_range(clusters, seeds, kind):
    said = uncertainty(clusters, seeds)
    assert said.kind == kind
    assert f"{clusters} cluster" in said.reason


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    # log(error of A / error of B) is −0.2 on average over clusters; clusters, units and seeds vary.
    generator = np.random.default_rng(11)
    covered, rounds = 0, 120
    for _ in range(rounds):
        level = generator.lognormal(size=(15, 1, 1, 1)) * generator.lognormal(sigma=0.2, size=(15, 10, 1, 1))
        effect = (
            -0.2 + 0.3 * generator.normal(size=(15, 1, 1, 1)) + 0.03 * generator.normal(size=(1, 1, 1, 5))
        )
        better = level * np.exp(effect) * generator.lognormal(sigma=0.05, size=(15, 10, 1, 5))
        errors = np.concatenate([np.broadcast_to(level, (15, 10, 1, 5)), better], axis=2)
        replicates, weights = replicate_errors(*board(errors), 200, int(generator.integers(2**31)))
        low, high = interval(aggregate.skill_score(replicates, 0, weights))
        covered += low[1] <= 1 - np.exp(-0.2) <= high[1]
    assert 0.86 <= covered / rounds <= 0.99


def table_of(errors: np.ndarray) -> pd.DataFrame:
    """Units of scenarios with a cluster of their own, errors (scenario, unit)."""
    rows = [
        (f"regular/{number}", "regular", f"cell{number % 4}", unit, "mse", value, 1.0)
        for number, scenario in enumerate(errors)
        for unit, value in enumerate(scenario)
    ]
    return pd.DataFrame(
        rows, columns=["scenario", "condition", "cluster", "unit", "metric", "numerator", "denominator"]
    )


def test_a_task_in_blocks_has_the_replicates_of_the_whole():
    errors = np.random.default_rng(5).lognormal(size=(2, 3, 8, 6))  # (entry, seed, scenario, unit)
    keys = [(entry, seed) for entry in range(2) for seed in range(3)]
    tables = {("ab"[entry], seed): table_of(errors[entry, seed]) for entry, seed in keys}
    parts = bootstrap.blocks(tables)
    assert len(parts) == 4
    whole = [bootstrap.task_units("t", ["a", "b"], [0, 1, 2], tables, "mse")]
    divided = [bootstrap.task_units("t", ["a", "b"], [0, 1, 2], part, "mse") for part in parts]
    assert [task.numerator.shape[:2] for task in divided] == [(6, 2)] * 4
    cells = [("t", "regular")]
    for one, other in zip(
        replicate_errors(whole, cells, 50, 3), replicate_errors(divided, cells, 50, 3), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_clusters_that_share_a_scenario_stay_together():
    table = table_of(np.ones((4, 2)))
    shared = table.assign(scenario=table["scenario"].where(table["cluster"] != "cell3", "regular/0"))
    assert [set(part["a", 0]["cluster"]) for part in bootstrap.blocks({("a", 0): shared})] == [
        {"cell0", "cell3"},
        {"cell1"},
        {"cell2"},
    ]
