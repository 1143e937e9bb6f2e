"""Suites whose entries start from weights: of a pretraining that was run apart, or of a file."""

import shlex

import pytest
import yaml

from tsbench import registry
from tsbench.contracts import InputError, Suite
from tsbench.evaluation.record import find_results
from tsbench.jobs.checked_in import publish, results_folder
from tsbench.jobs.corpus_job import pretrain
from tsbench.jobs.job import Options
from tsbench.jobs.run import Conduct, run_suite, suite_jobs
from tsbench.leaderboard.collect import Catalogue, collect, read_pool

QUIET = Conduct(track=False)
TRAINING = {"epochs": 1, "patience": 0, "batch_size": 16, "learning_rate": 0.01}
CORPUS = {
    "name": "waves",
    "length": 36,
    "horizon": 12,
    "period": 24,
    "epoch": 16,
    "holdout": 0,
    "held_out": ["*/wave1"],
    "members": [{"dataset": "user-waves", "end": 359}],
}
START = {"pretrained": {"corpus": "waves.yaml"}}


def suite_of(*entries) -> Suite:
    shared = {"model": "dlinear", "context": 24, "training": TRAINING}
    return Suite.model_validate(
        {
            "name": "waves",
            "title": "Waves",
            "summary": "Waves.",
            "tasks": ["waves-12"],
            "models": [{"model": "last_value"}, *(shared | entry for entry in entries)],
            "seeds": [0],
            "baseline": "last_value",
            "conditions": ["regular"],
        }
    )


@pytest.fixture
def home(waves_at_hand, monkeypatch, tmp_path):
    """The folder of the suite, with the declaration of a corpus."""
    folder = registry.Folder("waves", tmp_path / "suite", "none")
    folder.path.mkdir()
    (folder.path / "waves.yaml").write_text(yaml.safe_dump(CORPUS))
    monkeypatch.setattr(registry, "suite_folder", lambda name: folder)
    return folder.path


def pretrained(home, **options):
    chosen = Options(training=TRAINING, device="cpu", threads=1, **options)
    (one,) = pretrain("dlinear", home / "waves.yaml", options=chosen, conduct=QUIET)
    return one


def test_each_start_is_a_row_of_its_own_and_says_what_it_started_from(home):
    weights = pretrained(home).fit["weights"]
    suite = suite_of({}, START, START | {"fine_tune": True})

    outcomes = run_suite(suite, conduct=QUIET)
    assert [one.error for one in outcomes] == [""] * 4
    publish(suite, outcomes)

    _, scratch, zero_shot, tuned = (one.result for one in outcomes)
    assert [one.model.start for one in (scratch, zero_shot, tuned)] == ["", "waves", "waves"]
    assert [one.track.learning for one in (scratch, zero_shot, tuned)] == ["fitted", "zero-shot", "fitted"]
    assert zero_shot.model.weights == weights
    assert set(tuned.cost) == {"pretraining", "fit", "predict"}

    folders = find_results(results_folder(suite))
    assert len(folders) == 4
    tasks = {"waves-12": outcomes[0].job.task}
    board = collect(suite, read_pool(folders), Catalogue(tasks, registry.models()))
    common = "context 24, epochs 1, patience 0, batch_size 16, learning_rate 0.01"
    assert [(one.name, one.listed) for one in board.entries] == [
        ("last_value", True),
        (f"dlinear ({common})", True),
        (f"dlinear ({common}, pretrained waves)", True),
        (f"dlinear ({common}, pretrained waves, fine-tuned)", True),
    ]


def test_a_single_entry_with_weights_does_not_take_the_name_of_its_model(home):
    pretrained(home)
    suite = suite_of({"pretrained": {"corpus": "waves.yaml"}, "training": {}})
    publish(suite, run_suite(suite, conduct=QUIET))

    folders = find_results(results_folder(suite))

    assert {folder.parent.name for folder in folders} == {
        "dlinear,context=24,pretrained=waves", "last_value"
    }  # fmt: skip


def test_a_pretraining_that_was_not_run_is_named_with_its_command(home):
    with pytest.raises(InputError) as caught:
        suite_jobs(suite_of(START))

    file = shlex.quote(str(home / "waves.yaml"))
    assert str(caught.value) == (
        "dlinear in waves starts from a pretraining on waves that has not been run. "
        f"First: tsbench fit dlinear --corpus {file} --seed 0"
    )


