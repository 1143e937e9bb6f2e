"""Pretraining on a corpus: its run folder, its record, and what becomes of the weights on a task."""

import json
from dataclasses import replace

import pytest

from tsbench.cli.main import app
from tsbench.contracts import Corpus, InputError, leakage_of
from tsbench.jobs.corpus_job import pretrain
from tsbench.jobs.fitted import read_fit
from tsbench.jobs.job import Options
from tsbench.jobs.run import Conduct, run
from tsbench.locks import hold

QUIET = Conduct(track=False)
OPTIONS = Options(
    training={"epochs": 3, "patience": 0, "batch_size": 4, "learning_rate": 0.01}, device="cpu", threads=1
)
TRAIN_END, TEST_START = 359, 480
"""Of the 600 rows of user-waves, by the split of waves-12."""


def corpus(**changes) -> Corpus:
    declared = {
        "name": "waves",
        "length": 36,
        "horizon": 12,
        "period": 24,
        "epoch": 64,
        "holdout": 0,
        "held_out": ["*/wave1"],
        "members": [{"dataset": "user-waves", "end": TRAIN_END}],
    }
    return Corpus.model_validate(declared | changes)


@pytest.fixture
def pretrained(waves_at_hand):
    """Pretrains dlinear; gives the outcome."""

    def fit(conduct=QUIET, options=OPTIONS, **changes):
        (one,) = pretrain("dlinear", corpus(**changes), options=options, conduct=conduct)
        return one

    return fit


@pytest.fixture
def evaluated(pretrained):
    """The Result of a run on waves-12 with given weights."""

    def evaluate(folder, **options):
        chosen = replace(OPTIONS, weights=folder, context=24, **options)
        (outcome,) = run("dlinear", "waves-12", options=chosen, conduct=QUIET)
        return outcome

    return evaluate


def test_a_fit_leaves_weights_and_a_record(pretrained):
    one = pretrained()

    record = read_fit(one.job.folder)
    assert record == one.fit
    assert record["corpus"]["hash"] == one.job.corpus.hash
    assert record["corpus"]["held_out"] == ["user-waves/wave1"]
    assert record["corpus"]["training_points"] == TRAIN_END + 1
    assert [epoch["epoch"] for epoch in record["history"]] == [1, 2, 3]
    assert record["validation_loss"] == min(epoch["validation_loss"] for epoch in record["history"])
    (stage,) = record["stages"]
    assert (stage["kind"], stage["on"], stage["began"]) == ("pretraining", "waves", None)
    assert stage["trained_on"][0]["variables"] == ["wave0"]
    assert stage["cost"]["seconds"] > 0
    assert sorted(path.name for path in one.job.folder.iterdir()) == ["fit.json", "weights.safetensors"]


def test_finished_work_is_reused_and_what_determines_it_is_in_the_key(pretrained):
    first = pretrained()
    said: list[str] = []

    again = pretrained(replace(QUIET, say=said.append))
    assert (again.reused, again.fit) == (True, first.fit)
    assert said == [f"reused fit of dlinear on corpus waves, seed 0: {first.job.folder}"]
    others = [
        pretrained(epoch=32),
        pretrained(options=replace(OPTIONS, training=OPTIONS.training | {"epochs": 1})),
        pretrained(replace(QUIET, fresh=True)),
    ]
    assert [one.reused for one in others] == [False, False, False]
    assert len({one.job.folder for one in [first, *others]}) == 3
    assert others[-1].fit["weights"] == first.fit["weights"]


def test_a_killed_fit_goes_on_and_ends_with_the_same_bits(pretrained):
    whole = pretrained().fit
    told: list[str] = []

    def die(text: str) -> None:
        told.append(text)
        if len(told) == 2:
            raise OSError("the machine is gone")

    with pytest.raises(OSError, match="gone"):
        pretrained(replace(QUIET, fresh=True, say=die))
    resumed = pretrained()

    assert not resumed.reused
    assert resumed.fit["weights"] == whole["weights"]
    assert resumed.fit["cost"]["attempts"] == 2
    losses = [[epoch["validation_loss"] for epoch in fit["history"]] for fit in (resumed.fit, whole)]
    assert losses[0] == losses[1]


def test_another_process_with_the_same_job_is_told_to_wait(pretrained):
    folder = pretrained().job.folder
    (folder / "fit.json").unlink()

    with hold(folder / "lock"), pytest.raises(InputError, match="--wait"):
        pretrained()


def test_weights_of_a_corpus_forecast_zero_shot_and_their_stage_is_in_the_result(pretrained, evaluated):
    one = pretrained()

    outcome = evaluated(one.job.folder)
    result = outcome.result

    assert outcome.fit == {}
    assert result.track.learning == "zero-shot"
    assert result.model.weights == one.fit["weights"]
    assert list(result.cost) == ["pretraining", "predict"]
    assert result.cost["pretraining"].seconds == one.fit["cost"]["seconds"]
    (seen,) = result.trained_on
    assert (seen.dataset, seen.stage, seen.variables) == ("user-waves", "pretraining", ("wave0",))
    assert seen.end == "2024-01-15T23:00:00"
    assert result.scores["mase"]["regular"] < 1
    assert leakage_of(result) == "none"


def test_fine_tuning_adds_a_stage(pretrained, evaluated):
    one = pretrained()

    outcome = evaluated(one.job.folder, fine_tune=True)
    result = outcome.result
    again = evaluated(outcome.job.folder, fine_tune=True).result

    assert result.track.learning == "fitted"
    assert list(result.cost) == ["pretraining", "fit", "predict"]
    assert [part.stage for part in result.trained_on] == ["pretraining", "fit"]
    assert result.model.weights != one.fit["weights"]
    assert list(again.cost) == ["pretraining", "fit, 1 before", "fit", "predict"]
    assert outcome.fit["stages"][1]["began"] == one.fit["weights"]
    assert {leakage_of(result), leakage_of(again)} == {"none"}


