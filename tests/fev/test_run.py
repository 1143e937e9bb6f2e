"""`tsbench fev`: what it reports is what fev computes of hand-made forecasts of the same model."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import typer.main
import yaml

from tsbench.cli.main import app
from tsbench.contracts import InputError
from tsbench.fev.run import run_tasks
from tsbench.jobs.job import Options
from tsbench.jobs.run import Conduct

EVERY = [
    "MAE", "MSE", "RMSE", "MASE", "RMSSE", "WAPE", "MAPE", "SMAPE", "RMSLE", "MAEB", "WAPEB", "MQL", "WQL", "SQL",
]  # fmt: skip
LEVELS = [0.1, 0.5, 0.8]
SEASON = 6
BASE = {
    "horizon": 8,
    "seasonality": SEASON,
    "eval_metric": "MASE",
    "extra_metrics": [one for one in EVERY if one != "MASE"],
    "quantile_levels": LEVELS,
}
QUIETLY = Conduct(track=False)


def seasonal_naive(path, number=0):
    """fev's own summary of the last season, repeated, of float32 values as models see them."""
    import fev

    import datasets

    fields = yaml.safe_load(path.read_text())["tasks"][number]
    task = fev.Task(**fields | {"dataset_path": str(path.parent / fields["dataset_path"])})
    phase = np.arange(task.horizon) % task.seasonality
    predictions = []
    for window in task.iter_windows(num_proc=1):
        past, _ = window.get_input_data()
        tables = {}
        for column in task.target_columns:
            seasons = [np.float32(values)[-task.seasonality :] for values in past[column]]
            # Of a series that is shorter than a season the mean stands for it.
            full = [
                one if len(one) == task.seasonality else np.full(task.seasonality, one.mean(), np.float32)
                for one in seasons
            ]
            point = [one[phase].astype(float) for one in full]
            keys = ["predictions", *map(str, task.quantile_levels)]
            tables[column] = datasets.Dataset.from_dict(dict.fromkeys(keys, point))
        predictions.append(datasets.DatasetDict(tables))
    return task.evaluation_summary(predictions, model_name="seasonal_naive")


def run(path, model="seasonal_naive", **options):
    return run_tasks(model, path, options=Options(threads=1, **options), conduct=QUIETLY)


@pytest.mark.parametrize(
    ("definition", "lengths"),
    [
        ({}, (60, 41, 33)),
        ({"num_windows": 2}, (60, 41, 33)),
        ({"num_windows": 3, "window_step_size": 5}, (60, 14, 24, 33)),
        ({"num_windows": 2, "target": ["target", "other"]}, (60, 41)),
        ({"num_windows": 2, "initial_cutoff": "2024-02-29T00:00"}, (80, 70)),
        ({"num_windows": 2, "max_context_length": 20}, (60, 41)),
        ({"num_windows": 2, "quantile_levels": [0.2, 0.9]}, (60, 41)),
        ({"num_windows": 2, "known_dynamic_columns": ["price"], "static_columns": ["kind"]}, (60, 41)),
    ],
)
def test_the_summary_is_that_of_fev_for_hand_made_forecasts(task_file, rows, definition, lengths):
    path = task_file({**BASE, **definition}, data=rows(lengths))
    expected = seasonal_naive(path)

    (found,) = run(path)

    assert found.summary["test_error"] == pytest.approx(expected["test_error"], rel=1e-6)
    for name in (*EVERY, "num_forecasts"):
        assert found.summary[name] == pytest.approx(expected[name], rel=1e-6)
    own = ("dataset_path", "inference_time_s", "training_time_s", "test_error", "num_forecasts", *EVERY)
    same = [key for key in expected if key not in own]
    assert {key: found.summary[key] for key in same} == {key: expected[key] for key in same}
    assert found.summary["dataset_path"] == "data/made.parquet"


@pytest.mark.parametrize("target", ["target", ["target", "other"]])
def test_the_scores_of_a_single_window_are_those_of_the_result(task_file, rows, target):
    made = rows()
    made[1]["target"][35] = None  # one that is scored

    (found,) = run(task_file({**BASE, "target": target}, data=made))

    for name in EVERY:
        assert found.pooled[name] == pytest.approx(found.summary[name], rel=1e-6)
    assert found.different == []


