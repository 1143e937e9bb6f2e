"""`tsbench sweep` and `tsbench board submit|check` as a user types them."""

import json

import pytest

SPACE = """
source: made for a test
hyperparameters: {moving_average: {choices: [13, 25]}}
training: {learning_rate: {low: 0.0005, high: 0.01, log: true}}
"""


@pytest.fixture
def quick(tmp_path):
    """Words of a short sweep on the demo data."""
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    fixed = ["--context", "48", "--train", "epochs=1", "--threads", "1", "--no-track"]
    return ["sweep", "dlinear", "load-demo-24", "--space", path, *fixed]


def test_a_sweep_prints_the_best_trials_and_the_results_of_the_best(tsbench, quick, stores):
    stores("load_demo")
    done = tsbench(*quick, "--trials", "2", "--seeds", "1", "--json")
    assert done.code == 0, done.lines
    found = json.loads(done.out)

    assert found["results"][0]["result"]["track"]["tuning"] == "swept(2 trials)"
    assert len(found["sweep"]["trials"]) == 2
    words = found["sweep"]["command"].split()
    assert words[:3] == ["tsbench", "sweep", "dlinear"]
    assert "space.yaml" in words

    again = tsbench(*quick, "--trials", "2", "--seeds", "1")
    assert again.code == 0
    assert "best by validation" in again.out
    assert any(line.startswith("Importance") or line.startswith("Cost of all trials") for line in again.lines)
    assert any("reused Result" in line for line in again.lines)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--sampler", "grid"], "Unknown sampler 'grid'"),
        (
            ["--objectives", "error,flops", "--pruner", "median"],
            "Optuna cannot prune with several objectives",
        ),
        (["--storage", "redis://x"], "there is no storage of that kind"),
        (["--set", "moving_average=25", "--train", "learning_rate=0.1"], "nothing to vary"),
        (["--seed", "-1"], "--seed must not be negative"),
    ],
)
def test_wrong_input_is_one_line(tsbench, quick, stores, words, reason):
    stores("load_demo")
    done = tsbench(*quick, *words)

    assert done.code == 2
    assert reason in done.lines[-1]


def test_a_submission_is_packed_and_checked(tsbench, stores, tmp_path):
    stores("load_demo")
    done = tsbench("run", "last_value", "load-demo-24", "--save-forecasts", "--no-track", "--json")
    folder = json.loads(done.out)[0]["result_folder"]
    assert tsbench("board", "submit", folder, "--out", tmp_path / "mine").code == 0

    done = tsbench("board", "check", tmp_path / "mine", "--json")

    assert done.code == 0, done.lines
    assert json.loads(done.out)["largest"] < 1e-6


def test_a_folder_that_is_no_submission_is_refused(refused, tmp_path):
    assert "lacks submission.json" in refused("board", "check", tmp_path)
    assert "is not a folder" in refused("board", "check", tmp_path / "nothing")
