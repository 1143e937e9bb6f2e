"""Jobs from end to end: results, reuse, locks, suites, models of one's own, and death at any moment."""

import contextlib
import random
import re
import signal
import threading
import time

import pytest

import tsbench as tb
from tsbench.contracts import InputError, JobFailed, Suite
from tsbench.evaluation.record import find_results, read_table
from tsbench.jobs import execute
from tsbench.jobs.fitted import read_fit
from tsbench.jobs.job import Options, resolve
from tsbench.jobs.run import Conduct, run, run_suite
from tsbench.locks import hold

CONDUCT = Conduct(track=False)

# The example of the README, in 20 lines.
MY_MODEL = '''
import torch

import tsbench as tb


class MyModel(tb.NeuralForecaster):
    """One hidden layer over the look-back, shared by all variables."""

    def __init__(self, shape, hyperparameters=None):
        super().__init__(shape)
        self.network = torch.nn.Sequential(
            torch.nn.Linear(shape.context, 32), torch.nn.GELU(), torch.nn.Linear(32, shape.horizon)
        )

    def forward(self, batch):
        series = batch["context"].transpose(1, 2)  # (sample, channel, time)
        return self.network(series).transpose(1, 2)  # (sample, lead_time, channel)
'''
PLAIN_MODEL = '''
from tsbench.contracts import Forecast


class Climatology:
    """The mean of the training part, kept in a plain attribute."""

    fits, uses = "task", frozenset({"context"})

    def __init__(self, shape, hyperparameters=None):
        self.shape = shape

    def fit(self, source, init=None):
        train = source.data.values[: source.data.borders[0]]
        self.mean = train.mean(dim=0)

    def predict(self, batch, *, realizations=None, generator=None):
        return Forecast(self.mean.expand(len(batch["context"]), self.shape.horizon, -1))
'''


@pytest.fixture
def saying():
    """A conduct that keeps what is said: (conduct, list of lines)."""
    lines: list[str] = []
    return Conduct(track=False, say=lines.append), lines


def test_a_result_records_model_task_data_track_and_cost(waves_at_hand, wave_task, quick):
    result = tb.run("dlinear", wave_task(), seed=3, conduct=CONDUCT, **quick)

    assert (result.model.name, result.seed, result.cases) == ("dlinear", 3, 109)
    assert result.model.parameters == 2 * 12 * 49
    assert result.model.hyperparameters == {"moving_average": 25, "individual": False}
    assert result.model.training["epochs"] == 3
    assert result.task.hash == wave_task().hash
    assert set(result.task.recipe) == {"user-waves"}
    assert (result.track.context, result.track.tuning, result.track.learning) == (48, "custom", "fitted")
    (trained,) = result.trained_on
    assert (trained.start, trained.end) == ("2024-01-01T00:00:00", "2024-01-15T23:00:00")
    assert result.scores["rmse"]["regular"] ** 2 == pytest.approx(result.scores["mse"]["regular"])
    fit, predict = result.cost["fit"], result.cost["predict"]
    # 360 training rows make 301 windows: 5 steps of 64 at most; two maps, forward and backward, two channels.
    assert fit.detail["steps_per_epoch"] == 5
    assert fit.attempts == 1
    assert fit.seconds > 0
    # Two maps of 48 × 12 on two channels, 2 a multiply-add.
    assert predict.detail["flops_per_case"] == 2 * 2 * 48 * 12 * 2
    assert predict.flops == 109 * predict.detail["flops_per_case"]


