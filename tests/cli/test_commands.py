"""The main commands: what they print, where things are, and how they end."""

import json
import re

import pytest

from tsbench import registry
from tsbench.contracts import JobFailed, Suite
from tsbench.jobs.execute import Execution

QUICK = ("--context", "48", "--train", "epochs=2", "--threads", "1", "--no-track")


def test_run_prints_scores_times_and_the_folder_and_reuses_the_second_time(waves_at_hand, tsbench):
    first = tsbench("run", "dlinear", "waves-12", *QUICK)
    second = tsbench("run", "dlinear", "waves-12", *QUICK)

    assert (first.code, second.code) == (0, 0)
    assert "dlinear on waves-12, context 48, seed 0" in first.out
    assert "regular (1)" in first.out
    assert re.search(r"mse +0\.\d{4}", first.out)
    assert "Where the time went" in first.out
    (result,) = waves_at_hand.rglob("result.json")
    assert first.lines == [f"Result: {result.parent}"]
    assert second.lines == [
        f"reused Result of dlinear on waves-12, seed 0: {result.parent}",
        f"Result: {result.parent}",
    ]
    assert "Where the time went" not in second.out


def test_several_seeds_show_mean_and_half_range(waves_at_hand, tsbench):
    done = tsbench("run", "dlinear", "waves-12", "--seeds", "2", "--json", *QUICK)
    shown = tsbench("run", "dlinear", "waves-12", "--seeds", "2", *QUICK)

    one, other = (entry["result"]["scores"]["mse"]["regular"] for entry in json.loads(done.out))
    assert one != other
    # Where the table is too wide, a cell is broken at its spaces.
    assert f"{(one + other) / 2:.4f}" in shown.out
    assert f"{abs(one - other) / 2:.4f}" in shown.out
    assert "2 seeds, mean ± half range" in shown.out


def test_fit_shows_validation_only_and_eval_makes_the_result(waves_at_hand, tsbench):
    fitted = tsbench("fit", "dlinear", "waves-12", *QUICK[:-1])
    assert fitted.code == 0
    assert "validation" in fitted.out
    assert not list(waves_at_hand.rglob("result.json"))

    evaluated = tsbench("eval", "dlinear", "waves-12", "--json", *QUICK)

    (entry,) = json.loads(evaluated.out)
    assert entry["result"]["cases"] == 109
    assert entry["fit"] is None or entry["fit"]["validation_loss"] > 0


def test_a_users_own_file_is_run_without_a_declared_task(waves_at_hand, tsbench, csv, monkeypatch, tmp_path):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))
    words = (
        "run",
        "seasonal_naive",
        "--data",
        csv(rows=600),
        "--context",
        "48",
        "--horizon",
        "6",
        "--json",
        "--no-track",
    )

    done = tsbench(*words)

    (entry,) = json.loads(done.out)
    assert entry["task"] == "user-mine-6"
    # `load` repeats every day, `price` every week.
    assert entry["result"]["task"]["dataset"] == "user-mine"
    daily = json.loads(tsbench(*words, "--target", "load").out)[0]["result"]["scores"]["mse"]["regular"]
    assert daily == pytest.approx(0, abs=1e-9)


def test_standard_output_is_json_alone_where_asked(waves_at_hand, tsbench):
    for words in (
        ("list", "models"),
        ("list", "tasks"),
        ("list", "datasets"),
        ("list", "suites"),
        ("info", "tpgn"),
    ):
        assert json.loads(tsbench(*words, "--json").out)


def test_lists_name_everything(tsbench):
    for kind, known in (
        ("models", registry.models()),
        ("tasks", registry.tasks()),
        ("suites", registry.suites()),
    ):
        names = {row["name"] for row in json.loads(tsbench("list", kind, "--json").out)}
        assert names == set(known)


def test_lists_keep_what_holds_every_word_and_tasks_are_found_by_their_dataset(tsbench):
    found = json.loads(tsbench("list", "tasks", "ETTh1", "720", "--json").out)

    assert {row["name"] for row in found} == {
        name for name, task in registry.tasks().items() if "etth1" in name and "720" in name
    }
    by_dataset = json.loads(tsbench("list", "tasks", "load_demo", "--json").out)
    assert by_dataset
    assert all("load_demo" in row["dataset"] for row in by_dataset)
    refused = tsbench("list", "tasks", "no-such-word")
    assert refused.code == 2
    assert refused.lines == ["Error: No task holds 'no-such-word'"]


def test_tables_fit_eighty_columns(waves_at_hand, tsbench):
    tables = [
        tsbench("list", "models").out,
        tsbench("list", "datasets").out,
        tsbench("list", "tasks").out,
        tsbench("list", "suites").out,
        tsbench("run", "dlinear", "waves-12", *QUICK).out,
    ]

    assert max(len(line.rstrip()) for out in tables for line in out.splitlines()) <= 80


def test_doctor_names_versions_device_compilers_and_folders(tsbench):
    done = tsbench("doctor", "--json")

    found = {check["what"] for check in json.loads(done.out)}
    assert {"python", "torch", "mlflow", "processor", "CUDA device", "nvcc", "cc", "stores", "runs"} <= found
    assert all(check["ok"] or check["remedy"] for check in json.loads(done.out))


def test_a_job_that_fails_ends_with_code_1_and_one_line(waves_at_hand, tsbench, monkeypatch):
    def fail(self):
        raise JobFailed("Training diverged:\n  the validation loss is nan")

    monkeypatch.setattr(Execution, "fit", fail)

    done = tsbench("run", "dlinear", "waves-12", *QUICK)

    assert (done.code, done.lines) == (1, ["Failed: Training diverged: the validation loss is nan"])


def test_a_suite_with_a_failed_job_runs_the_others_and_ends_with_code_1(waves_at_hand, tsbench, monkeypatch):
    suite = Suite.model_validate(
        {
            "name": "waves",
            "title": "Waves",
            "summary": "For this test.",
            "tasks": ["waves-12"],
            "models": [{"model": "dlinear", "training": {"epoch": 1}}, {"model": "last_value"}],
            "seeds": [0],
            "baseline": "last_value",
        }
    )
    monkeypatch.setattr(registry, "suites", lambda: {"waves": suite})
    monkeypatch.setattr(registry, "suite", lambda name: suite)

    done = tsbench("run", "waves", "--no-track")

    assert done.code == 1
    assert (
        "Failed: 1 of 2 jobs failed; the first: dlinear on waves-12: training: unknown setting 'epoch'"
        in done.lines[-1]
    )
    assert len(list(waves_at_hand.rglob("result.json"))) == 1


def test_an_interruption_ends_with_code_130_and_the_way_on(waves_at_hand, tsbench, monkeypatch):
    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Execution, "fit", interrupt)

    done = tsbench("run", "dlinear", "waves-12", *QUICK)

    assert done.code == 130
    assert done.lines == ["Interrupted. Run the same command again to go on."]


def test_score_makes_a_result_of_a_saved_forecast(waves_at_hand, tsbench):
    ran = json.loads(tsbench("run", "linear", "waves-12", "--save-forecasts", "--json", "--no-track").out)[0][
        "result"
    ]
    (forecast,) = waves_at_hand.rglob("forecast.zarr")

    done = tsbench("score", forecast, "waves-12", "--json")

    scored = json.loads(done.out)
    assert scored["scores"]["mse"]["regular"] == pytest.approx(ran["scores"]["mse"]["regular"], abs=1e-6)
    assert (waves_at_hand / "scored" / "waves-12" / "linear" / "result.json").is_file()
