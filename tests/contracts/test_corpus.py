"""A declared corpus, and the flag of Results whose weights have seen the test part."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsbench.contracts import Corpus, InputError, Result, TestedOn, TrainedOn, leakage_of, parse
from tsbench.contracts.leakage import overlap

DECLARED = {"name": "mix", "length": 12, "horizon": 4, "epoch": 8, "members": [{"dataset": "load_demo"}]}
MARCH = {"dataset": "etth1", "start": "2018-03-01T00:00:00", "end": "2018-03-31T23:00:00"}


def corpus(**changes) -> Corpus:
    return parse(Corpus, DECLARED | changes, "mix.yaml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": []}, "members"),
        ({"members": [{}]}, "either a `dataset` or a `path`"),
        ({"members": [{"dataset": "a", "path": "b"}]}, "either a `dataset` or a `path`"),
        ({"members": [{"path": "b", "end": 5}]}, "read whole"),
        ({"members": [{"dataset": "a"}, {"dataset": "a"}]}, "member a is there twice"),
        ({"members": [{"dataset": "a", "weight": 0}]}, "weight"),
        ({"horizon": 12}, "must be less than `length` 12"),
        ({"epoch": 0}, "epoch"),
        ({"holdout": 1}, "holdout"),
        ({"lenght": 3}, "lenght"),
        ({"test_data": "yes"}, "test_data"),
    ],
)
def test_a_wrong_declaration_is_one_line_that_names_the_file(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        corpus(**changes)

    assert str(caught.value).startswith("mix.yaml: ")
    assert "\n" not in str(caught.value)


def test_a_default_that_is_spelled_out_changes_no_hash():
    assert corpus(holdout=0.1, packing=True).hash == corpus().hash
    assert corpus(seed=1).hash != corpus().hash


def test_files_are_called_by_the_last_part_of_their_path():
    (member,) = corpus(members=[{"path": "sets/Time-300B/"}]).members

    assert member.name == "file:Time-300B"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({}, {}, True),
        ({"dataset": "etth2"}, {}, False),
        ({"dataset": "copy", "files": "f"}, {"files": "f"}, True),
        ({"end": "2018-02-28T23:00:00", "start": "2018-01-01T00:00:00"}, {}, False),
        ({"end": "2018-03-01T00:00:00", "start": "2018-01-01T00:00:00"}, {}, True),
        ({"variables": ("OT",)}, {"variables": ("HULL", "OT")}, True),
        ({"variables": ("OT",)}, {"variables": ("HULL",)}, False),
        ({"series": ("a",)}, {"without": ("a",)}, False),
        ({"without": ("a",)}, {"series": ("a", "b")}, True),
        ({"series": ("a",)}, {"series": ("b",)}, False),
        ({"start": "0", "end": "99"}, {"start": "100", "end": "120"}, False),
        ({"start": "0", "end": "100"}, {"start": "100", "end": "120"}, True),
        ({"start": "0", "end": "-49"}, {"start": "-48", "end": "-1"}, False),
        ({"start": "0", "end": "-48"}, {"start": "-48", "end": "-1"}, True),
        ({"start": "0", "end": "99"}, {"start": "-48", "end": "-1"}, None),
        ({"start": "split=train", "end": "split=train"}, {"start": "split=test", "end": "split=test"}, False),
        ({"start": "split=test", "end": "split=test"}, {"start": "split=test", "end": "split=test"}, True),
        ({"start": "0", "end": "-1"}, {}, None),
    ],
)
def test_ranges_overlap_in_data_series_variable_and_time(one, other, expected):
    first, second = (TrainedOn.model_validate(MARCH | changes) for changes in (one, other))

    assert overlap(first, second) is expected
    assert overlap(second, first) is expected


@given(st.lists(st.integers(0, 30), min_size=4, max_size=4), st.booleans())
def test_ranges_of_positions_overlap_as_sets_do(ends, from_the_end):
    (a, b), (c, d) = sorted(ends[:2]), sorted(ends[2:])
    shift = -31 if from_the_end else 0
    one, other = (
        TrainedOn(dataset="x", start=str(first + shift), end=str(last + shift))
        for first, last in ((a, b), (c, d))
    )

    assert overlap(one, other) == bool(set(range(a, b + 1)) & set(range(c, d + 1)))


@pytest.fixture
def flagged(make_result):
    """Leakage of a Result with these ranges."""

    def flag(trained, tested, **changes):
        ranges = [TrainedOn.model_validate(MARCH | one).model_dump() for one in trained]
        tests = [TestedOn.model_validate(MARCH | one).model_dump() for one in tested]
        return leakage_of(make_result(trained_on=ranges, tested_on=tests, **changes))

    return flag


TARGETS = {"role": "targets", "start": "2018-03-10T00:00:00"}
INPUTS = {"role": "inputs", "end": "2018-03-20T00:00:00"}


def test_training_before_the_test_part_is_free_of_leakage(flagged):
    assert flagged([{"start": "2017-01-01", "end": "2018-02-28"}], [TARGETS, INPUTS]) == "none"
    assert flagged([{"dataset": "exchange"}], [TARGETS, INPUTS]) == "none"


def test_what_test_windows_read_is_inputs_and_what_is_scored_is_targets(flagged):
    early = {"end": "2018-03-09T23:00:00"}

    assert flagged([early], [TARGETS, INPUTS]) == "inputs"
    assert flagged([early, {}], [TARGETS, INPUTS]) == "targets"
    assert flagged([{"variables": ("HULL",)}], [TARGETS | {"variables": ("OT",)}, INPUTS]) == "inputs"


def test_unknown_origin_hides_no_targets_and_is_never_none(flagged):
    files = {"dataset": "file:all", "start": "0", "end": "-1"}

    assert flagged([files], [TARGETS]) == "unknown"
    assert flagged([files, {}], [TARGETS]) == "targets"
    assert flagged([{"start": "0", "end": "5"}], [TARGETS]) == "unknown"
    assert flagged([], [TARGETS]) == "none"
    assert flagged([], [TARGETS], learning="fitted") == "unknown"


def test_the_order_of_ranges_does_not_matter(flagged):
    ranges = [{}, {"dataset": "exchange"}, {"end": "2018-03-09T23:00:00"}]

    assert {flagged(list(one), [TARGETS, INPUTS]) for one in itertools.permutations(ranges)} == {"targets"}


def test_an_older_result_is_free_where_its_fit_saw_its_task_alone(make_result):
    own = {"dataset": "etth1", "start": "a", "end": "b"}
    command = "tsbench run dlinear etth1-96 --weights mine.safetensors"

    assert leakage_of(make_result(trained_on=[own])) == "none"
    assert leakage_of(make_result(trained_on=[own | {"dataset": "other"}])) == "unknown"
    assert leakage_of(make_result(trained_on=[own], command=command)) == "unknown"
    assert leakage_of(make_result(trained_on=[], learning="unknown")) == "unknown"


@pytest.fixture
def make_result():
    """A Result on etth1-96 with some fields of its own."""

    def make(trained_on=(), tested_on=(), learning="zero-shot", command="tsbench run time_moe etth1-96"):
        return Result.model_validate(
            {
                "model": {"name": "time_moe", "version": 1, "hyperparameters": {}, "parameters": 1},
                "task": {
                    "name": "etth1-96", "version": 1, "hash": "h", "dataset": "etth1", "recipe": {}, "content": {}
                },
                "seed": 0,
                "track": {"context": 96, "tuning": "default", "learning": learning},
                "trained_on": list(trained_on),
                "tested_on": list(tested_on),
                "primary": "mse",
                "scores": {"mse": {"regular": 1.0}},
                "scenarios": {"regular": 1},
                "cases": 1,
                "cost": {},
                "provenance": {
                    "created": "2026-01-01T00:00:00+00:00", "command": command, "code": "c", "versions": {},
                    "host": "h", "threads": 1,
                },
            }
        )  # fmt: skip

    return make
