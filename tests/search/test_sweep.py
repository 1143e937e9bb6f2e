"""Sweeps: judged by validation alone, taken up after a kill, nothing tried twice, all of its cost counted."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tsbench.contracts import InputError, JobFailed, Range, SearchSpace
from tsbench.contracts.sweep import TrialRecord
from tsbench.data import series_data
from tsbench.evaluation.record import read_result
from tsbench.jobs.execute import Execution
from tsbench.jobs.run import Conduct
from tsbench.search.plan import Plan, Search, make_plan
from tsbench.search.record import front, record_of
from tsbench.search.sweep import read_record, sweep
from tsbench.search.trials import open_study, take_over


def tried(record):
    """What was tried, and what came of it, without what the clock says."""
    return [(one.parameters, one.values, one.validation) for one in record.trials if one.state != "killed"]


def test_a_sweep_starts_with_the_cards_settings_and_never_ends_worse(swept):
    found = swept(trials=5)
    record, first = found.record, found.record.trials[0]

    assert first.parameters == {
        "hyperparameters/moving_average": 25,
        "hyperparameters/individual": False,
        "training/learning_rate": 0.001,
    }
    assert len(record.trials) == 5
    assert record.trial(record.best).values == min(one.values for one in record.trials if one.values)
    assert read_record(found.folder / "sweep.json") == record
    assert "<svg" in (found.folder / "history.svg").read_text()


def test_the_value_of_a_trial_is_the_lowest_validation_loss_of_its_fit(swept):
    for trial in swept(pruner="none").record.trials:
        assert trial.values == (min(trial.validation),)
        assert len(trial.validation) == 3


def test_the_same_sweep_is_reused_and_a_longer_one_goes_on(swept, monkeypatch):
    short = swept(trials=3).record
    with monkeypatch.context() as patch:
        patch.setattr(Execution, "fit", lambda *_: pytest.fail("fitted again"))
        assert tried(swept(trials=3).record) == tried(short)
    longer = swept(trials=5).record

    assert longer.study == short.study
    assert tried(longer)[:3] == tried(short)
    assert len(longer.trials) == 5


def test_seeds_of_sampling_and_of_training_are_apart(swept):
    plain = swept(sampler="random", trials=3).record
    other_sampler = swept(sampler="random", trials=3, sampler_seed=1).record
    other_training = swept(sampler="random", trials=3, seed=1).record

    assert other_sampler.trials[0].values == plain.trials[0].values
    assert [one.parameters for one in other_sampler.trials[1:]] != [
        one.parameters for one in plain.trials[1:]
    ]
    assert [one.parameters for one in other_training.trials] == [one.parameters for one in plain.trials]
    assert other_training.trials[0].values != plain.trials[0].values


@pytest.mark.parametrize(
    ("part", "factor", "seen"), [(slice(480, None), 50, False), (slice(360, 480), 2, True)]
)
def test_the_search_cannot_see_the_test_part(
    swept, waves, wave_task, tmp_path, monkeypatch, part, factor, seen
):
    """waves-12 splits its 600 rows 60 : 20 : 20; with other values in the last 120 the search is the same to the bit."""
    task, whole, values = wave_task(missing="mask"), waves(), waves().values.copy()
    values[part] *= factor
    monkeypatch.setattr(series_data, "read_series", lambda name: whole)
    plain = swept(task, trials=4, runs=tmp_path / "plain").record
    monkeypatch.setattr(series_data, "read_series", lambda name: replace(whole, values=values))
    other = swept(task, trials=4, runs=tmp_path / "other").record

    assert {one.state for one in plain.trials} <= {"complete", "pruned"}
    # The comparison would notice: what validation holds does change the search.
    assert (tried(other) != tried(plain)) == seen
    assert (other.importances != plain.importances) == seen


def test_the_best_setting_is_refitted_and_evaluated_with_its_track_and_the_cost_of_all_trials(
    swept, monkeypatch
):
    evaluated = []
    plain = Execution.evaluate
    monkeypatch.setattr(
        Execution, "evaluate", lambda self, *given: evaluated.append(self.job.seed) or plain(self, *given)
    )
    found = swept(trials=3, seeds=2)

    assert evaluated == [0, 1]
    seconds = sum(one.cost.seconds for one in found.record.trials)
    for outcome in found.outcomes:
        result = read_result(outcome.folder)
        assert result.track.tuning == "swept(3 trials)"
        assert result.cost["sweep"].seconds == pytest.approx(seconds)
        assert result.cost["sweep"].detail["trials"] == 3
        assert result.cost["sweep"].flops == sum(one.cost.flops for one in found.record.trials)
        assert result.cost["fit"].seconds < seconds
    best = found.record.trial(found.record.best)
    assert found.outcomes[0].fit["validation_loss"] == best.values[0]
    assert [one.regular for one in found.record.refits] == [
        one.result.scores["mse"]["regular"] for one in found.outcomes
    ]


def test_a_result_of_the_same_settings_without_a_sweep_stays_what_it_was(swept, planned):
    from tsbench.jobs.run import run

    found = swept(trials=3, seeds=1)
    plan, best = planned(trials=3), found.record.trial(found.record.best)
    options = replace(plan.chosen(best.parameters), conditions=plan.options.conditions)
    (by_hand,) = run("dlinear", plan.task, options=options, conduct=Conduct(track=False), runs=plan.runs)

    assert by_hand.result.track.tuning == "custom"
    assert "sweep" not in by_hand.result.cost
    assert by_hand.result.model.weights == found.outcomes[0].result.model.weights
    assert by_hand.folder != found.outcomes[0].folder


def test_trials_that_look_bad_are_pruned_and_their_epochs_are_counted(swept):
    record = swept(trials=14, sampler="random", training={"epochs": 8}).record
    pruned = [one for one in record.trials if one.state == "pruned"]
    whole = next(one for one in record.trials if one.state == "complete" and one.same_as is None)

    assert pruned
    for trial in pruned:
        assert 1 < len(trial.validation) < 8
        assert trial.cost.detail["epochs"] == len(trial.validation)
        if trial.parameters["hyperparameters/individual"] == whole.parameters["hyperparameters/individual"]:
            assert trial.cost.flops / len(trial.validation) == pytest.approx(whole.cost.flops / 8, rel=1e-3)
        assert trial.cost.seconds > 0
    assert record.cost.detail["pruned"] == len(pruned)
    assert record.best not in [one.number for one in pruned]


def test_the_same_settings_are_never_fitted_twice(swept, monkeypatch):
    fits = []
    plain = Execution.fit
    monkeypatch.setattr(
        Execution, "fit", lambda self, *given: fits.append(self.job.key) or plain(self, *given)
    )
    space = SearchSpace(hyperparameters={"individual": Range(choices=(False, True))}, source="made")
    record = swept(trials=5, sampler="random", space=space).record

    assert len(fits) == len(set(fits)) == 2
    assert record.counted == 2
    assert [one.same_as is None for one in record.trials].count(True) == 2
    assert record.cost.attempts == 2


def test_brute_force_tries_every_combination(swept):
    space = SearchSpace(
        hyperparameters={
            "individual": Range(choices=(False, True)),
            "moving_average": Range(low=5, high=9, step=2),
        },
        source="made",
    )
    record = swept(trials=6, sampler="brute_force", pruner="none", space=space).record

    assert record.counted == 6
    assert len({json.dumps(one.parameters, sort_keys=True) for one in record.trials}) == 6


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "gp", "nsgaii", "nsgaiii"])
def test_every_sampler_searches(swept, sampler):
    record = swept(trials=2, sampler=sampler, training={"epochs": 1}).record

    assert [one.state for one in record.trials] == ["complete", "complete"]


def test_several_objectives_are_not_pruned_and_the_sweep_says_so(swept):
    said = []
    record = swept(
        trials=4, objectives=("error", "parameters"), conduct=Conduct(track=False, say=said.append)
    ).record

    assert said[0].startswith("Optuna prunes with one objective only")
    assert record.pruner == "none"
    assert {one.state for one in record.trials} == {"complete"}
    assert record.trial(record.best).values[0] == min(one.values[0] for one in record.trials)
    assert record.best in record.front


def test_the_front_is_what_nothing_is_better_than():
    values = [(1.0, 9.0), (2.0, 2.0), (3.0, 3.0), (4.0, 1.0), (2.0, 2.0), (1.0, 10.0)]
    trials = [
        TrialRecord(number=number, state="complete", parameters={}, values=pair)
        for number, pair in enumerate(values)
    ]

    assert front(trials) == (0, 1, 3)


def test_a_setting_that_fails_is_recorded_with_its_reason_and_the_sweep_goes_on(swept, monkeypatch):
    plain = Execution.fit

    def failing(self, *given):
        if self.hyperparameters.individual:
            raise MemoryError("too large")
        return plain(self, *given)

    monkeypatch.setattr(Execution, "fit", failing)
    record = swept(trials=6, sampler="random").record
    failed = [one for one in record.trials if one.state == "failed"]

    assert failed
    (reason,) = {one.reason for one in failed}
    assert re.fullmatch(r"MemoryError: too large \(test_sweep\.py, line \d+\)", reason)
    assert len(record.trials) == 6


def test_a_sweep_whose_trials_all_fail_ends(swept, monkeypatch):
    monkeypatch.setattr(Execution, "fit", lambda *_: 1 / 0)

    with pytest.raises(JobFailed, match="The first 3 trials failed; the last because ZeroDivisionError"):
        swept(trials=10)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"sampler": "tpee"}, "Unknown sampler 'tpee'"),
        (
            {"pruner": "median", "objectives": ("error", "flops")},
            "Optuna cannot prune with several objectives",
        ),
        ({"objectives": ("flops",)}, "Objectives begin with 'error'"),
        ({"objectives": ("error", "speed")}, "Unknown objective 'speed'"),
        ({"trials": 0}, "--trials must be positive"),
        ({"space": None, "training": {}}, None),
        (
            {"space": SearchSpace(hyperparameters={"width": Range(low=1, high=2)}, source="made")},
            "unknown setting 'width'",
        ),
        (
            {"space": SearchSpace(training={"epochs": Range(low=1, high=2)}, source="made")},
            "Everything in the search space is fixed",
        ),
        (
            {
                "space": SearchSpace(
                    tasks=("ett*",), training={"decay": Range(low=0.1, high=0.9)}, source="made"
                )
            },
            "The search space is for ett",
        ),
        ({"storage": "redis://somewhere"}, "there is no storage of that kind"),
        ({"storage": "sqlite://relative.db"}, "a SQLite storage is written as"),
    ],
)
def test_wrong_input_is_one_line(swept, given, reason):
    if reason is None:
        assert swept(trials=1).record.best == 0
        return
    with pytest.raises(InputError, match=reason):
        swept(**given)


def test_a_model_without_a_search_space_is_refused(waves_at_hand, wave_task):
    with pytest.raises(InputError, match="The card of last_value has no search space for waves-12; give one"):
        make_plan("last_value", wave_task(), Search())


def test_a_password_of_a_storage_is_not_repeated(planned):
    with pytest.raises(InputError) as error:
        open_study(planned(storage="mysql+nodriver://bench:hidden-word@localhost/optuna"))

    assert "hidden-word" not in str(error.value)


def test_a_study_of_other_code_data_or_settings_is_another_study(planned, monkeypatch):
    plain = planned()

    assert planned().study == plain.study
    assert planned(trials=9).study == plain.study
    assert planned(jobs=1, storage="journal:///tmp/j").study == plain.study
    assert planned(seed=1).study != plain.study
    assert planned(training={"decay": 0.7}).study != plain.study
    monkeypatch.setattr("tsbench.jobs.job.code_hash", lambda *_: "0" * 16)
    assert planned().study != plain.study


SCRIPT = """
import pickle, sys
from tsbench.jobs.run import Conduct
from tsbench.search.sweep import sweep
if __name__ == "__main__":
    plan, jobs = pickle.loads(bytes.fromhex(sys.argv[1])), int(sys.argv[2])
    sweep(plan, jobs=jobs, seeds=0, conduct=Conduct(track=False, say=lambda text: print(text, flush=True)))
