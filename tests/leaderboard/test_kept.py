"""What is kept is used again only for the same inputs, survives damage, and changes no number."""

import numpy as np
import pandas as pd
import pytest

from tsbench.contracts import InputError
from tsbench.leaderboard.collect import collect, read_pool
from tsbench.leaderboard.kept import drawn_once, forget, kept, kept_in
from tsbench.leaderboard.units import task_parts


@pytest.fixture
def calls() -> list[str]:
    return []


def counted(calls: list[str], text: str = "text"):
    def make() -> str:
        calls.append(text)
        return text

    return make


def test_the_same_inputs_are_made_once_and_others_anew(tmp_path, calls):
    table = pd.DataFrame({"a": [0.1, np.nan], "b": ["x", "y"]})
    with kept_in(tmp_path / "cache"):
        for inputs in ([table, np.arange(3)], [table.copy(), np.arange(3)], [table + table, np.arange(3)]):
            assert kept("kind", inputs, counted(calls)) == "text"
        kept("other kind", [table, np.arange(3)], counted(calls))
    assert len(calls) == 3


def test_a_digit_too_far_to_be_printed_is_another_input(tmp_path, calls):
    with kept_in(tmp_path):
        for value in (0.1, np.nextafter(0.1, 1)):
            kept("kind", [pd.DataFrame({"a": [value]})], counted(calls))
    assert len(calls) == 2


def test_nothing_is_kept_outside_the_block(tmp_path, calls):
    with kept_in(tmp_path):
        pass
    kept("kind", [], counted(calls))
    kept("kind", [], counted(calls))
    assert len(calls) == 2
    assert not list(tmp_path.rglob("*"))


def test_a_damaged_text_is_made_again(tmp_path, calls):
    with kept_in(tmp_path):
        kept("kind", [1], counted(calls, "first"))
        (path,) = (one for one in tmp_path.rglob("*") if one.is_file())
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        assert kept("kind", [1], counted(calls, "second")) == "second"
    assert calls == ["first", "second"]


def test_what_cannot_be_a_key_is_refused(tmp_path):
    with kept_in(tmp_path), pytest.raises(TypeError, match="cannot be part of a key"):
        drawn_once(str, object())


def test_a_folder_that_is_a_file_is_one_clear_line(tmp_path, calls):
    (tmp_path / "cache").write_text("mine")
    with kept_in(tmp_path / "cache"), pytest.raises(InputError, match="cannot hold the cache"):
        kept("kind", [], counted(calls))


def test_what_was_not_used_for_long_is_forgotten(tmp_path, calls):
    with kept_in(tmp_path):
        kept("kind", [], counted(calls))
        forget(tmp_path, days=1)
        kept("kind", [], counted(calls))
        assert len(calls) == 1
        forget(tmp_path, days=-1)
        kept("kind", [], counted(calls))
    assert len(calls) == 2


def test_units_from_the_cache_are_those_that_were_read(bench, tmp_path):
    folders = [bench.save("naive", task, seed) for task in bench.tasks for seed in (0, 1)]
    collection = collect(bench.suite, read_pool(folders), bench.declared)
    plain = task_parts(collection, "one-4")
    with kept_in(tmp_path / "cache"):
        for _ in range(2):
            again = task_parts(collection, "one-4")
            assert len(again) == len(plain)
            for one, other in zip(plain, again, strict=True):
                names = ("task", "clusters", "scenarios", "conditions")
                assert all(getattr(one, name) == getattr(other, name) for name in names)
                assert np.array_equal(one.numerator, other.numerator)
                assert np.array_equal(one.denominator, other.denominator, equal_nan=True)


def test_a_changed_file_changes_the_fingerprint_and_a_moved_folder_does_not(bench):
    folder = bench.save("naive", bench.tasks[0], 0)
    (before,) = read_pool([folder]).stored
    first = before.fingerprint
    moved = folder.rename(folder.with_name("elsewhere"))
    (after,) = read_pool([moved]).stored
    assert after.fingerprint == first
    (moved / "units.parquet").write_bytes((moved / "units.parquet").read_bytes() + b" ")
    (changed,) = read_pool([moved]).stored
    assert changed.fingerprint != first
