"""Result folders: written whole or not at all, read back strictly."""

import json

import pytest

from tsbench.contracts import InputError, Result
from tsbench.contracts.result import EXAMPLE_BOUNDS, EXAMPLE_COLUMNS, SCORE_COLUMNS, UNIT_COLUMNS
from tsbench.evaluation.record import find_results, read_result, read_table, write_result

RECORD = {
    "model": {"name": "m", "version": 1, "hyperparameters": {}, "parameters": 3},
    "task": {
        "name": "t", "version": 1, "hash": "h", "dataset": "d", "recipe": {"d": "r"}, "content": {"d": "c"}
    },
    "seed": 0,
    "track": {"context": 96, "tuning": "default", "learning": "fitted"},
    "trained_on": [],
    "primary": "mse",
    "scores": {"mse": {"regular": 0.5}},
    "scenarios": {"regular": 1},
    "cases": 10,
    "cost": {},
    "provenance": {
        "created": "2026-01-01T00:00:00+00:00", "command": "tsbench run m t", "code": "x", "versions": {},
        "host": "Linux", "threads": 2
    },
}  # fmt: skip
SCORES = {name: ["a"] for name in SCORE_COLUMNS} | {
    "lead_time": [None],
    "numerator": [1.5],
    "denominator": [3.0],
}
UNITS = {name: ["a"] for name in UNIT_COLUMNS} | {"unit": [0], "numerator": [1.5], "denominator": [3.0]}


@pytest.fixture
def result() -> Result:
    return Result.model_validate(RECORD)


@pytest.fixture
def folder(tmp_path, result):
    write_result(tmp_path / "results" / "one", result, SCORES, UNITS, None)
    return tmp_path / "results" / "one"


def test_a_result_comes_back_as_it_was_written(folder, result):
    assert read_result(folder) == result
    assert read_table(folder, "scores.parquet")["numerator"].tolist() == [1.5]
    assert find_results(folder.parent) == [folder]


@pytest.mark.parametrize("bounds", [(), EXAMPLE_BOUNDS])
def test_examples_come_back_with_and_without_bounds(tmp_path, result, bounds):
    names = (*EXAMPLE_COLUMNS, *bounds)
    texts = {"scenario", "variable", "time"}
    examples = {name: ["a", "a"] if name in texts else [None, 1.5] for name in names}
    write_result(tmp_path / "one", result, SCORES, UNITS, examples)

    assert tuple(read_table(tmp_path / "one", "examples.parquet").columns) == names


def test_examples_with_one_bound_are_refused(tmp_path, result):
    columns = {name: ["a"] for name in (*EXAMPLE_COLUMNS, "lower")}

    with pytest.raises(ValueError, match="examples.parquet has the columns"):
        write_result(tmp_path / "one", result, SCORES, UNITS, columns)


def test_nothing_is_left_where_a_table_has_other_columns(tmp_path, result):
    with pytest.raises(ValueError, match=r"scores.parquet has the columns \['a'\]"):
        write_result(tmp_path / "one", result, {"a": [1]}, UNITS, None)

    assert list(tmp_path.iterdir()) == []


def test_a_record_above_64_kb_is_neither_written_nor_read(tmp_path, folder, result):
    large = result.model_copy(update={"skipped": {"scenario": "x" * 70_000}})
    with pytest.raises(ValueError, match="the limit is 65536"):
        write_result(tmp_path / "two", large, SCORES, UNITS, None)
    (folder / "result.json").write_text(large.model_dump_json())

    with pytest.raises(InputError, match="is larger than 65536 bytes"):
        read_result(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "top level"),
        (json.dumps(RECORD | {"extra": 1}), "result.json: extra: Extra inputs are not permitted"),
        (
            json.dumps({key: one for key, one in RECORD.items() if key != "seed"}),
            "result.json: seed: Field required",
        ),
        (json.dumps(RECORD | {"track": {"tuning": "much", "learning": "fitted"}}), "track.tuning"),
    ],
)
def test_a_record_that_does_not_follow_the_schema_is_refused_with_its_key(folder, text, message):
    (folder / "result.json").write_text(text)

    with pytest.raises(InputError, match=message):
        read_result(folder)


def test_a_folder_without_a_record_and_a_damaged_table_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match=r"is not a Result: it holds no result.json"):
        read_result(tmp_path)
    (folder / "units.parquet").write_bytes(b"PAR1 nothing")

    with pytest.raises(InputError, match=r"units.parquet cannot be read"):
        read_table(folder, "units.parquet")


def test_half_written_results_are_not_found(folder):
    folder.rename(folder.parent / ".tmp-one")

    assert find_results(folder.parent) == []
