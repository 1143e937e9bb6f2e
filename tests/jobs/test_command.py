"""The command of a Result: typed again it makes the same scores, and it shows nobody's home folder."""

import contextlib
import json
import shlex
import sys

import pytest

import tsbench as tb
from tsbench.cli.main import main
from tsbench.data.user import user_task
from tsbench.jobs.command import command_of
from tsbench.jobs.job import Options, resolve
from tsbench.jobs.run import Conduct

CONDUCT = Conduct(track=False)
TWO_MODELS = """
from tsbench.contracts import Forecast


class Last:
    fits, uses = "none", frozenset({"context"})

    def __init__(self, shape, hyperparameters=None):
        self.shape = shape

    def predict(self, batch, *, realizations=None, generator=None):
        last = batch["context"][:, -1:, list(self.shape.target_index)]
        return Forecast(last.expand(-1, self.shape.horizon, -1))


class Zero(Last):
    def predict(self, batch, **options):
        return Forecast(super().predict(batch).values * 0)
"""


@pytest.fixture
def own_file(tmp_path):
    """A file with two models in a folder whose name has a space."""
    file = tmp_path / "home of somebody" / "two models.py"
    file.parent.mkdir()
    file.write_text(TWO_MODELS)
    return file


@pytest.fixture
def typed_again(monkeypatch, capsys):
    """Types a recorded command in another runs folder; gives its Result as JSON."""

    def type_(command: str, folder) -> dict:
        monkeypatch.setenv("TSBENCH_RUNS", str(folder / "again"))
        monkeypatch.chdir(folder)
        words = [*shlex.split(command), "--no-track", "--json"]
        monkeypatch.setattr(sys, "argv", words)
        capsys.readouterr()
        with contextlib.suppress(SystemExit):
            main()
        (entry,) = json.loads(capsys.readouterr().out)
        assert not entry["reused"]
        return entry["result"]

    return type_


def test_only_what_differs_from_the_card_is_named(waves_at_hand, wave_task):
    options = Options(context=48, training={"epochs": 3}, hyperparameters={"individual": True}, threads=1)

    command = command_of(resolve("dlinear", wave_task(), 2, options))

    # Values are JSON, as the command line reads them.
    assert (
        command == "tsbench run dlinear waves-12 --seed 2 --context 48 --set individual=true --train epochs=3"
    )


def test_text_that_looks_like_a_number_stays_text(waves_at_hand, wave_task):
    job = resolve("dlinear", wave_task(), 0, Options(context=48, hyperparameters={"a": "12", "b": "mean"}))

    assert shlex.split(command_of(job))[-4:] == ["--set", 'a="12"', "--set", "b=mean"]


def test_the_command_of_a_file_names_its_class_and_no_folder(waves_at_hand, wave_task, own_file, typed_again):
    result = tb.run(f"{own_file}:Zero", wave_task(), conduct=CONDUCT, context=48)

    command = result.provenance.command
    assert command == "tsbench run 'two models.py:Zero' waves-12 --seed 0 --context 48"
    assert typed_again(command, own_file.parent)["scores"] == result.scores


def test_a_file_below_the_present_folder_keeps_its_path(waves_at_hand, wave_task, own_file, monkeypatch):
    monkeypatch.chdir(own_file.parents[1])

    job = resolve("home of somebody/two models.py:Last", wave_task(), 0, Options(context=48))

    assert shlex.split(command_of(job))[2] == "home of somebody/two models.py:Last"


def test_a_path_through_folders_above_is_cut_to_the_name(waves_at_hand, wave_task, own_file, monkeypatch):
    monkeypatch.chdir(own_file.parent)

    job = resolve("../home of somebody/two models.py:Last", wave_task(), 0, Options(context=48))

    assert shlex.split(command_of(job))[2] == "two models.py:Last"


def test_the_command_of_an_own_table_names_the_file_and_its_options(tmp_path, monkeypatch, typed_again):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))
    rows = [f"2024-01-{1 + hour // 24:02d}T{hour % 24:02d}:00,{hour % 24},{hour % 7}" for hour in range(600)]
    table = tmp_path / "my load.csv"
    table.write_text("\n".join(["date,load,price", *rows]) + "\n")
    task = user_task(table, 6, period=12, targets=["load"])

    result = tb.run("seasonal_naive", task, conduct=CONDUCT, context=24)

    command = result.provenance.command
    assert str(tmp_path) not in command
    assert shlex.split(command)[2:11] == [
        "seasonal_naive", "--data", "my load.csv", "--horizon", "6", "--period", "12", "--target", "load",
    ]  # fmt: skip
    assert typed_again(command, tmp_path)["scores"] == result.scores


def test_weights_that_were_only_evaluated_are_evaluated_again(
    waves_at_hand, wave_task, quick, tmp_path, typed_again
):
    tb.fit("dlinear", wave_task(), conduct=CONDUCT, **quick)
    (fitted,) = waves_at_hand.rglob("weights.safetensors")
    weights = fitted.rename(tmp_path / "mine.safetensors")

    result = tb.evaluate("dlinear", wave_task(), conduct=CONDUCT, weights=weights, **quick)

    command = result.provenance.command
    assert command.startswith("tsbench eval dlinear waves-12 ")
    assert command.endswith("--weights mine.safetensors")
    assert typed_again(f"{command} --threads 1", tmp_path)["scores"] == result.scores
