"""The how-to of sweeps does what it says."""

import json
import re
from pathlib import Path

import pytest
import typer.main

from tsbench.cli.main import app
from tsbench.search.plan import PRUNERS, SAMPLERS

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "sweep.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_space_of_the_how_to_is_searched(tmp_path, monkeypatch, capsys, stores):
    stores("load_demo")
    ((name, text),) = re.findall(r"```yaml (\S+)\n(.*?)```", PAGE, re.DOTALL)
    (line,) = re.findall(r"tsbench (sweep .* --space .*)", PAGE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(text)

    words = [*line.split(), "--seeds", "1", "--no-track", "--json", "--threads", "1"]
    typer.main.get_command(app).main(words, standalone_mode=False)

    found = json.loads(capsys.readouterr().out)
    assert len(found["sweep"]["trials"]) == 4
    assert found["sweep"]["fixed"]["training/epochs"] == 2


def test_every_sampler_and_pruner_is_named():
    for name in (*SAMPLERS, *PRUNERS):
        assert f"`{name}`" in PAGE