"""


def start(plan: Plan, tmp_path, jobs: int = 1) -> subprocess.Popen:
    import pickle

    script = tmp_path / "run_sweep.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), pickle.dumps(plan).hex(), str(jobs)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ.copy(),
    )


def _begun(plan: Plan) -> bool:
    """Whether a trial that runs has saved an epoch."""
    running = [
        one for one in open_study(plan).trials if one.state.name == "RUNNING" and "owner" in one.user_attrs
    ]
    return any((plan.job(one.params).folder / "last.ckpt").is_file() for one in running)


def killed_after(process: subprocess.Popen, plan: Plan, lines: int) -> None:
    """Kill a sweep and its workers when it has said so many lines, in the midst of the next trial."""
    for _ in range(lines):
        assert process.stdout.readline(), "the sweep ended before it could be killed"
    while not _begun(plan):
        assert process.poll() is None, "the sweep ended before it could be killed"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("storage", [None, pytest.param("journal", marks=pytest.mark.slow)])
def test_a_killed_sweep_goes_on_and_ends_like_one_that_was_not(planned, swept, tmp_path, storage):
    chosen = {"trials": 5, "sampler": "random", "training": {"epochs": 60}}
    place = f"journal:///{tmp_path / 'killed' / 'study.log'}" if storage else None
    plan = planned(runs=tmp_path / "killed", storage=place, **chosen)
    killed_after(start(plan, tmp_path), plan, lines=2)
    before = record_of(open_study(plan), plan, "")
    assert [one.state for one in before.trials] == ["complete", "complete", "running"]

    record = sweep(plan, seeds=0, conduct=Conduct(track=False)).record
    whole = swept(runs=tmp_path / "whole", **chosen).record

    assert [one.state for one in record.trials].count("killed") == 1
    dead = next(one for one in record.trials if one.state == "killed")
    again = next(one for one in record.trials if one.retry_of == dead.number)
    assert again.parameters == dead.parameters
    for one, other in zip(tried(record), tried(whole), strict=True):
        assert one[0] == other[0]
        # In another process the last bit of a sum may differ.
        assert one[1] == pytest.approx(other[1], rel=1e-5)
        assert one[2] == pytest.approx(other[2], rel=1e-5)
    assert record.counted == whole.counted == 5


@pytest.mark.slow
def test_two_workers_share_a_study_without_trying_anything_twice(planned, tmp_path):
    plan = planned(trials=6, jobs=2, sampler="random", training={"epochs": 2})
    process = start(plan, tmp_path, jobs=2)
    out, _ = process.communicate(timeout=900)
    assert process.returncode == 0, out
    study = open_study(plan)
    record = record_of(study, plan, "")
    owners = {trial.user_attrs["owner"]["pid"] for trial in study.trials if "owner" in trial.user_attrs}

    assert record.counted == 6
    assert {one.state for one in record.trials} <= {"complete", "pruned"}
    assert len(owners) == 2
    assert len({json.dumps(one.parameters, sort_keys=True) for one in record.trials}) == 6


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them_and_the_sweep_goes_on(planned, tmp_path):
    plan = planned(trials=4, jobs=2, sampler="random", training={"epochs": 15})
    process = start(plan, tmp_path, jobs=2)
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 120
    while any(one.dead is False for one in _owners(plan)):
        assert time.monotonic() < deadline, "a worker goes on alone"
        time.sleep(0.2)
    take_over(open_study(plan), plan)

    record = sweep(plan, seeds=0, conduct=Conduct(track=False)).record

    assert record.counted == 4
    assert "running" not in {one.state for one in record.trials}


def _owners(plan):
    from tsbench.locks import Owner

    trials = open_study(plan).trials
    return [
        Owner(**one.user_attrs["owner"])
        for one in trials
        if one.state.name == "RUNNING" and "owner" in one.user_attrs
    ]


def test_an_outcome_that_was_written_before_a_kill_is_kept(planned, swept):
    """Killed after the outcome, before the state: nothing is fitted again."""
    plan = planned(trials=1)
    swept(trials=1)
    study = open_study(plan)
    done = study.trials[0]
    left = study.ask()
    left.set_user_attr("owner", {"host": done.user_attrs["owner"]["host"], "pid": 2**22 + 1, "started": 0.0})
    left.set_user_attr("outcome", done.user_attrs["outcome"])

    take_over(study, plan)

    assert study.trials[1].state.name == "COMPLETE"
    assert study.trials[1].values == done.values