def test_of_several_windows_ratios_differ_and_are_named(task_file, rows):
    (found,) = run(task_file({**BASE, "num_windows": 2}, data=rows((60, 60))))

    assert {"WAPE", "WQL", "RMSE"} <= set(found.different)
    assert not {"MAE", "MSE", "MQL", "SMAPE"} & set(found.different)


def test_probabilistic_forecasts_are_scored_at_the_levels_of_the_task(task_file):
    (found,) = run(
        task_file({**BASE, "eval_metric": "WQL", "extra_metrics": ["MAE"]}), "seasonal_naive_intervals"
    )

    assert found.outcome.result.forecast_kind == "quantiles"
    assert found.summary["WQL"] == pytest.approx(found.pooled["WQL"], rel=1e-6)
    assert found.summary["WQL"] != pytest.approx(found.summary["MAE"], rel=1e-2)


def test_a_model_that_is_fitted_says_so(task_file, rows):
    (found,) = run(
        task_file({"horizon": 4}, data=rows((120, 120))), "dlinear", context=24, training={"epochs": 1}
    )

    assert found.summary["trained_on_this_dataset"] is True
    assert found.summary["training_time_s"] > 0
    assert np.isfinite(found.summary["test_error"])


def tsbench(*words):
    typer.main.get_command(app).main([str(one) for one in words], standalone_mode=False)


def test_the_command_writes_fevs_table_and_says_what_differs(task_file, tmp_path, capsys):
    path = task_file({**BASE, "num_windows": 2}, {"horizon": 3, "task_name": "short", "target": "other"})

    tsbench(
        "fev", "seasonal_naive", path, "--threads", 1, "--no-track", "--out", tmp_path / "out" / "results.csv"
    )

    table = pd.read_csv(tmp_path / "out" / "results.csv")
    assert table["task_name"].tolist() == ["made", "short"]
    assert table["test_error"].tolist() == pytest.approx(
        [seasonal_naive(path, number)["test_error"] for number in (0, 1)], rel=1e-6
    )
    assert table["dataset_path"].tolist() == ["data/made.parquet"] * 2
    told = capsys.readouterr()
    assert "fev/made" in told.out
    assert "WAPE" in told.err
    assert "fev takes the mean of the windows' values, a Result pools the windows" in told.err
    assert max(map(len, told.out.splitlines())) <= 80


def test_the_table_is_read_as_any_table_of_fev(task_file, tmp_path):
    from tsbench.leaderboard.interchange import read_table

    tsbench(
        "fev", "last_value", task_file(BASE), "--no-track", "--out", tmp_path / "results.csv", "--threads", 1
    )

    (row,) = read_table(tmp_path / "results.csv", "fev")
    assert row.model == "last_value"
    assert row.scores["mase"] > 0


def test_finished_work_is_reused(task_file, capsys):
    path = task_file(BASE)
    tsbench("fev", "last_value", path, "--no-track", "--json", "--threads", 1)
    (first,) = json.loads(capsys.readouterr().out)
    tsbench("fev", "last_value", path, "--no-track", "--json", "--threads", 1)
    (second,) = json.loads(capsys.readouterr().out)

    assert not first["reused"]
    assert second["reused"]
    assert first["summary"] == second["summary"]


def test_wrong_input_is_told_before_any_task_runs(task_file, tmp_path):
    path = task_file(BASE, {"horizon": 70, "task_name": "long"})

    with pytest.raises(InputError, match="'fev-long': no series has min_context_length"):
        run(path)
    with pytest.raises(InputError, match="Unknown model 'seasonal_navie'"):
        run(task_file(BASE), "seasonal_navie")
    with pytest.raises(InputError, match="There is no file"):
        run(tmp_path / "nothing.yaml")
    assert not (tmp_path / "runs" / "jobs").exists()


def test_a_task_that_fails_stops_no_other(task_file):
    path = task_file({"horizon": 4, "seasonality": 30}, {"horizon": 4, "task_name": "other"})

    failed, other = run(path, context=20)  # less than a season of the first

    assert "context of at least the period 30" in failed.error
    assert failed.summary == {}
    assert other.summary["test_error"] > 0


def test_data_that_go_away_after_a_run_are_told(task_file, tmp_path):
    path = task_file(BASE)
    run(path)
    shutil.rmtree(tmp_path / "data")

    with pytest.raises(InputError, match="there is no file .*made.parquet"):
        run(path)
