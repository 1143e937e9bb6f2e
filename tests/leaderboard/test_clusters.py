"""Blocks of the tests of mean ranks: one for each cluster, ranked in its own cells."""

import numpy as np
import pytest

from tsbench.leaderboard.clusters import cluster_logarithms, cluster_ranks
from tsbench.leaderboard.collect import collect, read_pool

NAMES = ["naive", "linear", "deep"]
SIZES = {"naive": 3.0, "linear": 2.0, "deep": 1.0}


def by_cluster(model: str, task: str, scenario: str, unit: int, seed: int) -> float:
    """The order of the models turns round in odd units; seeds differ by less than models do."""
    size = SIZES[model] * (1 + 0.01 * seed)
    return 4 - size if unit % 2 else size


def made(bench, cluster, **changes):
    folders = bench.save_all(errors=by_cluster, cluster=cluster, **changes)
    return collect(bench.suite, read_pool(folders), bench.declared)


def test_a_cluster_is_ranked_by_its_own_units(bench):
    collection = made(bench, lambda dataset, unit: "odd" if unit % 2 else "even")
    found = cluster_ranks(collection, NAMES, "impute")
    assert found.loc["even"].to_dict() == {"naive": 3.0, "linear": 2.0, "deep": 1.0}
    assert found.loc["odd"].to_dict() == {"naive": 1.0, "linear": 2.0, "deep": 3.0}


def test_tasks_of_one_cluster_are_one_block(bench):
    found = cluster_ranks(made(bench, lambda dataset, unit: "the only one"), NAMES, "impute")
    assert list(found.index) == ["the only one"]
    assert found.to_numpy().sum() == pytest.approx(6)


def test_the_baseline_stands_in_for_what_is_missing_only_where_that_was_asked(bench):
    folders = [one for one in bench.save_all(errors=by_cluster) if not one.name.startswith("deep-two")]
    collection = collect(bench.suite, read_pool(folders), bench.declared)
    assert list(cluster_ranks(collection, NAMES, "impute").columns) == NAMES
    assert list(cluster_ranks(collection, NAMES, "drop").columns) == ["naive", "linear"]


def test_without_results_there_is_no_block(bench):
    collection = collect(bench.suite, read_pool([]), bench.declared)
    assert cluster_ranks(collection, [], "impute").empty
    assert np.array_equal(cluster_ranks(collection, [], "impute").shape, (0, 0))


def test_logarithms_of_a_cluster_differ_by_the_relative_error(bench):
    collection = made(bench, lambda dataset, unit: "odd" if unit % 2 else "even")

    found = cluster_logarithms(collection, NAMES, "impute")

    assert list(found.columns) == NAMES
    assert np.exp(found.loc["even", "naive"] - found.loc["even", "deep"]) == pytest.approx(3)
    assert np.exp(found.loc["odd", "naive"] - found.loc["odd", "linear"]) == pytest.approx(0.5, rel=0.02)
