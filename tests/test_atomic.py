"""Files and folders appear whole or not at all."""

import os
from pathlib import Path

import pytest

from tsbench import atomic
from tsbench.contracts import InputError


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_when_it_is_whole(tmp_path):
    with atomic.new_folder(tmp_path / "a" / "result") as temporary:
        (temporary / "one").write_text("1")
        assert names(tmp_path / "a") == [temporary.name]
        assert temporary.name.startswith(atomic.TEMPORARY)

    assert names(tmp_path / "a") == ["result"]
    assert (tmp_path / "a" / "result" / "one").read_text() == "1"


def test_an_older_folder_is_replaced_as_a_whole(tmp_path):
    for name in ("old", "new"):
        with atomic.new_folder(tmp_path / "result") as temporary:
            (temporary / name).write_text(name)

    assert names(tmp_path) == ["result"]
    assert names(tmp_path / "result") == ["new"]


@pytest.mark.parametrize("make", [atomic.new_folder, atomic.new_file])
def test_a_block_that_fails_leaves_what_was_there(tmp_path, make):
    target = tmp_path / "result"
    target.write_text("old") if make is atomic.new_file else target.mkdir()

    def fail() -> None:
        with make(target) as temporary:
            (temporary.write_text if make is atomic.new_file else (temporary / "x").write_text)("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()

    assert names(tmp_path) == ["result"]
    assert target.read_text() == "old" if make is atomic.new_file else names(target) == []


def test_a_file_is_replaced_and_readable_by_others(tmp_path):
    atomic.write_text(tmp_path / "file", "old")
    atomic.write_text(tmp_path / "file", "new é")

    assert (tmp_path / "file").read_text(encoding="utf-8") == "new é"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
    assert names(tmp_path) == ["file"]


def test_leftovers_of_killed_writers_are_removed_and_nothing_else(tmp_path):
    (tmp_path / f"{atomic.TEMPORARY}result-1").mkdir()
    (tmp_path / f"{atomic.TEMPORARY}result-1" / "x").write_text("")
    (tmp_path / f"{atomic.TEMPORARY}file-2").write_text("")
    (tmp_path / "kept").write_text("")

    atomic.remove_leftovers(tmp_path)

    assert names(tmp_path) == ["kept"]


@pytest.mark.parametrize("make", [atomic.new_folder, atomic.new_file])
def test_a_place_that_cannot_be_written_is_refused_in_one_line(make):
    below_a_file = Path(os.devnull) / "folder" / "x"

    with pytest.raises(InputError, match=r"^Cannot write in .*\. Choose a folder you can write\.$"):
        make(below_a_file).__enter__()