def test_the_result_folder_holds_the_tables_that_the_result_sums_up(waves_at_hand, wave_task, quick):
    (outcome,) = run("dlinear", wave_task(), options=Options(**quick), conduct=CONDUCT)

    scores = read_table(outcome.folder, "scores.parquet")
    total = scores[scores["variable"].isna() & scores["lead_time"].isna() & (scores["metric"] == "mse")].iloc[
        0
    ]
    assert total.numerator / total.denominator == pytest.approx(outcome.result.scores["mse"]["regular"])
    units = read_table(outcome.folder, "units.parquet")
    assert len(units) == -(-109 // 24)
    assert units["numerator"].sum() == pytest.approx(total.numerator)
    assert find_results(waves_at_hand) == [outcome.folder]
    assert not list(waves_at_hand.rglob(".tmp-*"))
    assert not (outcome.job.folder / "lock").exists()


def test_a_baseline_has_no_parameters_no_training_and_unknown_flops(waves_at_hand, wave_task):
    result = tb.run("seasonal_naive", wave_task(), conduct=CONDUCT, threads=1)

    assert result.model.parameters == 0
    assert result.track.learning == "zero-shot"
    assert result.trained_on == ()
    assert "fit" not in result.cost
    assert result.cost["predict"].flops is None


def test_finished_work_is_reused_and_says_so(waves_at_hand, wave_task, quick, saying):
    conduct, lines = saying
    (first,) = run("dlinear", wave_task(), options=Options(**quick), conduct=conduct)
    (second,) = run("dlinear", wave_task(), options=Options(**quick), conduct=conduct)

    assert (first.reused, second.reused) == (False, True)
    assert second.result == first.result
    assert lines == [f"reused Result of dlinear on waves-12, seed 0: {first.folder}"]


def test_fresh_starts_over_and_comes_to_the_same_scores(waves_at_hand, wave_task, quick):
    first = tb.run("dlinear", wave_task(), conduct=CONDUCT, **quick)

    second = tb.run("dlinear", wave_task(), conduct=Conduct(track=False, fresh=True), **quick)

    assert second.provenance.created >= first.provenance.created
    assert (second.scores, second.model.weights) == (first.scores, first.model.weights)


def test_fit_then_evaluate_is_run(waves_at_hand, wave_task, quick):
    with pytest.raises(InputError, match="dlinear on waves-12, seed 0 is not fitted"):
        tb.evaluate("dlinear", wave_task(), conduct=CONDUCT, **quick)

    record = tb.fit("dlinear", wave_task(), conduct=CONDUCT, **quick)
    assert find_results(waves_at_hand) == []  # a fit shows validation only
    result = tb.evaluate("dlinear", wave_task(), conduct=CONDUCT, **quick)

    assert result.model.weights == record["weights"]
    fresh = tb.run("dlinear", wave_task(), conduct=Conduct(track=False, fresh=True), **quick)
    assert fresh.scores == result.scores


def test_weights_of_ones_own_are_evaluated_without_a_fit(waves_at_hand, wave_task, quick, tmp_path):
    result = tb.run("dlinear", wave_task(), conduct=CONDUCT, **quick)
    (weights,) = waves_at_hand.rglob("weights.safetensors")
    elsewhere = tmp_path / "mine.safetensors"
    elsewhere.write_bytes(weights.read_bytes())

    given = tb.evaluate("dlinear", wave_task(), conduct=CONDUCT, weights=weights, **quick)
    found = tb.evaluate("dlinear", wave_task(), conduct=CONDUCT, weights=elsewhere, **quick)

    for one in (given, found):
        assert (one.scores, one.model.weights) == (result.scores, result.model.weights)
    # Beside them lies the record of their fit; elsewhere nobody knows where they come from.
    assert (given.track, given.trained_on) == (result.track, result.trained_on)
    assert given.cost["fit"] == result.cost["fit"]
    assert found.track.learning == "unknown"
    assert [part.dataset for part in found.trained_on] == ["file:mine.safetensors"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"training": {"epoch": 3}},
            "dlinear on waves-12: training: unknown setting 'epoch'; there are loss, ",
        ),
        (
            {"hyperparameters": {"moving_average": 4}},
            "hyperparameters: moving_average must be odd and positive, not 4",
        ),
        ({"context": 97}, "waves-12@1 allows a context of at most 96, not 97"),
        ({"device": "cuda"}, "There is no CUDA device"),
    ],
)
def test_wrong_options_are_refused_and_leave_no_result(
    waves_at_hand, wave_task, monkeypatch, options, message
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    with pytest.raises(InputError, match=re.escape(message)):
        tb.run("dlinear", wave_task(), conduct=CONDUCT, threads=1, **options)
    assert [path for path in waves_at_hand.rglob("*") if path.is_file() and path.name != ".code.json"] == []


def test_a_run_without_any_scenario_is_refused_before_the_fit(waves_at_hand, wave_task, quick):
    with pytest.raises(InputError, match=r"there is no scenario to evaluate \(the task declares none for"):
        tb.run("dlinear", wave_task(), conduct=CONDUCT, conditions=("generalisation",), **quick)
    assert not list(waves_at_hand.rglob("fit.json"))


def test_a_second_process_with_the_same_job_stops_with_one_line(waves_at_hand, wave_task, quick):
    job = resolve("dlinear", wave_task(), 0, Options(**quick))

    with hold(job.folder / "lock"), pytest.raises(InputError) as caught:
        tb.run("dlinear", wave_task(), conduct=CONDUCT, **quick)

    assert re.search(r"is in use by process \d+ on .* Wait for it \(--wait\)", str(caught.value))
    assert "\n" not in str(caught.value)


def test_on_request_it_waits_instead(waves_at_hand, wave_task, quick, saying):
    _, lines = saying
    job = resolve("dlinear", wave_task(), 0, Options(**quick))
    with contextlib.ExitStack() as stack:
        stack.enter_context(hold(job.folder / "lock"))
        release = threading.Timer(0.5, stack.pop_all().close)
        release.start()
        conduct = Conduct(track=False, wait=True, say=lines.append)
        result = tb.run("dlinear", wave_task(), conduct=conduct, **quick)
        release.join()

    assert result.cases == 109
    assert len(lines) == 1
    assert lines[0].endswith("Waiting for it to finish.")


SUITE = Suite.model_validate(
    {
        "name": "waves",
        "title": "Waves",
        "summary": "For this test.",
        "tasks": ["waves-12"],
        "models": [
            {"model": "dlinear", "hyperparameters": {"moving_average": 4}},
            {"model": "tpgn", "context": 48, "training": {"epochs": 1}},
            {"model": "last_value"},
        ],
        "seeds": [0],
        "baseline": "last_value",
    }
)


def test_a_job_that_fails_stops_no_other_job_of_its_suite(waves_at_hand, monkeypatch, saying):
    conduct, lines = saying

    def out_of_memory(*arguments) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("tsbench.models.tpgn.model.TPGN.fit", out_of_memory)

    outcomes = run_suite(SUITE, conduct=conduct)

    errors = [outcome.error for outcome in outcomes]
    assert "moving_average must be odd" in errors[0]
    assert re.fullmatch(r"RuntimeError: out of memory \(test_run.py, line \d+\)", errors[1])
    assert errors[2] == ""
    assert outcomes[2].result is not None
    assert [line.split(":")[0] for line in lines] == [
        "[1/3] dlinear on waves-12, seed 0",
        "failed dlinear on waves-12, seed 0",
        "[2/3] tpgn on waves-12, seed 0",
        "failed tpgn on waves-12, seed 0",
        "[3/3] last_value on waves-12, seed 0",
    ]


def test_a_diverging_training_fails_the_job_and_leaves_no_fit(waves_at_hand, wave_task):
    training = {"learning_rate": 1e38, "epochs": 2}

    with pytest.raises(JobFailed, match=r"diverged|not finite"):
        tb.run("dlinear", wave_task(), conduct=CONDUCT, threads=1, context=48, training=training)
    assert find_results(waves_at_hand) == []


def test_a_model_of_ones_own_in_twenty_lines_runs_like_one_of_the_zoo(
    waves_at_hand, wave_task, quick, tmp_path
):
    file = tmp_path / "my_model.py"
    file.write_text(MY_MODEL)
    assert len(MY_MODEL.strip().splitlines()) <= 20

    result = tb.run(f"{file}:MyModel", wave_task(), conduct=CONDUCT, **quick)

    assert result.model.name == "my_model"
    assert result.model.parameters == 48 * 32 + 32 + 32 * 12 + 12
    last = tb.run("last_value", wave_task(), conduct=CONDUCT, threads=1)
    assert result.scores["mse"]["regular"] < last.scores["mse"]["regular"]
    file.write_text(MY_MODEL.replace("32", "16"))
    assert tb.run(f"{file}:MyModel", wave_task(), conduct=CONDUCT, **quick).model.parameters < 1000


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('batch["context"]', 'batch["past"]', "KeyError: 'past' (my_model.py, line 17)"),
        (
            "import torch",
            "import tortch",
            "ModuleNotFoundError: No module named 'tortch' (my_model.py, line 2)",
        ),
    ],
)
def test_a_mistake_in_a_model_of_ones_own_is_one_line_with_its_place(
    waves_at_hand, wave_task, quick, tmp_path, old, new, message
):
    file = tmp_path / "my_model.py"
    file.write_text(MY_MODEL.replace(old, new))

    with pytest.raises(JobFailed) as failed:
        tb.run(f"{file}:MyModel", wave_task(), conduct=CONDUCT, **quick)

    assert str(failed.value) == message
    assert failed.value.__cause__ is not None  # the whole traceback, for Python


