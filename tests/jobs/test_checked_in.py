"""Checked-in Results: published whole, stale when code changes, confirmed only by equal scores."""

import json
import shutil

import pandas as pd
import pytest
from pydantic import ValidationError

from tsbench import registry
from tsbench.contracts import InputError, Suite, SuiteEntry
from tsbench.evaluation.record import find_results, read_result
from tsbench.jobs import checked_in
from tsbench.jobs.checked_in import confirm, confirmed_at, held, publish, results_folder, stale
from tsbench.jobs.run import Conduct, run_suite, suite_jobs

OTHER_CODE = "f" * 16


@pytest.fixture
def suite(waves_at_hand, monkeypatch, tmp_path):
    """A suite of two untrained models with three Results each, published in a folder of its own."""
    suite = Suite(
        name="waves",
        title="Waves",
        summary="For this test.",
        tasks=("waves-12",),
        models=({"model": "last_value"}, {"model": "window_mean"}),
        seeds=(0, 1, 2),
        baseline="last_value",
    )
    folder = registry.Folder("waves", tmp_path / "suite", "none")
    monkeypatch.setattr(registry, "suite_folder", lambda name: folder)
    monkeypatch.setattr(registry, "suite", lambda name: suite)
    publish(suite, run_suite(suite, conduct=Conduct(track=False)))
    return suite


def change_code(monkeypatch, code: str = OTHER_CODE) -> None:
    monkeypatch.setattr(checked_in, "code_hash", lambda *roots, **cache: code)


def change_scores(suite: Suite, model: str, change, scenario: str | None = None) -> None:
    """Change the values of a model's Results as they are recorded, of one scenario or of all."""
    for folder in find_results(results_folder(suite)):
        if folder.parent.name == model:
            change_recorded(folder, change, scenario)


def change_recorded(folder, change, scenario: str | None = None) -> None:
    table = pd.read_parquet(folder / "scores.parquet")
    values = table["numerator"] / table["denominator"]
    wanted = slice(None) if scenario is None else table["scenario"] == scenario
    changed = values.loc[wanted].map(change)
    # Where there is no value, nothing was counted.
    table.loc[wanted, "denominator"] = changed.notna().astype(float)
    table.loc[wanted, "numerator"] = changed.fillna(0.0)
    table.to_parquet(folder / "scores.parquet")


def test_published_results_are_whole_and_not_stale(suite):
    folders = find_results(results_folder(suite))

    assert len(folders) == 6
    assert {folder.parent.name for folder in folders} == {"last_value", "window_mean"}
    assert stale(suite) == []


def test_other_code_makes_results_stale_and_equal_scores_confirm_them(suite, monkeypatch):
    change_code(monkeypatch)
    said: list[str] = []

    assert len(stale(suite)) == 6
    assert confirm(suite, said.append) == []
    assert [line.split(":")[0] for line in said] == ["last_value", "window_mean"]
    assert stale(suite) == []
    folder = find_results(results_folder(suite))[0]
    assert confirmed_at(folder, read_result(folder)) == OTHER_CODE


def test_code_that_changes_again_makes_confirmed_results_stale_again(suite, monkeypatch):
    change_code(monkeypatch)
    confirm(suite, lambda line: None)
    change_code(monkeypatch, "e" * 16)

    assert len(stale(suite)) == 6


def test_results_that_were_never_confirmed_say_so(suite):
    folder = find_results(results_folder(suite))[0]

    assert confirmed_at(folder, read_result(folder)) is None


def test_different_scores_are_named_and_stay_stale(suite, monkeypatch):
    change_code(monkeypatch)
    change_scores(suite, "window_mean", lambda value: value + 2e-6)
    said: list[str] = []

    assert confirm(suite, said.append) == ["window_mean"]
    assert any("window_mean: differs by 2e-06 on waves-12; run the suite again" in line for line in said)
    assert {one.result.model.name for one in stale(suite)} == {"window_mean"}


@pytest.mark.parametrize(("factor", "different"), [(1 + 1e-7, []), (1 + 1e-5, ["last_value"])])
def test_scores_in_large_units_are_compared_by_their_ratio(suite, monkeypatch, factor, different):
    change_code(monkeypatch)
    change_scores(suite, "last_value", lambda value: value * 1e6 * factor)
    repeat = checked_in.run

    def scaled(*arguments, **options):
        outcomes = repeat(*arguments, **options)
        if outcomes[0].job.model.name == "last_value":
            change_recorded(outcomes[0].folder, lambda value: value * 1e6)
        return outcomes

    monkeypatch.setattr(checked_in, "run", scaled)

    assert confirm(suite, lambda line: None) == different


def test_a_score_that_is_missing_now_is_a_difference(suite, monkeypatch):
    change_code(monkeypatch)
    change_scores(suite, "last_value", lambda value: float("nan"))

    assert confirm(suite, lambda line: None) == ["last_value"]