def test_a_suite_runs_a_pretraining_that_was_not_run_once_for_each_seed(home, monkeypatch):
    card = registry.model("dlinear")
    quick = tuple(one.model_copy(update={"training": TRAINING}) for one in card.settings)
    models = registry.models() | {"dlinear": card.model_copy(update={"settings": quick})}
    monkeypatch.setattr(registry, "models", lambda: models)
    monkeypatch.setattr(registry, "model", lambda name: models[name])
    said: list[str] = []
    suite = suite_of(START).model_copy(update={"seeds": (0, 1)})

    first = run_suite(suite, conduct=Conduct(track=False, say=said.append))
    again = [one.job.options.weights for one in run_suite(suite, conduct=QUIET)]

    started = [one.job.options.weights for one in first]
    assert [one is None for one in started] == [True, True, False, False]
    assert [f"seed-{seed}-" in str(started[2 + seed]) for seed in (0, 1)] == [True, True]
    assert again == started


def test_a_pretraining_on_another_corpus_seed_or_size_does_not_serve(home):
    pretrained(home, hyperparameters={"individual": True})
    (home / "waves.yaml").write_text(yaml.safe_dump(CORPUS | {"epoch": 8}))
    suite_jobs(suite_of({}))
    for start in (START, {"pretrained": {"corpus": "waves.yaml", "seed": 1}}):
        with pytest.raises(InputError, match="has not been run"):
            suite_jobs(suite_of(start))


def test_the_newest_of_several_pretrainings_counts(home):
    pretrained(home)
    later = pretrained(home, hyperparameters={"individual": True})

    (job,) = (one for one in suite_jobs(suite_of(START)) if one.model.name == "dlinear")

    assert job.options.weights == later.job.folder


@pytest.mark.parametrize("beside", [True, False])
def test_weights_of_a_file_beside_the_suite_or_anywhere(home, beside):
    made = pretrained(home).job.folder / "weights.safetensors"
    place = home / "waves.safetensors" if beside else home.parent / "waves.safetensors"
    place.write_bytes(made.read_bytes())
    name = "waves.safetensors" if beside else str(place)

    outcome = run_suite(suite_of({"weights": name, "fine_tune": False}), conduct=QUIET)[1]

    assert outcome.result.model.start == "waves.safetensors"
    assert outcome.job.options.weights == place


def test_a_corpus_that_is_not_called_like_its_file_is_refused(home):
    (home / "waves.yaml").write_text(yaml.safe_dump(CORPUS | {"name": "others"}))

    with pytest.raises(InputError, match=r"waves.yaml: the corpus is called others; a suite names it by"):
        suite_jobs(suite_of(START))


def test_a_missing_corpus_is_named(home):
    (home / "waves.yaml").unlink()

    with pytest.raises(InputError, match=r"There is no file .*waves.yaml"):
        suite_jobs(suite_of(START))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (START | {"weights": "a.safetensors"}, "give `pretrained` or `weights`, not both"),
        ({"fine_tune": True}, "`fine_tune` says what to do with"),
        ({"pretrained": {"corpus": "waves"}}, "should match pattern"),
    ],
)
def test_a_start_that_makes_no_sense_is_refused(entry, reason):
    with pytest.raises(ValueError, match=reason):
        suite_of(entry)


def test_each_seed_may_start_from_a_pretraining_of_its_own(home):
    chosen = Options(training=TRAINING, device="cpu", threads=1)
    made = pretrain("dlinear", home / "waves.yaml", seeds=(0, 1), options=chosen, conduct=QUIET)
    shared = {"pretrained": {"corpus": "waves.yaml", "seed": 0}}
    for start, expected in ((shared, [0, 0]), (START, [0, 1])):
        jobs = suite_jobs(suite_of(start).model_copy(update={"seeds": (0, 1)}))
        found = [job.given.folder for job in jobs if job.given is not None]
        assert found == [made[number].job.folder for number in expected]
    with pytest.raises(InputError, match="--seed 2"):
        suite_jobs(suite_of(START).model_copy(update={"seeds": (2,)}))
