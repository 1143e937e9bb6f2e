"""What of a Result goes to MLflow, and the limits that it keeps to."""

import re

import pytest

from tsbench.contracts import Result
from tsbench.tracking import content


@pytest.fixture
def result(record):
    return Result.model_validate(record)


def test_scores_are_metrics_by_condition_and_null_is_absent(result):
    found = content.metrics(result)
    assert found["mse/robustness"] == 0.5
    assert found["mase/regular"] == 0.875
    assert "mase/robustness" not in found


def test_cost_is_by_stage_and_what_was_not_counted_is_absent(result):
    found = content.metrics(result)
    assert found["cost/fit/seconds"] == 12.5
    assert found["cost/fit/epochs"] == 7
    assert found["cost/predict/peak_memory_bytes"] == 1048576
    assert found["cost/parameters"] == 18624
    assert not [name for name in found if "energy" in name or "flops_per_case" in name]


def test_data_sets_are_inputs_with_recipe_and_content_as_digest(result):
    first, second = content.inputs(result)
    assert first["digest"] == "1111222233334444/aaaabbbbccccdddd"
    assert (first["name"], first["use"]) == ("etth1", "training,evaluation")
    assert (second["name"], second["use"]) == ("etth2", "evaluation")


@pytest.mark.parametrize(
    "name", ["d_model", "<b>bold</b>", "a/b", "..", "", "é", "x" * 300, "a:b\n", "[red]"]
)
def test_every_name_is_one_that_mlflow_takes(name):
    cleaned = content.clean_name("hyperparameters", name)
    assert re.fullmatch(r"hyperparameters/[A-Za-z0-9_.\- ]{1,234}", cleaned)
    assert cleaned.split("/")[1].strip(".")


def test_names_that_are_changed_stay_different():
    assert len({content.clean_name("m", name) for name in ("a/b", "a:b", "a_b", "x" * 300, "x" * 301)}) == 5


def test_long_values_are_cut_and_say_so():
    cut = content.clean_value("v" * 10_000)
    assert len(cut) == 6000
    assert cut.endswith("(10000 characters; the whole is in result/result.json)")
    assert content.clean_value("v" * 6000) == "v" * 6000


def test_values_are_text_that_any_database_takes():
    assert content.clean_value({"b": [1, None], "a": "ä"}) == '{"a": "ä", "b": [1, null]}'
    assert content.clean_value("a\0b\ud800") == "a\\0b\\ud800"


def test_hash_changes_with_any_part_of_the_record(record, result):
    assert content.result_hash(Result.model_validate(record)) == content.result_hash(result)
    assert content.result_hash(Result.model_validate(record | {"cases": 1})) != content.result_hash(result)


def test_history_is_stepped_by_epoch_without_what_is_not_finite():
    epochs = [{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": float("nan"), "seconds": 0.25}]
    assert list(content.history(epochs)) == [("history/train_loss", 0.5, 1), ("history/seconds", 0.25, 2)]


def test_a_moment_that_is_not_legible_does_not_matter(record, result):
    assert content.moment(result) == 1795255200000
    record["provenance"]["created"] = "yesterday"
    assert content.moment(Result.model_validate(record)) > 0
