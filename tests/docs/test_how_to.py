"""The how-tos do what they say: their files are written down and used as a reader would."""

import importlib.metadata
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import typer.main

from tsbench import registry
from tsbench.cli.main import app

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


@pytest.fixture
def river(tmp_path, monkeypatch):
    """The dataset of the how-to, installed as a package of its own."""
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").touch()
    text = (HOW_TO / "add-a-dataset.md").read_text(encoding="utf-8")
    for name, content in re.findall(r"```\w+ (\S+)\n(.*?)```", text, re.DOTALL):
        (package / name).write_text(content)
    point = importlib.metadata.EntryPoint("river", "my_package", "tsbench.datasets")
    real = importlib.metadata.entry_points
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda **chosen: [point] if chosen.get("group") == point.group else real(**chosen),
    )
    monkeypatch.syspath_prepend(tmp_path)
    registry._folders.cache_clear()
    yield tmp_path
    registry._folders.cache_clear()
    for name in [name for name in sys.modules if name.startswith("my_package")]:
        del sys.modules[name]


def test_the_dataset_of_the_how_to_runs_as_a_package_of_its_own(river, capsys):
    days = np.datetime64("2020-01-01") + np.arange(400)
    flow = 20 + 5 * np.sin(2 * np.pi * np.arange(400) / 9)
    lines = [
        f"{day},{value:.3f},{index % 5}" for index, (day, value) in enumerate(zip(days, flow, strict=True))
    ]
    (river / "river.csv").write_text("\n".join(["date,discharge,rain", *lines]))
    command = typer.main.get_command(app)

    command.main(["data", "get", "river", "--from", str(river / "river.csv")], standalone_mode=False)
    capsys.readouterr()
    command.main(
        ["run", "linear", "river-7", "--context", "30", "--no-track", "--json"], standalone_mode=False
    )

    (outcome,) = json.loads(capsys.readouterr().out)
    mase = outcome["result"]["scores"]["mase"]["regular"]
    assert mase < 0.02  # a sine is linear in its past


def test_code_of_the_package_is_part_of_the_key(river):
    from tsbench.jobs.code import code_hash

    before = code_hash(["my_package.adapter"])
    adapter = river / "my_package" / "adapter.py"
    adapter.write_text(adapter.read_text() + "\nEXTRA = 1\n")

    assert code_hash(["my_package.adapter"]) != before


def test_the_corpus_of_the_how_to_pretrains_a_model(tmp_path, capsys):
    text = (HOW_TO / "pretrain-a-model.md").read_text(encoding="utf-8")
    ((name, declaration),) = re.findall(r"```yaml (\S+)\n(.*?)```", text, re.DOTALL)
    (tmp_path / name).write_text(declaration)
    command = typer.main.get_command(app)
    options = ["--threads", "1", "--train", "epochs=1", "--json"]

    command.main(["fit", "dlinear", "--corpus", str(tmp_path / name), *options], standalone_mode=False)

    (found,) = json.loads(capsys.readouterr().out)
    assert {one["dataset"] for one in found["fit"]["stages"][0]["trained_on"]} == {
        "load_demo",
        "synthetic-series",
    }
    assert found["fit"]["validation_loss"] < 1  # better than the mean of each series
