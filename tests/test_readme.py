"""README: its example runs as it stands there, and its commands and links exist."""

import re
from pathlib import Path

import pytest
import typer.main

from tsbench.cli.main import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_model_in_twenty_lines_runs_as_readme_shows_it(tmp_path, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    written = [line for line in code.splitlines() if line.strip()]
    (tmp_path / "my_model.py").write_text(code)
    (command,) = re.findall(r"tsbench (run my_model\.py:TwoLayers .*)", README)
    words = (
        command.replace("my_model.py", str(tmp_path / "my_model.py")).replace("--seeds 3", "--seed 0").split()
    )

    typer.main.get_command(app).main([*words, "--train", "epochs=1", "--json"], standalone_mode=False)

    assert len(written) <= 20
    printed = capsys.readouterr().out
    assert '"width": 128' in printed
    assert '"name": "two_layers"' in printed


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_a_link_of_readme_leads_somewhere(link):
    assert (ROOT / link).exists()


def test_every_command_that_readme_names_exists():
    known = typer.main.get_command(app).commands
    named = set(re.findall(r"^    tsbench (\w+)", README, re.MULTILINE))

    assert named >= {"list", "data", "fit", "eval", "run", "board", "score", "doctor"}
    assert named <= set(known)
