"""A GluonTS user's data set as a task: models run on it, and its scores are those that GluonTS computes."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import typer.main
from gluonts.dataset.common import ListDataset
from gluonts.evaluation import Evaluator, make_evaluation_predictions
from gluonts.torch import SimpleFeedForwardEstimator

import tsbench as tb
from tsbench import registry
from tsbench.cli.main import app
from tsbench.contracts import InputError
from tsbench.data.task_data import TaskData
from tsbench.gluonts.sequences import sequences_of
from tsbench.jobs.run import Conduct
from tsbench.training.settings import TrainingSettings
from tsbench.training.source import TaskSource

HORIZON, CONTEXT = 6, 30


@pytest.fixture(autouse=True)
def stores_of_this_test(monkeypatch, tmp_path):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))


def series(steps: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(steps)
    return 10 + 3 * np.sin(np.arange(steps) / 24 * 2 * np.pi + seed) + 0.3 * noise


@pytest.fixture
def task():
    """The task of three series with features, one of them shorter than the look-back."""
    random = np.random.default_rng(0)
    entries = [
        {
            "item_id": f"s{number}",
            "start": pd.Period(f"2021-03-0{number + 1} 05:00", "h"),
            "target": series(steps, number),
            "feat_static_cat": np.array([number]),
            "feat_static_real": np.array([number / 2]),
            "feat_dynamic_real": random.standard_normal((2, steps)),
            "past_feat_dynamic_real": random.standard_normal((1, steps)),
        }
        for number, steps in enumerate((90, 35, 70))
    ]
    tb.prepare_gluonts(entries, "made", prediction_length=HORIZON)
    return registry.task("gluonts/made")


def test_the_task_takes_horizon_and_season_from_the_data(task):
    assert (task.name, task.dataset) == ("gluonts-made", "gluonts-made")
    assert (task.horizon, task.period, task.max_context) == (HORIZON, 24, 10000)
    assert registry.task(task.name) == task
    with pytest.raises(InputError, match="tells no prediction length"):
        registry.task(tb.prepare_gluonts([{"start": "2020-01-01", "target": [1.0]}], "none", frequency="h"))


def test_inputs_of_padded_series_with_features_are_copied(task, zoo_model):
    data = TaskData.open(task)
    model = zoo_model(data.shape(CONTEXT))
    windows = data.windows("test", CONTEXT).using("target", *model.uses)
    batch = windows.gather(torch.arange(len(windows)))

    sequences = sequences_of(batch, model.shape)
    fast, official = model.feed(sequences), model.feed.by_chain(sequences)

    assert model.feed.inputs is not None
    assert not bool(batch["observed"].all())
    for name, tensor in official.items():
        torch.testing.assert_close(fast[name].to(tensor.dtype), tensor, atol=1e-6, rtol=0)
    if "feat_static_cat" in fast and fast["feat_static_cat"].shape[1]:
        assert fast["feat_static_cat"].ravel().tolist() == [0, 1, 2]
    start = pd.Timestamp(int(batch["time"][2, -1]))
    assert start == pd.Timestamp("2021-03-03 05:00") + pd.Timedelta(hours=70 - HORIZON - 1)


def test_models_learn_from_series_of_different_length(task, zoo_model):
    data = TaskData.open(task)
    model = zoo_model(data.shape(CONTEXT))
    settings = TrainingSettings(learning_rate=0.01, batch_size=16, epochs=3, gradient_clip=10.0)

    report = model.fit(TaskSource(data, CONTEXT, 0, settings=settings, uses=model.uses))

    losses = [epoch["train_loss"] for epoch in report.detail["history"]]
    assert losses[-1] < losses[0]
    assert np.isfinite(report.validation_loss)


def test_scores_are_those_of_gluonts():
    """MASE and the weighted quantile loss of gluonts.evaluation, one window a series."""
    entries = [
        {"item_id": str(number), "start": "2021-03-01 05:00", "target": series(steps, number)}
        for number, steps in enumerate((90, 110, 70))
    ]
    listed = ListDataset(entries, freq="h")
    tb.prepare_gluonts(listed, "scored", prediction_length=HORIZON)
    estimator = SimpleFeedForwardEstimator(prediction_length=HORIZON, context_length=CONTEXT)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = estimator.create_lightning_module()
    predictor = estimator.create_predictor(estimator.create_transformation(), module)

    result = tb.run(
        tb.gluonts_model(predictor), "gluonts/scored", context=CONTEXT, conduct=Conduct(track=False)
    )

    forecasts, truth = make_evaluation_predictions(ListDataset(entries, freq="h"), predictor)
    evaluator = Evaluator(quantiles=[level / 10 for level in range(1, 10)], seasonality=24, num_workers=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        official, _ = evaluator(truth, forecasts)
    assert result.scores["mase"]["regular"] == pytest.approx(official["MASE"], rel=1e-5)
    assert result.scores["wql"]["regular"] == pytest.approx(official["mean_wQuantileLoss"], rel=1e-5)


def test_the_command_line_takes_a_folder_and_a_model(tmp_path, capsys):
    folder = tmp_path / "in"
    (folder / "train").mkdir(parents=True)
    (folder / "metadata.json").write_text('{"freq": "1H", "prediction_length": 6}')
    lines = [
        json.dumps(
            {"start": "2021-03-01 00:00:00", "target": series(steps, steps).tolist(), "item_id": str(steps)}
        )
        for steps in (80, 60)
    ]
    (folder / "train" / "data.json").write_text("\n".join(lines))
    command = typer.main.get_command(app)

    command.main(["data", "get", "gluonts/mine", "--from", str(folder)], standalone_mode=False)
    command.main(["data", "check", "gluonts/mine"], standalone_mode=False)
    capsys.readouterr()
    command.main(["info", "gluonts/mine", "--json"], standalone_mode=False)
    declared = json.loads(capsys.readouterr().out)
    command.main(["run", "seasonal_naive", "gluonts/mine", "--no-track", "--json"], standalone_mode=False)
    (outcome,) = json.loads(capsys.readouterr().out)
    command.main(
        ["data", "export", "gluonts/mine", str(tmp_path / "out"), "--layout", "arrow", "--json"],
        standalone_mode=False,
    )
    counts = json.loads(capsys.readouterr().out)

    errors = []
    for steps in (80, 60):
        values = series(steps, steps)
        scale = np.abs(values[24:-HORIZON] - values[: -24 - HORIZON]).mean()
        errors.append(np.abs(values[-HORIZON:] - values[-HORIZON - 24 : -24]).mean() / scale)
    assert outcome["result"]["scores"]["mase"]["regular"] == pytest.approx(np.mean(errors), rel=1e-6)
    assert (counts["train"], counts["test"]) == (2, 0)
    assert declared["task"]["horizon"] == 6
    assert declared["dataset"]["family"] is True
    assert (tmp_path / "out/train/data.arrow").is_file()


def test_a_task_is_exported_as_its_models_see_it(open_waves, monkeypatch):
    data = open_waves()
    monkeypatch.setattr("tsbench.data.task_data.TaskData.open", lambda task: data)

    train, test = (tb.gluonts_dataset(data.task, part) for part in ("train", "test"))

    assert [entry["item_id"] for entry in train] == list(data.targets)
    for channel, (before, after) in enumerate(zip(train, test, strict=True)):
        np.testing.assert_array_equal(before["target"], data.values[: data.borders[0], channel].numpy())
        np.testing.assert_array_equal(after["target"], data.values[: data.borders[2], channel].numpy())
        assert before["start"] == pd.Period(data.table.time[0], "h")


def test_a_task_of_many_series_is_exported_window_by_window(task, tmp_path):
    train, test = (tb.gluonts_dataset(task, part) for part in ("train", "test"))

    assert [len(entry["target"]) for entry in train] == [78, 23, 58]  # validation is one window
    assert [len(entry["target"]) for entry in test] == [90, 35, 70]
    assert train[1]["feat_dynamic_real"].shape == (2, 23)
    assert train[1]["feat_static_cat"].tolist() == [1]
    assert train[1]["start"] == pd.Period("2021-03-02 05:00", "h")


def test_a_name_that_is_both_means_the_data_set(monkeypatch):
    from tsbench.gluonts import export

    monkeypatch.setattr(export.registry, "tasks", lambda: {"m4-hourly": None, "etth1-96": None})
    monkeypatch.setattr(export, "_of_dataset", lambda name: f"data set {name}")
    monkeypatch.setattr(export, "_of_task", lambda task: f"task {task}")
    monkeypatch.setattr(export.registry, "task", lambda name: name)

    assert export._export("m4-hourly") == "data set m4-hourly"
    assert export._export("etth1-96") == "task etth1-96"
    assert export._export("gluonts/mine") == "data set gluonts/mine"


def test_tasks_of_other_kinds_are_not_exported(open_responses, monkeypatch):
    data = open_responses()
    monkeypatch.setattr("tsbench.data.task_data.TaskData.open", lambda task: data)

    with pytest.raises(InputError, match="forecasts no time series"):
        tb.gluonts_dataset(data.task)
