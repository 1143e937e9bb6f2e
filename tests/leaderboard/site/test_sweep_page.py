"""The pages of sweeps: complete, escaped, the same bytes again."""

import json

import pytest

from tsbench.contracts import SearchSpace, StageCost
from tsbench.contracts.sweep import Refit, SweepRecord, TrialRecord
from tsbench.leaderboard.collect import catalogue
from tsbench.leaderboard.site.build import write_site
from tsbench.leaderboard.site.pages.sweep import find_sweeps, sweep_href

HOSTILE = '<script>alert("x")</script>'


@pytest.fixture
def record():
    """A sweep with two objectives whose texts try to get out."""
    trials = tuple(
        TrialRecord(
            number=number,
            state="complete",
            parameters={
                "training/learning_rate": 0.01 * (number + 1),
                "hyperparameters/norm": bool(number % 2),
            },
            values=(0.5 - number / 20, 100.0 * (number + 1)),
            validation=(0.9, 0.5 - number / 20),
            cost=StageCost(seconds=1.5),
            reason=HOSTILE if number == 2 else "",
        )
        for number in range(5)
    )
    return SweepRecord(
        study="dlinear-etth1-96-0123", model=HOSTILE, model_version=1, task="etth1-96", task_version=1,
        task_hash="ab", context=96, seed=0, sampler="tpe", sampler_seed=3, pruner="none",
        objectives=("error", "flops"), fixed={"training/epochs": 5}, asked=5, trials=trials, best=4,
        front=(0, 1, 2, 3, 4),
        space=SearchSpace.model_validate(
            {
                "training": {"learning_rate": {"low": 0.01, "high": 0.1, "log": True}},
                "hyperparameters": {"norm": {"choices": [False, True]}},
                "source": HOSTILE,
            }
        ),
        importances={"training/learning_rate": 0.75, "hyperparameters/norm": 0.25}, cost=StageCost(seconds=7.5),
        refits=(Refit(seed=0, validation_loss=0.3, metric="mse", regular=0.375, result="ff"),), code="c0",
        command="tsbench sweep dlinear etth1-96",
    )  # fmt: skip


def test_a_sweep_has_a_page_with_its_charts_trials_and_ranges(record, tmp_path):
    write_site([], catalogue(), tmp_path / "one", [record])
    page = (tmp_path / "one" / sweep_href(record.study)).read_text()

    assert page.count("<svg") == 3
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    assert "0.01 to 0.1, logarithmic" in page
    assert "7.50\u202fs" in page
    assert "0.3750" in page
    listing = (tmp_path / "one" / "sweeps.html").read_text()
    assert f'href="{sweep_href(record.study)}"' in listing
    assert 'href="sweeps.html"' in (tmp_path / "one" / "index.html").read_text()


def test_the_same_sweep_gives_the_same_bytes(record, tmp_path):
    pages = []
    for name in ("one", "two"):
        write_site([], catalogue(), tmp_path / name, [record])
        pages.append((tmp_path / name / sweep_href(record.study)).read_bytes())

    assert pages[0] == pages[1]


def test_without_sweeps_no_page_and_no_link_is_made(tmp_path):
    write_site([], catalogue(), tmp_path / "one")

    assert not (tmp_path / "one" / "sweeps.html").exists()
    assert "sweeps.html" not in (tmp_path / "one" / "index.html").read_text()


def test_sweeps_of_a_runs_folder_are_found(record, tmp_path):
    folder = tmp_path / "sweeps" / record.study
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text(json.dumps(record.model_dump(mode="json")))

    assert find_sweeps(tmp_path) == [record]
    assert find_sweeps(tmp_path / "nothing") == []
