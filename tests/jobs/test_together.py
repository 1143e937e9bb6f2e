"""`--seeds N` of a small model: fitted together, recorded as fits one by one are, taken up after a kill."""

import random
import signal
import time

import pytest
import torch
from safetensors.torch import load_file

from tsbench.contracts import InputError, JobFailed
from tsbench.jobs import execute, together
from tsbench.jobs.fitted import LAST, TOGETHER, read_fit
from tsbench.jobs.job import Options, resolve
from tsbench.jobs.run import Conduct, run
from tsbench.locks import hold

SEEDS = (0, 1, 2)


@pytest.fixture
def go(wave_task, quick):
    """Runs seeds of dlinear: `go(seeds, model=..., stage=..., **conduct)` gives outcomes and what was said."""

    def start(seeds=SEEDS, model="dlinear", stage="run", training=None, **chosen):
        lines: list[str] = []
        options = quick | {"training": quick["training"] | (training or {})}
        outcomes = run(
            model,
            wave_task(),
            seeds=seeds,
            options=Options(**options),
            conduct=Conduct(track=False, say=lines.append, **chosen),
            stage=stage,
        )
        return outcomes, lines

    return start


def weights_of(outcome) -> dict[str, torch.Tensor]:
    return load_file(outcome.job.folder / "weights.safetensors")


def test_seeds_are_fitted_together_and_recorded_as_they_are_one_by_one(waves_at_hand, go):
    stacked, lines = go()
    kept = {outcome.job.seed: (weights_of(outcome), outcome.result) for outcome in stacked}
    alone, said = go(fresh=True, one_by_one=True)

    assert lines == ["fitted 3 seeds of dlinear on waves-12 together"]
    assert said == []
    assert [outcome.reused for outcome in stacked] == [False] * 3
    for outcome in alone:
        weights, result = kept[outcome.job.seed]
        for name, one in weights_of(outcome).items():
            torch.testing.assert_close(weights[name], one, atol=1e-5, rtol=0)
        assert result.scores["mse"]["regular"] == pytest.approx(
            outcome.result.scores["mse"]["regular"], rel=1e-5
        )
        assert result.provenance.command == outcome.result.provenance.command
        assert result.trained_on == outcome.result.trained_on
        fit, other = result.cost["fit"], outcome.result.cost["fit"]
        assert (fit.flops, fit.attempts) == (other.flops, other.attempts)
        assert fit.detail == other.detail | {"together": 3}


def test_the_cost_of_the_loop_is_shared_out_by_epochs(waves_at_hand, go):
    start = time.perf_counter()
    outcomes, _ = go(stage="fit", training={"epochs": 30, "patience": 2, "learning_rate": 0.05})
    whole = time.perf_counter() - start

    costs = [outcome.fit["cost"] for outcome in outcomes]
    by_epoch = [cost["seconds"] / cost["detail"]["epochs"] for cost in costs]
    assert by_epoch == pytest.approx([by_epoch[0]] * 3)
    assert len({cost["detail"]["epochs"] for cost in costs}) > 1
    assert 0 < sum(cost["seconds"] for cost in costs) < whole


def test_a_fit_is_found_again_and_evaluated(waves_at_hand, go):
    fitted, lines = go(stage="fit")
    assert not any(outcome.reused for outcome in fitted)
    assert lines == ["fitted 3 seeds of dlinear on waves-12 together"]

    again, lines = go(stage="fit")
    evaluated, _ = go(stage="eval")

    assert [line.split(":")[0] for line in lines] == [
        f"reused fit of dlinear on waves-12, seed {seed}" for seed in SEEDS
    ]
    for outcome, other in zip(evaluated, again, strict=True):
        assert outcome.result.model.weights == other.fit["weights"]
    done, lines = go()
    assert all(outcome.reused for outcome in done)
    assert len(lines) == 3


def test_seeds_that_are_finished_are_left_out(waves_at_hand, go):
    (first,), _ = go(seeds=(1,))
    outcomes, lines = go()

    assert lines[0] == "fitted 2 seeds of dlinear on waves-12 together"
    assert [outcome.reused for outcome in outcomes] == [False, True, False]
    assert outcomes[1].result == first.result


@pytest.mark.parametrize(("model", "stage"), [("dlinear", "fit"), ("tpgn", "run")])
def test_nothing_but_the_finished_work_stays(waves_at_hand, go, model, stage):
    outcomes, _ = go(model=model, stage=stage)

    for outcome in outcomes:
        names = {path.name for path in outcome.job.folder.iterdir() if not path.name.startswith("result")}
        assert names == {"fit.json", "weights.safetensors"}


def test_a_model_that_does_not_allow_it_is_fitted_one_by_one(waves_at_hand, go):
    outcomes, lines = go(model="residual_mlp", seeds=(0, 1), training={"epochs": 1})

    assert lines == []
    assert ["together" in outcome.result.cost["fit"].detail for outcome in outcomes] == [False, False]


