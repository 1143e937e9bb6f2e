"""Which Results stand beside each other, and why the others do not."""

import subprocess
import sys

import pytest

from tsbench.contracts import SuiteEntry
from tsbench.leaderboard.collect import Catalogue, collect, read_pool
from tsbench.leaderboard.entries import shown


def refusals(collection) -> list[tuple[str, str]]:
    return [(row.model, row.reason) for row in collection.refused.itertuples()]


def gather(bench, folders):
    return collect(bench.suite, read_pool(folders), bench.declared)


def test_the_tidy_frame_has_a_row_per_result_condition_and_metric(bench):
    collection = gather(bench, bench.save_all())
    assert [entry.name for entry in collection.entries] == ["naive", "linear", "deep"]
    assert (
        len(collection.scores) == 3 * 2 * (3 + 2 + 2) * 2
    )  # models × seeds × conditions of the tasks × metrics
    assert len(collection.refused) == 0
    assert set(collection.states["state"]) == {"value"}


def test_the_order_of_the_folders_does_not_matter(bench):
    folders = bench.save_all()
    first, second = gather(bench, folders), gather(bench, folders[::-1])
    assert first.scores.equals(second.scores)
    assert first.by_task == second.by_task


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task__version": 2}, "outdated: made for version 2"),
        ({"task__hash": "ffff"}, "outdated: made for another declaration"),
        ({"task__recipe": {"one": "other"}}, "outdated: data set one was made by another recipe"),
        ({"parity": {"drop_last": True}}, "parity run (drop_last)"),
        ({"seed": 7}, "seed 7 is not among the suite's seeds"),
    ],
)
def test_what_is_not_comparable_is_refused_with_its_reason(bench, changes, reason):
    folders = bench.save_all()
    odd = bench.save("linear", bench.tasks[0], name="odd", **{"seed": 1, **changes})
    collection = gather(bench, [*folders, odd])
    ((model, said),) = refusals(collection)
    assert model == "linear"
    assert reason in said
    assert len(collection.stored) == 18


def test_the_newest_of_two_counts(bench):
    task = bench.tasks[0]
    old = bench.save("linear", task, 0, "old", provenance__created="2026-01-01")
    new = bench.save("linear", task, 0, "new", provenance__created="2026-02-01")
    collection = gather(bench, [new, old])
    assert collection.stored["linear", task.name, 0].folder == new
    assert refusals(collection) == [("linear", "superseded by a newer Result")]


def test_a_copy_of_a_result_is_no_refusal(bench):
    task = bench.tasks[0]
    collection = gather(bench, [bench.save("linear", task, 0, "a"), bench.save("linear", task, 0, "b")])
    assert len(collection.refused) == 0


def test_seeds_of_other_settings_are_not_averaged(bench):
    task = bench.tasks[0]
    old = bench.save(
        "linear", task, 0, "old", model__hyperparameters={"width": 1}, provenance__created="2026-01-01"
    )
    new = bench.save(
        "linear", task, 1, "new", model__hyperparameters={"width": 2}, provenance__created="2026-02-01"
    )
    collection = gather(bench, [old, new])
    assert list(collection.stored) == [("linear", task.name, 1)]
    assert "other settings" in refusals(collection)[0][1]


def test_another_track_is_another_entry(bench):
    folders = [*bench.save_all(), bench.save("deep", bench.tasks[0], 0, "long", track__context=336)]
    collection = gather(bench, folders)
    assert [entry.name for entry in collection.entries][-1] == "deep (context 336, default, fitted)"
    assert collection.entries[-1].listed is False
    assert collection.stored["deep", "one-4", 0].result.track.context == 96


def test_a_context_cut_to_the_longest_that_a_task_allows_is_that_of_the_card(bench, make):
    bench.tasks = [make.task("short-4").model_copy(update={"max_context": 16})]
    folder = make.result(bench.root / "short", "linear", bench.tasks[0], 0, track__context=16)

    assert [entry.name for entry in gather(bench, [folder]).entries] == ["linear"]


def test_contexts_that_the_card_prescribes_by_task_are_one_entry(bench, make):
    card = make.card(
        "deep",
        settings=[
            {"tasks": ["one-*"], "context": 168},
            {"tasks": ["*"], "context": 96, "tuning": "published"},
        ],
    )
    bench.save("deep", bench.tasks[0], 0, "a", track__context=168)
    bench.save("deep", bench.tasks[1], 0, "b", track__tuning="published")
    declared = bench.declared
    declared.cards["deep"] = card
    collection = collect(bench.suite, read_pool(sorted(bench.root.iterdir())), declared)
    (entry,) = collection.entries
    assert (entry.name, entry.context, entry.tuning) == ("deep", "96, 168", "default, published")