def test_a_fitted_model_without_weights_to_save_is_fitted_again_where_it_is_needed(
    waves_at_hand, wave_task, tmp_path
):
    file = tmp_path / "climatology.py"
    file.write_text(PLAIN_MODEL)

    tb.fit(str(file), wave_task(), conduct=CONDUCT, threads=1)
    result = tb.evaluate(str(file), wave_task(), conduct=CONDUCT, threads=1)

    fresh = tb.run(str(file), wave_task(), conduct=Conduct(track=False, fresh=True), threads=1)
    assert result.scores == fresh.scores
    assert result.track.learning == "fitted"


def test_a_class_can_be_given_in_place_of_a_name(waves_at_hand, wave_task):
    from tsbench.models.window_mean.model import WindowMean

    result = tb.run(WindowMean, wave_task(), conduct=CONDUCT, context=24, threads=1)

    assert result.scores == tb.run("window_mean", wave_task(), conduct=CONDUCT, context=24, threads=1).scores


def test_a_damaged_checkpoint_is_refused_with_the_way_out(waves_at_hand, wave_task, quick):
    job = resolve("dlinear", wave_task(), 0, Options(**quick))
    job.folder.mkdir(parents=True)
    (job.folder / "last.ckpt").write_bytes(b"\x80garbage")

    with pytest.raises(InputError, match=r"The checkpoint .* is damaged .* start over with --fresh"):
        tb.run("dlinear", wave_task(), conduct=CONDUCT, **quick)

    result = tb.run("dlinear", wave_task(), conduct=Conduct(track=False, fresh=True), **quick)
    assert result.cases == 109


