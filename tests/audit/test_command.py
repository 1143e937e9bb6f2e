"""`tsbench audit`: a table or JSON, and an exit code for each outcome."""

import json
import sys

import pytest

PEEKING = """
from tsbench.contracts import Forecast

class Peeking:
    fits = "none"
    uses = frozenset({"context", "target"})

    def __init__(self, shape, hyperparameters=None):
        pass

    def predict(self, batch, *, realizations=None, generator=None):
        return Forecast(batch["target"].clone())
"""


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs the command in this process; gives exit code, standard output and standard error."""
    from tsbench.cli.main import main

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["tsbench", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return run


def test_a_task_that_passes_is_shown_in_80_columns(command, waves_at_hand):
    code, out, error = command("audit", "waves-12", "--model", "last_value")

    assert code == 0, error
    assert out.count("passed") == 9
    assert max(map(len, out.splitlines())) <= 80
    assert "FAILED" not in out


def test_a_model_that_peeks_fails_the_audit(command, waves_at_hand, tmp_path):
    (tmp_path / "peeking.py").write_text(PEEKING)

    code, out, error = command("audit", "waves-12", "--model", tmp_path / "peeking.py")

    assert code == 1
    assert out.count("FAILED") == 1
    assert error.splitlines()[0].startswith("future: peeking, scenario regular, case 0: the forecast changes")
    assert error.splitlines()[-1] == "Failed: 1 of 9 checks of waves-12@1 failed: future"


def test_json_tells_what_each_check_found(command, waves_at_hand):
    code, out, _ = command("audit", "waves-12", "--model", "last_value", "--json")
    told = json.loads(out)

    assert code == 0
    assert told["task"] == "waves-12@1"
    assert told["models"] == ["last_value"]
    assert told["passed"] is True
    assert [finding["passed"] for finding in told["findings"]] == [True] * 9
    assert told["findings"][2]["compared"].endswith("look-back 96: user-waves 253 + 109 + 109")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["etth1-97"], "Unknown task 'etth1-97'. Did you mean"),
        (["waves-12", "--model", "last_valu"], "Unknown model 'last_valu'. Did you mean 'last_value'?"),
        (["waves-12", "--model", "ar"], "ar does not apply to waves-12: It works on the response"),
    ],
)
def test_wrong_input_is_refused_in_one_line(command, waves_at_hand, words, message):
    code, out, error = command("audit", *words)

    assert code == 2
    assert out == ""
    assert error.startswith(f"Error: {message}")
    assert error.count("\n") == 1


def test_results_do_not_depend_on_the_audit():
    """An import from the closure of a job would make every checked-in Result stale."""
    from tsbench.jobs.code import ROOTS, modules_of

    assert not [name for name in modules_of(ROOTS) if name.startswith("tsbench.audit")]