def test_of_many_scenarios_some_are_evaluated_and_each_is_compared(suite, monkeypatch, wave_task):
    noisy = {"disturbance": {"name": "awgn", "parameter": "snr_db", "levels": [20, 10]}}
    other = {"not_applicable": "there is one place"}
    task = wave_task(conditions={"robustness": [noisy], "generalisation": other})
    monkeypatch.setattr(registry, "tasks", lambda: {"waves-12": task})
    publish(suite, run_suite(suite, conduct=Conduct(track=False)))
    change_code(monkeypatch)
    monkeypatch.setattr(checked_in, "SCENARIOS", 2)
    keys = [one.key for one in registry.task("waves-12").scenarios()]
    evaluated: list[tuple[str, ...]] = []
    repeat = checked_in.run

    def noted(*arguments, **options):
        evaluated.append(options["options"].scenarios)
        return repeat(*arguments, **options)

    monkeypatch.setattr(checked_in, "run", noted)
    assert len(keys) == 3
    change_scores(suite, "last_value", lambda value: value + 1, keys[1])
    change_scores(suite, "window_mean", lambda value: value + 1, keys[2])

    assert confirm(suite, lambda line: None) == ["window_mean"]
    assert evaluated == [(keys[0], keys[2])] * 2


def test_the_cheapest_result_is_repeated(suite, monkeypatch):
    change_code(monkeypatch)
    for folder in find_results(results_folder(suite)):
        record = json.loads((folder / "result.json").read_text())
        record["cost"]["predict"]["seconds"] = 1.0 if record["seed"] == 1 else 2.0
        (folder / "result.json").write_text(json.dumps(record))
    said: list[str] = []

    confirm(suite, said.append)

    assert [line.split(", ")[1] for line in said] == ["seed 1", "seed 1"]


def test_a_model_that_left_the_suite_is_not_confirmed(suite, monkeypatch):
    change_code(monkeypatch)
    smaller = suite.model_copy(update={"models": suite.models[:1]})

    assert confirm(smaller, lambda line: None) == ["window_mean"]


def test_a_job_without_a_result_publishes_nothing(suite):
    before = sorted(results_folder(suite).rglob("*"))
    outcomes = run_suite(suite, conduct=Conduct(track=False))
    outcomes[3].folder = None

    with pytest.raises(InputError, match="window_mean on waves-12, seed 0 has no Result to publish"):
        publish(suite, outcomes)
    assert sorted(results_folder(suite).rglob("*")) == before


def test_a_suite_grows_by_what_it_lacks_and_keeps_the_rest(suite, monkeypatch):
    change_code(monkeypatch)
    confirm(suite, lambda line: None)
    lost = results_folder(suite) / "waves-12" / "window_mean" / "seed-1"
    shutil.rmtree(lost)
    mine = held(suite)
    outcomes = run_suite(suite, conduct=Conduct(track=False), leave=mine)

    assert [(one.job.model.name, one.job.seed) for one in outcomes] == [("window_mean", 1)]
    publish(suite, outcomes, keep=True)
    assert len(find_results(results_folder(suite))) == 6
    assert (results_folder(suite) / checked_in.CONFIRMED).is_file()
    assert all(map(held(suite), (one.job for one in outcomes)))


def test_what_is_stale_is_not_held(suite, monkeypatch):
    change_code(monkeypatch)

    assert len(run_suite(suite, conduct=Conduct(track=False), leave=held(suite))) == 6


def test_a_slow_model_runs_on_a_part_of_the_seeds(suite):
    entries = (*suite.models[:1], suite.models[1].model_copy(update={"seeds": (1,)}))

    jobs = suite_jobs(suite.model_copy(update={"models": entries}))

    assert [(job.model.name, job.seed) for job in jobs] == [
        ("last_value", 0), ("last_value", 1), ("last_value", 2), ("window_mean", 1)
    ]  # fmt: skip


def test_seeds_of_a_model_are_among_the_suites(suite):
    declared = suite.model_dump() | {"models": [{"model": "last_value", "seeds": [7]}]}

    with pytest.raises(ValidationError, match=r"last_value: seeds \[7\] are not among the suite's"):
        Suite(**declared)


class TestAModelThatASuiteListsTwice:
    @pytest.fixture
    def twice(self, suite, monkeypatch):
        """The suite with a second entry of window_mean, whose look-back is its own, and a plain name."""
        entries = (*suite.models, SuiteEntry(model="window_mean", context=12))
        twice = suite.model_copy(update={"models": entries, "seeds": (0,)})
        monkeypatch.setattr(registry, "suite", lambda name: twice)
        publish(twice, run_suite(twice, conduct=Conduct(track=False)))
        return twice

    def test_has_a_folder_for_each_entry(self, twice):
        folders = find_results(results_folder(twice))

        found = {folder.parent.name: read_result(folder).track.context for folder in folders}
        assert found == {"last_value": 96, "window_mean": 96, "window_mean,context=12": 12}
        assert all(map(held(twice), suite_jobs(twice)))

    def test_is_confirmed_entry_by_entry(self, twice, monkeypatch):
        for folder in find_results(results_folder(twice)):
            if folder.parent.name == "window_mean,context=12":
                change_recorded(folder, lambda value: value + 1e-3)
        change_code(monkeypatch)

        assert confirm(twice, lambda line: None) == ["window_mean,context=12"]
        assert [one.folder.parent.name for one in stale(twice)] == ["window_mean,context=12"]