def test_a_suite_may_list_a_model_twice(bench, make):
    plain = make.suite(["one-4"], ["naive"])
    suite = plain.model_copy(
        update={"models": (SuiteEntry(model="naive"), SuiteEntry(model="naive", context=336))}
    )
    folders = [
        bench.save("naive", bench.tasks[0], 0, "a"),
        bench.save("naive", bench.tasks[0], 0, "b", track__context=336),
    ]
    collection = collect(suite, read_pool(folders), bench.declared)
    assert [entry.name for entry in collection.entries] == ["naive", "naive (context 336)"]


def test_empty_cells_say_why(bench, make):
    one = bench.tasks[0]
    reason = "data set other is not at hand"
    folders = [
        bench.save("naive", one, 0),
        bench.save("deep", one, 0, skip={"generalisation/dataset=other": reason}),
        bench.save("linear", bench.tasks[1], 0),
    ]
    declared = bench.declared
    declared.cards["linear"] = make.card("linear", not_applicable=[{"tasks": ["one-*"], "reason": "no mask"}])
    states = collect(bench.suite, read_pool(folders), declared).states.set_index(
        ["entry", "task", "condition"]
    )
    assert tuple(states.loc[("deep", "one-4", "generalisation")]) == (
        "skipped",
        f"generalisation/dataset=other: {reason}",
    )
    assert tuple(states.loc[("linear", "one-4", "regular")]) == ("not_applicable", "no mask")
    assert tuple(states.loc[("naive", "two-4", "regular")]) == ("missing", "no Result")


def test_a_condition_with_half_of_its_scenarios_has_no_value(bench):
    folders = [bench.save("naive", bench.tasks[0], 0, skip={"robustness/noise/snr_db=10": "interrupted"})]
    states = gather(bench, folders).states.set_index(["task", "condition"])
    assert states.loc[("one-4", "robustness"), "state"] == "skipped"


def test_a_seed_with_half_of_the_scenarios_does_not_enter_the_mean(bench):
    task = bench.tasks[0]
    folders = [
        bench.save("naive", task, 0),
        bench.save("naive", task, 1, skip={"robustness/noise/snr_db=10": "interrupted"}),
    ]
    collection = gather(bench, folders)
    rows = collection.scores[collection.scores["primary"] & (collection.scores["condition"] == "robustness")]
    assert rows.set_index("seed")["value"].isna().to_dict() == {0: False, 1: True}
    assert "missing" not in set(collection.states.query("task == 'one-4' and entry == 'naive'")["state"])


def test_what_only_the_published_average_counts_is_not_missed(tmp_path, make):
    task = make.cells_task()
    skip = {one.key: "not wanted" for one in task.scenarios() if one.counts == "published"}
    folder = make.result(tmp_path / "a", "naive", task, 0, skip=skip, units=2)
    declared = Catalogue({task.name: task}, {"naive": make.card("naive")})
    collection = collect(make.suite([task.name], ["naive"], [0]), read_pool([folder]), declared)
    assert set(collection.states["state"]) == {"value"}
    assert set(collection.scores["condition"]) == {"regular", "robustness", "generalisation"}
    (stored,) = collection.stored.values()
    assert not collection.usable(stored.result, "robustness-published")


def test_a_published_average_never_ranks(tmp_path, make):
    task = make.cells_task()

    def errors(model, task, scenario, unit, seed):
        return 100.0 if scenario.endswith("-published") else 1.0

    folder = make.result(tmp_path / "a", "naive", task, 0, errors, units=2)
    declared = Catalogue({task.name: task}, {"naive": make.card("naive")})
    collection = collect(make.suite([task.name], ["naive"], [0]), read_pool([folder]), declared)
    assert set(collection.scores[collection.scores["primary"]]["value"]) == {1.0}
    (stored,) = collection.stored.values()
    assert stored.result.scores["nmse"]["robustness-published"] == 100.0
    assert collection.usable(stored.result, "robustness-published")


def test_an_unreadable_result_is_listed_and_stops_nothing(bench):
    folders = bench.save_all()
    (folders[0] / "result.json").write_text("{not json")
    collection = gather(bench, folders)
    ((_, reason),) = refusals(collection)
    assert reason.startswith("unreadable: ")
    assert str(bench.root) not in reason
    assert len(collection.stored) == 17


def test_invisible_characters_of_a_name_are_spelled_out():
    assert shown("a\u202eb") == "a⟨U+202E⟩b"
    assert shown("naïve 模型") == "naïve 模型"


def test_the_leaderboard_never_imports_torch():
    code = (
        "import sys, tsbench.leaderboard.site.build, tsbench.leaderboard.bootstrap, tsbench.cli.board;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
