"""The tutorials do what they say: files are written, commands run, Python executed, figures compared.

A page is read from top to bottom. A line that is indented by four and starts with `tsbench` is a command; Python
blocks are executed, all of a page in one namespace; a text block shows lines that what ran since the text block before
has printed. Numbers in these may differ by a hundredth, since another processor rounds otherwise; `…` stands for what
depends on the machine.
"""

import contextlib
import io
import json
import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main

from tsbench.cli.main import app

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
PIECE = re.compile(
    r"^```(?P<language>\w+)\n(?P<block>[^`]*)^```$|^ {4}(?P<command>tsbench .*)$", re.MULTILINE
)
QUIET = {"run": ["--no-track", "--threads", "1"], "sweep": ["--no-track", "--threads", "1"]}
"""Options that change no figure of a page: tracking is tested elsewhere, and tests share the machine."""
TOLERANCE = 0.01


@pytest.fixture
def play(tmp_path, monkeypatch) -> Callable[[str], dict]:
    """Plays a tutorial in a folder of its own: `play("sweep")` gives the namespace of its Python blocks."""
    monkeypatch.chdir(tmp_path)

    def played(name: str) -> dict:
        names: dict = {"__name__": "tutorial"}
        printed = ""
        for piece in PIECE.finditer((TUTORIALS / f"{name}.md").read_text(encoding="utf-8")):
            if piece["language"] == "text":
                missing = unprinted(piece["block"], printed)
                assert not missing, f"{name}.md shows {missing}; printed was\n{printed}"
                printed = ""
            elif piece["language"] == "python":
                printed += said(lambda code=piece["block"]: exec(compile(code, name, "exec"), names))
            elif piece["command"]:
                printed += said(lambda line=piece["command"]: command(line))
        return names

    return played


@pytest.mark.slow
def test_your_own_data(play):
    play("own-data")

    assert len(Path("runs/forecasts/visitors-24.csv").read_text().splitlines()) == 25


def test_a_python_block_of_the_tutorial_on_data_has_at_most_twenty_lines():
    text = (TUTORIALS / "own-data.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)

    assert all(len(block.splitlines()) <= 20 for block in blocks)


@pytest.mark.slow
def test_reading_a_leaderboard(play):
    play("read-a-leaderboard")

    assert "tpgn" in Path("runs/board/index.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_sweep(play):
    play("sweep")


@pytest.mark.slow
def test_a_paper_s_table(play, stores, shared_data, monkeypatch):
    monkeypatch.setenv("TSBENCH_DATA_SOURCE", str(shared_data))
    stores("etth1")

    names = play("reproduce-a-table")

    # DLinear paper, table 2, Repeat on ETTh1: the page claims equality in the last digit, and a difference without.
    published = {96: 1.295, 192: 1.325, 336: 1.323, 720: 1.339}
    assert {horizon: round(error, 3) for horizon, error in names["as_published"].items()} == published
    shown = {96: 1.294, 192: 1.325, 336: 1.330, 720: 1.335}
    assert {horizon: round(error, 3) for horizon, error in names["repeat"].items()} == shown
    text = (TUTORIALS / "reproduce-a-table.md").read_text(encoding="utf-8")
    for horizon, error in published.items():
        assert f"| {horizon} | {error:.3f} | {shown[horizon]:.3f} |" in text


@pytest.mark.slow
def test_a_submission(play):
    play("submit-a-result")


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    # `!tsbench` is looked for on the path, as in a reader's environment.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    notebook = nbformat.read(TUTORIALS / "own-model.ipynb", as_version=4)
    nbformat.validate(notebook)
    resources = {"metadata": {"path": str(tmp_path)}}

    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()

    printed = "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if cell.outputs
    )
    errors = {name: float(value) for name, value in re.findall(r"^(\w+) +(\d\.\d\d)$", printed, re.MULTILINE)}
    assert set(errors) == {"seasonal_naive", "linear", "two_layers"}
    # What 20 lines are worth: better than the season repeated.
    assert errors["two_layers"] < 0.8 * errors["seasonal_naive"]


def test_the_notebook_is_kept_without_outputs_and_has_the_model_of_readme():
    cells = json.loads((TUTORIALS / "own-model.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    (shown,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)

    assert all(cell.get("outputs", []) == [] and cell.get("execution_count") is None for cell in cells)
    assert f"%%writefile my_model.py\n{shown.strip()}" in code


def test_a_page_that_shows_another_figure_is_found():
    printed = " model    mse \n ─────── \n linear   0.3814 \n tpgn     0.3951 \n"

    assert unprinted("linear 0.3814\ntpgn …\n", printed) == []
    assert unprinted("linear 0.383\n", printed) == []
    assert unprinted("linear 0.39\n", printed) == ["linear 0.39"]
    assert unprinted("tpgn 0.3951\nlinear 0.3814\n", printed) == ["linear 0.3814"]
    assert unprinted("linear\n", printed) == ["linear"]
    assert unprinted("dlinear 0.3814\n", printed) == ["dlinear 0.3814"]


def test_every_tutorial_is_played():
    played = set(re.findall(r'play\("([\w-]+)"\)', Path(__file__).read_text(encoding="utf-8")))

    assert played == {path.stem for path in TUTORIALS.glob("*.md")}


def unprinted(shown: str, printed: str) -> list[str]:
    """Lines of `shown` that were not printed, in this order."""
    rest = [line.split() for line in printed.splitlines()]
    missing = []
    for line in filter(str.strip, shown.splitlines()):
        found = next((index for index, one in enumerate(rest) if _alike(line.split(), one)), None)
        if found is None:
            missing.append(line)
        else:
            del rest[: found + 1]
    return missing


def _alike(shown: list[str], printed: list[str]) -> bool:
    if shown[-1] == "…":
        shown, printed = shown[:-1], printed[: len(shown) - 1]
    return len(shown) == len(printed) and all(map(_same, shown, printed))


def _same(shown: str, printed: str) -> bool:
    if shown == "…":
        return True
    try:
        return float(printed) == pytest.approx(float(shown), rel=TOLERANCE)
    except ValueError:
        return shown == printed


def command(line: str) -> None:
    _, *words = shlex.split(line, comments=True)
    found = [
        path for word in words for path in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
    ]
    typer.main.get_command(app).main([*found, *QUIET.get(words[0], [])], standalone_mode=False)


def said(what: Callable[[], None]) -> str:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        what()
    return out.getvalue() + err.getvalue()