def test_fit_with_weights_fine_tunes_without_being_asked(pretrained, evaluated):
    chosen = replace(OPTIONS, weights=pretrained().job.folder, context=24)
    (outcome,) = run("dlinear", "waves-12", options=chosen, conduct=QUIET, stage="fit")

    assert [stage["kind"] for stage in outcome.fit["stages"]] == ["pretraining", "fit"]
    (same,) = run("dlinear", "waves-12", options=replace(chosen, fine_tune=True), conduct=QUIET, stage="eval")
    assert same.job.folder == outcome.job.folder
    assert same.result.model.weights == outcome.fit["weights"]


@pytest.mark.parametrize(
    ("end", "leak"),
    [(TRAIN_END, "none"), (TEST_START - 1, "inputs"), (TEST_START, "targets"), (-1, "targets")],
)
def test_what_a_corpus_saw_of_the_test_part_flags_the_result(end, leak, pretrained, evaluated):
    members = [{"dataset": "user-waves", "end": end}]
    folder = pretrained(members=members, test_data="allow").job.folder

    assert leakage_of(evaluated(folder).result) == leak
    assert leakage_of(evaluated(folder, fine_tune=True).result) == leak


def test_a_corpus_that_reaches_into_a_test_part_is_refused(pretrained):
    with pytest.raises(InputError, match="corpus waves: user-waves from .* test part of waves-12"):
        pretrained(members=[{"dataset": "user-waves", "end": TEST_START}])


def test_weights_from_elsewhere_are_of_unknown_origin(pretrained, evaluated, tmp_path):
    file = tmp_path / "found.safetensors"
    file.write_bytes((pretrained().job.folder / "weights.safetensors").read_bytes())

    evaluated_only = evaluated(file, fine_tune=False).result
    fitted_on = evaluated(file).result

    assert evaluated_only.track.learning == "unknown"
    assert fitted_on.track.learning == "fitted"
    assert {leakage_of(evaluated_only), leakage_of(fitted_on)} == {"unknown"}


def test_weights_must_be_those_of_their_record_and_of_the_model(pretrained, evaluated):
    folder = pretrained().job.folder
    with pytest.raises(InputError, match="holds weights of dlinear, not of linear"):
        run("linear", "waves-12", options=replace(OPTIONS, weights=folder, context=24), conduct=QUIET)
    record = read_fit(folder)
    other = pretrained(seed=0, epoch=32).job.folder

    (folder / "weights.safetensors").write_bytes((other / "weights.safetensors").read_bytes())
    with pytest.raises(InputError, match="does not hold the weights of fit.json"):
        evaluated(folder)
    (folder / "fit.json").write_text(json.dumps({**record, "weights": "0" * 16}))
    with pytest.raises(InputError, match="its last stage is not of its weights"):
        evaluated(folder)
    (folder / "fit.json").write_text(json.dumps({key: record[key] for key in record if key != "stages"}))
    with pytest.raises(InputError, match="does not say what was trained on"):
        evaluated(folder)
    (folder / "fit.json").write_text(json.dumps({key: record[key] for key in record if key != "model"}))
    with pytest.raises(InputError, match="does not say of which model"):
        evaluated(folder)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("last_value", {}, "is not trained by gradient"),
        ("csi_cnn", {}, "the task has 1 context channels"),
        ("dlinear", {"context": 24}, "--context belongs to a task"),
        ("dlinear", {"fine_tune": True}, "belong to a task"),
        ("dlinear", {"training": {"epoch": 1}}, "unknown setting 'epoch'"),
    ],
)
def test_what_does_not_go_with_a_corpus_is_one_line(model, options, message, waves_at_hand):
    with pytest.raises(InputError, match=message):
        pretrain(model, corpus(), options=replace(OPTIONS, **options), conduct=QUIET)


def test_fine_tuning_needs_weights(waves_at_hand):
    with pytest.raises(InputError, match="add --weights"):
        run("dlinear", "waves-12", options=replace(OPTIONS, fine_tune=True), conduct=QUIET)


def test_the_command_pretrains_and_names_the_next(waves_at_hand, tmp_path, capsys):
    import typer.main
    import yaml

    file = tmp_path / "waves.yaml"
    file.write_text(yaml.safe_dump(corpus().model_dump(mode="json", exclude_defaults=True)))
    command = typer.main.get_command(app)
    arguments = ["fit", "dlinear", "--corpus", str(file), "--threads", "1", "--train", "epochs=1"]

    command.main([*arguments, "--json"], standalone_mode=False)
    (found,) = json.loads(capsys.readouterr().out)
    command.main(arguments, standalone_mode=False)

    printed = capsys.readouterr()
    assert (found["corpus"], found["reused"]) == ("waves", False)
    assert "dlinear on corpus waves: held-out series" in printed.out
    assert f"tsbench run dlinear TASK --weights {found['run_folder']}" in printed.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "is not YAML"),
        ("- a", "a corpus is a mapping"),
        ("name: mix", "members: Field required"),
        (None, "There is no file"),
    ],
)
def test_a_bad_declaration_is_one_line(text, message, tmp_path):
    file = tmp_path / "bad.yaml"
    if text is not None:
        file.write_text(text)

    with pytest.raises(InputError, match=message) as caught:
        pretrain("dlinear", file, options=OPTIONS, conduct=QUIET)

    assert "\n" not in str(caught.value)
