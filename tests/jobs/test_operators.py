"""What a Result says of the operators: the choice in force, and the path that each of them took."""

import json

import pytest

import tsbench as tb
from tsbench.cli.results import _facts
from tsbench.cuda_ops import ops
from tsbench.evaluation.record import read_result
from tsbench.jobs.fitted import read_fit
from tsbench.jobs.job import Options
from tsbench.jobs.run import Conduct, run

CONDUCT = Conduct(track=False)


@pytest.mark.parametrize("choice", ["auto", "reference"])
def test_a_result_names_the_choice_and_the_path_of_each_operator(waves_at_hand, wave_task, quick, choice):
    with ops(choice):
        (outcome,) = run("tpgn", wave_task(), options=Options(**quick), conduct=CONDUCT)

    used = read_result(outcome.folder).provenance.operators
    taken = "torch" if choice == "auto" else "reference"
    assert used.choice == choice
    assert {name: used.paths[name] for name in ("pgn_gate", "pgn_history")} == {
        "pgn_gate": taken,
        "pgn_history": taken,
    }
    assert "moe_ffn" not in used.paths
    assert f"pgn_gate = {taken}" in dict(_facts(outcome.folder, outcome.result))["operators"]


def test_a_fit_of_an_earlier_process_keeps_its_paths(waves_at_hand, wave_task, quick):
    with ops("reference"):
        (fitted,) = run("tpgn", wave_task(), options=Options(**quick), conduct=CONDUCT, stage="fit")
    assert read_fit(fitted.job.folder)["operators"]["pgn_gate"] == ["reference"]

    result = tb.evaluate("tpgn", wave_task(), conduct=CONDUCT, **quick)

    assert result.provenance.operators.choice == "auto"
    assert result.provenance.operators.paths["pgn_gate"] == "reference, torch"


def test_seeds_that_are_fitted_together_record_their_paths(waves_at_hand, wave_task, quick):
    outcomes = run("tpgn", wave_task(), seeds=(0, 1), options=Options(**quick), conduct=CONDUCT)

    for outcome in outcomes:
        assert "together" in json.dumps(read_fit(outcome.job.folder))
        assert outcome.result.provenance.operators.paths["pgn_gate"] == "torch"


def test_a_result_from_before_it_was_recorded_is_read_and_shown_without(waves_at_hand, wave_task, quick):
    (outcome,) = run("dlinear", wave_task(), options=Options(**quick), conduct=CONDUCT)
    path = outcome.folder / "result.json"
    stored = json.loads(path.read_text())
    del stored["provenance"]["operators"]
    path.write_text(json.dumps(stored))

    result = read_result(outcome.folder)

    assert result.provenance.operators is None
    assert "operators" not in dict(_facts(outcome.folder, result))