def test_a_run_that_was_interrupted_sums_its_attempts_and_comes_to_the_same_weights(
    waves_at_hand, wave_task, quick, monkeypatch
):
    whole = tb.run("dlinear", wave_task(), conduct=Conduct(track=False, fresh=True), **quick)
    execute.discard(resolve("dlinear", wave_task(), 0, Options(**quick)))
    noted = execute.Attempts.note

    def note_and_die(self) -> None:
        noted(self)
        if self.count == 1 and len(self.earlier) == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(execute.Attempts, "note", note_and_die)
    with pytest.raises(KeyboardInterrupt):
        tb.run("dlinear", wave_task(), conduct=CONDUCT, **quick)

    again = tb.run("dlinear", wave_task(), conduct=CONDUCT, **quick)

    assert again.cost["fit"].attempts == 2
    assert (again.model.weights, again.scores) == (whole.model.weights, whole.scores)


def test_a_reused_result_imports_no_torch(waves_at_hand, wave_task, quick, python):
    tb.run("dlinear", wave_task(), conduct=CONDUCT, **quick)

    seen = python(
        """
result = tb.run("dlinear", task, conduct=conduct, **options)
heavy = {"torch", "pytorch_lightning", "mlflow", "xarray", "zarr"}
print(json.dumps({"heavy": sorted(heavy & set(sys.modules)), "scores": result.scores}))
""",
        quick,
    )

    assert seen["heavy"] == []
    assert seen["scores"] == tb.run("dlinear", wave_task(), conduct=CONDUCT, **quick).scores


def kill_at_random_moments(python, job, options: dict, kills: int, seed: int) -> None:
    """Start a run and kill it, so many times: in turn soon after an epoch was saved, and at any moment."""
    chance = random.Random(seed)
    for kill in range(kills):
        begun, most = (job.folder / "last.ckpt", 0.5) if kill % 2 == 0 else (job.folder / "lock", 5)
        process = python("tb.run('tpgn', task, conduct=conduct, **options)", options, wait=False)
        deadline = time.monotonic() + 60
        while not begun.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, most))
        process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_at_random_moments_and_repeated_gives_the_same_bits(
    waves_at_hand, wave_task, python, kills, monkeypatch, tmp_path
):
    options = {"training": {"epochs": 15, "patience": 0, "batch_size": 16}, "threads": 1, "context": 48}
    job = resolve("tpgn", wave_task(), 0, Options(**options))

    kill_at_random_moments(python, job, options, kills, seed=kills)
    result = tb.run("tpgn", wave_task(), conduct=CONDUCT, **options)

    monkeypatch.setenv("TSBENCH_RUNS", str(tmp_path / "other"))
    whole = tb.run("tpgn", wave_task(), conduct=CONDUCT, **options)
    assert (result.scores, result.model.weights) == (whole.scores, whole.model.weights)
    assert not list(waves_at_hand.rglob(".tmp-*"))
    assert not (job.folder / "lock").exists()
    assert read_fit(job.folder)["weights"] == whole.model.weights


def test_unknown_names_are_refused_with_the_nearest(waves_at_hand):
    with pytest.raises(
        InputError, match=r"Unknown task 'waves-13'. Did you mean 'waves-12'\? See: tsbench list tasks"
    ):
        tb.run("dlinear", "waves-13", conduct=CONDUCT)
