"""`tsbench forecast`: what follows a file, chosen on earlier windows and reported on later ones."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tsbench.cli.main import app
from tsbench.contracts import InputError
from tsbench.data.steps import following
from tsbench.forecasting import compare
from tsbench.forecasting.compare import clear_winner, judge
from tsbench.forecasting.forecast import COMPARED, compared, forecast_file

ROWS, HORIZON = 1800, 12


@pytest.fixture
def waves_file(tmp_path, stores_root):
    """A file of two variables with a daily season and little noise."""
    hours = np.arange(ROWS)
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "time": pd.date_range("2026-01-01", periods=ROWS, freq="h"),
            "=sum(a)": (5 + np.sin(2 * np.pi * hours / 24) + 0.02 * random.standard_normal(ROWS)).round(4),
            "load": (100 + 30 * np.cos(2 * np.pi * hours / 24) + random.standard_normal(ROWS)).round(4),
        }
    )
    path = tmp_path / "waves file.csv"
    frame.to_csv(path, index=False)
    return path


def call(*words: str):
    return CliRunner().invoke(app, ["forecast", *map(str, words)])


def test_the_forecast_continues_the_season_in_the_units_of_the_file(waves_file, tmp_path):
    made = forecast_file(waves_file, HORIZON, tmp_path / "out")
    later = np.arange(ROWS, ROWS + HORIZON)
    truth = np.stack([5 + np.sin(2 * np.pi * later / 24), 100 + 30 * np.cos(2 * np.pi * later / 24)], axis=1)

    assert made.model == "linear"
    assert np.abs(made.values - truth).max(axis=0) == pytest.approx([0, 0], abs=2)
    assert np.abs(made.values - truth)[:, 0].max() < 0.1
    assert made.time[0] == np.datetime64("2026-03-17T00")
    (low, high), (lower, higher) = made.bounds[0.8], made.bounds[0.95]
    assert (lower <= low).all()
    assert (low < made.values).all()
    assert (high <= higher).all()


def test_intervals_cover_later_windows_about_as_often_as_they_say(waves_file, tmp_path):
    made = forecast_file(waves_file, HORIZON, tmp_path / "out")

    assert made.coverage[0.8] == pytest.approx(0.8, abs=0.08)
    assert made.coverage[0.95] == pytest.approx(0.95, abs=0.05)


def test_the_file_has_a_row_a_stamp_and_variable_and_no_formula(waves_file, tmp_path):
    made = forecast_file(waves_file, HORIZON, tmp_path / "out", levels=(0.9,))
    rows = list(csv.DictReader(made.table.read_text().splitlines()))

    assert made.table.name == "waves-file-12.csv"
    assert list(rows[0]) == ["time", "variable", "forecast", "lower_90", "upper_90"]
    assert len(rows) == 2 * HORIZON
    assert {row["variable"] for row in rows} == {"'=sum(a)", "load"}
    assert float(rows[1]["forecast"]) == pytest.approx(made.values[0, 1], rel=1e-5)
    assert made.picture.read_text().startswith("<svg")


def test_some_variables_can_be_chosen(waves_file, tmp_path):
    made = forecast_file(waves_file, HORIZON, tmp_path / "out", targets=["load"], models=("seasonal_naive",))

    assert made.variables == ("load",)
    expected = pd.read_csv(waves_file)["load"].to_numpy()[-24:-12]
    assert made.values[:, 0] == pytest.approx(expected, rel=1e-5)


def test_the_best_of_several_is_taken_and_the_comparison_is_printed(waves_file, tmp_path):
    result = call(
        waves_file, "--horizon", HORIZON, "--model", "last_value", "--model", "linear", "--out", tmp_path
    )

    assert result.exit_code == 0, result.output
    assert "Mean absolute error over the seasonal naive one's" in result.stdout
    assert "linear is better than the others" in result.stderr
    assert "Made by linear, context 96" in result.stderr
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_json_holds_everything(waves_file, tmp_path):
    words = (
        waves_file,
        "--horizon",
        HORIZON,
        "--model",
        "seasonal_naive",
        "--level",
        "50",
        "--json",
        "--out",
        tmp_path,
    )
    record = json.loads(call(*words).stdout)

    assert (record["model"], len(record["forecast"]), list(record["intervals"])) == (
        "seasonal_naive",
        HORIZON,
        ["50"],
    )


def made_model(name: str, validation: float, test: np.ndarray) -> SimpleNamespace:
    """A model whose errors are given, in units of its scale of 1."""
    import torch

    task = SimpleNamespace(unit_windows=4)
    data = SimpleNamespace(task=task, seasonal_error=torch.ones(1, dtype=torch.float64))
    errors = {"validation": np.full((8, 1, 1), validation), "test": test[:, None, None]}
    return SimpleNamespace(name=name, context=1, data=data, errors=errors.__getitem__)


def test_the_choice_looks_at_validation_and_the_report_at_test():
    test = np.random.default_rng(0).uniform(1, 2, 80)
    judged = judge([made_model("late", 2.0, test - 0.5), made_model("early", 1.0, test)])

    assert [one.name for one in judged] == ["early", "late"]
    assert judged[1].high == pytest.approx(-0.5)
    assert not clear_winner(judged)


@pytest.mark.parametrize(("gap", "clear"), [(0.5, True), (0.0, False)])
def test_a_winner_is_clear_where_the_paired_interval_leaves_out_zero(gap, clear):
    random = np.random.default_rng(1)
    first, second = random.uniform(1, 2, (2, 80))
    judged = judge([made_model("one", 1.0, first), made_model("two", 1.1, second + gap)])

    assert clear_winner(judged) is clear


def test_few_blocks_give_no_interval_and_no_clear_winner():
    judged = judge([made_model("one", 1.0, np.ones(20)), made_model("two", 2.0, np.full(20, 9.0))])

    assert judged[1].low is None
    assert not clear_winner(judged)


def test_the_bootstrap_is_the_same_every_time():
    one, two = (
        made_model(name, 1.0, np.random.default_rng(seed).uniform(1, 2, 80)) for seed, name in enumerate("ab")
    )

    assert judge([one, two]) == judge([one, two])
    assert compare.SEED == 123


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--horizon", "700"), "too short"),
        (("--horizon", "12", "--model", "linaer"), "Unknown model 'linaer'. Did you mean 'linear'?"),
        (("--horizon", "12", "--level", "150"), "--level is a percentage between 0 and 100, not 150"),
        (("--horizon", "12", "--target", "heat"), "has no variable 'heat'; it has =sum(a), load"),
        (("--horizon", "12", "--model", "pad"), "pad does not apply to user-waves-file-12-forecast"),
    ],
)
def test_wrong_input_is_one_line_and_writes_no_forecast(waves_file, tmp_path, words, message):
    result = call(waves_file, *words, "--out", tmp_path / "out")

    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_stamps_go_on_by_the_step_also_over_the_ends_of_months():
    hours = np.array(["2026-01-31T22", "2026-01-31T23"], dtype="datetime64[ns]")
    months = np.array(["2025-11-30", "2025-12-31", "2026-01-31"], dtype="datetime64[ns]")

    assert (
        following(hours, "PT1H", 2).tolist()
        == np.array(["2026-02-01T00", "2026-02-01T01"], dtype="datetime64[ns]").tolist()
    )
    assert following(months, "P1M", 2).astype("datetime64[D]").astype(str).tolist() == [
        "2026-02-28",
        "2026-03-31",
    ]
    assert following(np.array([4, 5, 6]), None, 3).tolist() == [7, 8, 9]


def test_what_is_compared_by_default_leaves_out_models_whose_package_is_missing(monkeypatch):
    assert compared() == COMPARED

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert compared() == tuple(name for name in COMPARED if name != "lightgbm_lags")
