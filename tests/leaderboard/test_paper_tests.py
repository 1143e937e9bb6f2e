"""Tests over units against scipy, and what makes blocks of windows disjoint and long enough."""

import numpy as np
import pytest
import scipy.stats
from typer.testing import CliRunner

from tsbench.leaderboard.bootstrap import TaskUnits
from tsbench.leaderboard.collect import collect, read_pool
from tsbench.leaderboard.paired import holm
from tsbench.leaderboard.paper_tests import MIN_BLOCKS, block_values, unit_tests

HORIZON, CONTEXT, UNIT = 4, 96, 8
"""A unit of `make_task` holds twice the horizon; 96 + 4 windows are 13 units."""
JOINED = 13


def noisy(model: str, task: str, scenario: str, unit: int, seed: int) -> float:
    """Errors that differ by unit, so that a test has something to tell apart."""
    random = np.random.default_rng([sum(map(ord, model + scenario)), unit, seed])
    return {"naive": 1.0, "linear": 0.9, "deep": 0.6}[model] * random.uniform(0.5, 1.5)


def collected(bench, units: int, **changes):
    folders = bench.save_all(errors=noisy, units=units, **changes)
    return collect(bench.suite, read_pool(folders), bench.declared)


def by_hand(model: str, task: str, scenario: str, block: int, seeds=(0, 1)) -> float:
    units = range(block * JOINED, (block + 1) * JOINED)
    return float(np.mean([noisy(model, task, scenario, unit, seed) for unit in units for seed in seeds]))


@pytest.mark.parametrize(("test", "reference"), [("t", "ttest_rel"), ("wilcoxon", "wilcoxon")])
def test_pairs_are_tested_as_scipy_does_on_blocks_made_by_hand(bench, test, reference):
    collection = collected(bench, units=12 * JOINED)
    names = ["naive", "linear", "deep"]

    found = unit_tests(collection, names, "A paper (2020)", test)[0]

    blocks = found.blocks
    values = np.array(
        [[by_hand(name, "one-4", "regular", block) for name in names] for block in range(blocks)]
    )
    single = [
        getattr(scipy.stats, reference)(values[:, i], values[:, j]).pvalue
        for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    assert (found.paper, found.task, found.condition) == ("A paper (2020)", "one-4", "regular")
    assert found.entries == tuple(names)
    assert found.means == pytest.approx(values.mean(axis=0), rel=1e-6)  # units are kept as float32
    assert found.p_values is not None
    assert found.adjusted is not None
    assert found.p_values[[0, 0, 1], [1, 2, 2]] == pytest.approx(single, rel=1e-4)
    assert found.adjusted[[0, 0, 1], [1, 2, 2]] == pytest.approx(holm(np.array(single)), rel=1e-4)


def test_blocks_of_windows_are_as_long_as_look_back_and_horizon(bench):
    found = unit_tests(collected(bench, units=12 * JOINED + 5), ["naive", "linear"], "A paper")[0]

    assert found.joined == JOINED
    assert found.joined * UNIT >= CONTEXT + HORIZON > (found.joined - 1) * UNIT
    assert found.blocks == 12  # five units are left over


def test_a_longer_look_back_needs_longer_blocks(bench):
    collection = collected(bench, units=12 * JOINED, track__context=512)
    names = [entry.name for entry in collection.entries]

    found = unit_tests(collection, names, "A paper")[0]

    assert found.joined == -(-(512 + HORIZON) // UNIT)
    assert found.reason == f"No test: {found.blocks} blocks, and at least {MIN_BLOCKS} are needed."
    assert found.p_values is None


def test_the_last_block_of_a_part_is_left_out_where_its_last_unit_may_be_short(bench):
    exact = unit_tests(collected(bench, units=12 * JOINED), ["naive", "linear"], "A paper")[0]
    # 12 units and one window are 97 windows, fewer than 100.
    assert exact.blocks == 11


def test_an_unknown_look_back_makes_no_test(bench):
    collection = collected(bench, units=12 * JOINED, track__context=None)
    names = [entry.name for entry in collection.entries]

    found = unit_tests(collection, names, "A paper")[0]

    assert found.reason == "No test: the look-back of an entry is not known, so blocks may share values."
    assert found.p_values is None


def test_samples_are_tested_one_by_one(bench, make):
    cells = make.cells_task()
    bench.tasks = [cells]
    found = unit_tests(collected(bench, units=5), ["naive", "deep"], "A paper")[0]

    assert found.joined == 1
    assert found.blocks == 8 * 5  # eight cells of five samples
    assert found.p_values is not None


def test_a_seed_that_lacks_a_scenario_does_not_count():
    numerator = np.ones((1, 2, 1, 2))
    denominator = np.ones((1, 2, 1, 2))
    numerator[0, :, 0, 1] = 3.0
    denominator[0, 1, 0, 1] = np.nan
    part = TaskUnits("t", ("c",), ("a", "b"), ("regular", "regular"), numerator, denominator, np.asarray)

    assert block_values(part, "regular", None, 1, 1).tolist() == [[1.0]]


def test_no_test_stands_without_the_paper_that_makes_it(bench):
    with pytest.raises(ValueError, match="is a paper's own and is named so"):
        unit_tests(collected(bench, units=4), ["naive"], " ")


def test_the_command_names_the_paper_and_refuses_another_test(bench, monkeypatch, tmp_path):
    from tsbench import registry
    from tsbench.cli import board

    folders = bench.save_all(errors=noisy, units=12 * JOINED)
    monkeypatch.setattr(registry, "suite", lambda name: bench.suite)
    monkeypatch.setattr("tsbench.leaderboard.collect.result_folders", lambda name, runs: folders)
    monkeypatch.setattr("tsbench.leaderboard.collect.catalogue", lambda: bench.declared)
    shown = ["show", "synthetic", "--as-paper", "Smith (2020)", "--runs", str(tmp_path / "none")]

    said = CliRunner().invoke(board.app, [*shown, "--test", "wilcoxon"])
    refused = CliRunner().invoke(board.app, [*shown, "--test", "sign"])

    assert said.exit_code == 0, said.output
    assert "wilcoxon test over units, as in Smith (2020)" in said.output
    assert "not that it would be on others" in " ".join(said.output.split())
    assert "--test is one of t, wilcoxon, not 'sign'" in str(refused.exception)