def test_a_fit_that_was_begun_by_itself_goes_on_by_itself(waves_at_hand, go, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("tsbench.training.checkpoint.EpochCheckpoint.note", _dying_in_epoch(2))
        with pytest.raises(KeyboardInterrupt):
            go(seeds=(1,))
    outcomes, lines = go()

    assert lines[0] == "fitted 2 seeds of dlinear on waves-12 together"
    assert outcomes[1].result.cost["fit"].attempts == 2


def _dying_in_epoch(number: int):
    from tsbench.training.checkpoint import EpochCheckpoint

    whole = EpochCheckpoint.note

    def note(self, epoch, model) -> None:
        if epoch["epoch"] == number:
            raise KeyboardInterrupt
        whole(self, epoch, model)

    return note


@pytest.mark.parametrize("asked", [SEEDS, (1, 2), (0, 1, 2, 3)])
def test_an_interrupted_stack_is_taken_up_again(waves_at_hand, go, monkeypatch, asked):
    whole = {outcome.job.seed: weights_of(outcome) for outcome in go(seeds=range(4), stage="fit")[0]}
    for outcome in go(seeds=range(4), stage="fit")[0]:
        execute.discard(outcome.job)
    with monkeypatch.context() as patch:
        patch.setattr("tsbench.training.checkpoint.EpochCheckpoint.note", _dying_in_epoch(3))
        with pytest.raises(KeyboardInterrupt):
            go(stage="fit")
    assert len(list(waves_at_hand.rglob(TOGETHER))) == 1
    assert not list(waves_at_hand.rglob(LAST))

    outcomes, _ = go(seeds=asked, stage="fit")

    for outcome in outcomes:
        for name, one in weights_of(outcome).items():
            torch.testing.assert_close(one, whole[outcome.job.seed][name], atol=1e-5, rtol=0)
    if asked == SEEDS:
        assert {outcome.fit["cost"]["attempts"] for outcome in outcomes} == {2}
        assert not list(waves_at_hand.rglob(TOGETHER))


def test_a_stack_that_died_while_it_was_recorded_is_recorded_to_the_end(waves_at_hand, go, monkeypatch):
    recorded = execute.write_fit

    def die_at_the_second(folder, record) -> None:
        if "seed-1-" in folder.name:
            raise KeyboardInterrupt
        recorded(folder, record)

    with monkeypatch.context() as patch:
        patch.setattr(execute, "write_fit", die_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            go()
    epochs = []
    monkeypatch.setattr(together.Attempts, "note", lambda self: epochs.append(1))

    outcomes, lines = go()

    assert epochs == []
    assert lines == ["fitted 2 seeds of dlinear on waves-12 together"]
    assert [outcome.reused for outcome in outcomes] == [False] * 3
    assert not list(waves_at_hand.rglob(TOGETHER))


def test_a_seed_that_another_process_works_on_stops_the_run_with_one_line(
    waves_at_hand, wave_task, quick, go
):
    job = resolve("dlinear", wave_task(), 1, Options(**quick))

    with hold(job.folder / "lock"), pytest.raises(InputError, match=r"is in use by process \d+") as caught:
        go()

    assert "\n" not in str(caught.value)
    assert not list(waves_at_hand.rglob("fit.json"))


def test_a_training_that_diverges_fails_with_the_same_line_as_by_itself(waves_at_hand, go):
    with pytest.raises(JobFailed, match="Training diverged: the validation loss is"):
        go(training={"learning_rate": 1e38, "epochs": 2})
    assert not list(waves_at_hand.rglob("fit.json"))


def test_a_mistake_in_a_stackable_model_is_one_line(waves_at_hand, go, tmp_path):
    file = tmp_path / "branching.py"
    file.write_text(BRANCHING)

    with pytest.raises(JobFailed, match=r"vmap.*branching.py, line 15"):
        go(model=str(file))
    outcomes, _ = go(model=str(file), one_by_one=True)
    assert all(outcome.result for outcome in outcomes)


BRANCHING = """
import torch

import tsbench as tb


class Branching(tb.NeuralForecaster):
    stackable = True

    def __init__(self, shape, hyperparameters=None):
        super().__init__(shape)
        self.map = torch.nn.Linear(shape.context, shape.horizon)

    def forward(self, batch):
        scale = 2 if batch["context"].mean().item() > 0 else 1
        return self.map(scale * batch["context"].transpose(1, 2)).transpose(1, 2)
"""


@pytest.mark.parametrize("kills", [2, pytest.param(8, marks=pytest.mark.slow)])
def test_a_stack_that_is_killed_at_random_moments_and_repeated_gives_the_same_bits(
    waves_at_hand, wave_task, python, kills, monkeypatch, tmp_path
):
    options = {"training": {"epochs": 15, "patience": 0, "batch_size": 16}, "threads": 1, "context": 48}
    jobs = [resolve("tpgn", wave_task(), seed, Options(**options)) for seed in SEEDS]
    chance = random.Random(kills)
    text = "from tsbench.jobs.job import Options\nfrom tsbench.jobs.run import run\n"
    text += "run('tpgn', task, seeds=(0, 1, 2), options=Options(**options), conduct=conduct)"
    for _ in range(kills):
        process = python(text, options, wait=False)
        deadline = time.monotonic() + 60
        while (
            not (jobs[0].folder / TOGETHER).exists()
            and process.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()

    conduct = Conduct(track=False)
    found = run("tpgn", wave_task(), seeds=SEEDS, options=Options(**options), conduct=conduct)
    monkeypatch.setenv("TSBENCH_RUNS", str(tmp_path / "other"))
    whole = run("tpgn", wave_task(), seeds=SEEDS, options=Options(**options), conduct=conduct)

    for outcome, other in zip(found, whole, strict=True):
        assert outcome.result.scores == other.result.scores
        assert read_fit(outcome.job.folder)["weights"] == other.result.model.weights
        assert outcome.result.cost["fit"].detail["together"] == len(SEEDS)
    assert not list(waves_at_hand.rglob("lock"))
    assert not list(waves_at_hand.rglob(".tmp-*"))
