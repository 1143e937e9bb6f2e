"""What a power cut leaves: a record of every fsync says which contents and which entries of folders are on disk.

A file's content counts as on disk when it was fsynced after its last write, an entry of a folder when the folder
was fsynced while it held that entry. Nothing may get its final name before its content is on disk, and when a
command says that something is finished, its whole path must be.
"""

import json
import os
import stat
from pathlib import Path

import pytest

import tsbench as tb
from tsbench import atomic
from tsbench.contracts import InputError, Provenance, Variant
from tsbench.data import parts
from tsbench.data.adapter import BuildRequest
from tsbench.data.prepare import prepare
from tsbench.jobs.fitted import FIT, WEIGHTS
from tsbench.jobs.run import Conduct
from tsbench.locks import hold


class Disk:
    """What is on disk below a folder, by the fsyncs that were seen.

    Args:
        root: the folder; what is above it and the folder itself are taken to be on disk.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.contents: dict[int, tuple[int, int]] = {}
        self.entries: dict[int, dict[str, int]] = {}
        self.early: list[str] = []

    def synced(self, descriptor: int) -> None:
        """Note an fsync."""
        state = os.fstat(descriptor)
        if stat.S_ISDIR(state.st_mode):
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            self.entries[state.st_ino] = {one.name: one.stat().st_ino for one in path.iterdir()}
        else:
            self.contents[state.st_ino] = (state.st_size, state.st_mtime_ns)

    def named(self, source: Path, target: Path) -> None:
        """Note that something gets a name."""
        hidden = any(part.startswith(".") for part in target.relative_to(self.root).parts)
        if not hidden and (lost := self.lost_below(source)):
            self.early.append(f"{target.relative_to(self.root)}: {lost}")

    def lost_below(self, path: Path) -> list[str]:
        """Files below a path whose content, and folders whose entries, would be lost."""
        if path.is_file():
            state = path.stat()
            kept = self.contents.get(state.st_ino) == (state.st_size, state.st_mtime_ns)
            return [] if kept else [path.name]
        entries = self.entries.get(path.stat().st_ino, {})
        lost = [one.name for one in path.iterdir() if entries.get(one.name) != one.stat().st_ino]
        return lost + [name for one in path.iterdir() for name in self.lost_below(one)]

    def lost(self, path: Path) -> list[str]:
        """The same, with the entries on the way from the root to the path."""
        above = [one for one in (path, *path.parents) if one.is_relative_to(self.root) and one != self.root]
        missing = [
            f"entry {one.relative_to(self.root)}"
            for one in above
            if self.entries.get(one.parent.stat().st_ino, {}).get(one.name) != one.stat().st_ino
        ]
        return missing + self.lost_below(path)


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """Sees every fsync, rename and link of this process below the test's folder."""
    seen = Disk(tmp_path)
    fsync = os.fsync

    def watched_fsync(descriptor) -> None:
        fsync(descriptor)
        seen.synced(descriptor if isinstance(descriptor, int) else descriptor.fileno())

    monkeypatch.setattr(os, "fsync", watched_fsync)
    for name in ("rename", "replace", "link"):
        monkeypatch.setattr(os, name, naming(getattr(os, name), seen))
    monkeypatch.setattr(atomic, "exchange", naming(atomic.exchange, seen))
    return seen


def naming(original, seen):
    def call(source, target, **options):
        place = Path(target).absolute()
        if place.is_relative_to(seen.root):
            seen.named(Path(source), place)
        return original(source, target, **options)

    return call


def test_the_record_tells_what_would_be_lost(tmp_path, disk):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    assert disk.lost(tmp_path / "a" / "x") == ["entry a/x", "entry a", "x"]

    atomic.sync_path(tmp_path / "a" / "x")
    assert disk.lost(tmp_path / "a" / "x") == ["entry a"]
    atomic.sync_path(tmp_path / "a")
    assert disk.lost(tmp_path / "a") == []

    (tmp_path / "a" / "x").write_text("12")
    assert disk.lost(tmp_path / "a") == ["x"]
    (tmp_path / "a" / "x").rename(tmp_path / "a" / "y")
    assert disk.early == ["a/y: ['x']"]


@pytest.mark.parametrize("there_before", [False, True])
def test_a_new_folder_is_on_disk_with_all_folders_above_it(tmp_path, disk, there_before):
    target = tmp_path / "a" / "b" / "result"
    if there_before:
        (target / "old").mkdir(parents=True)
        atomic.sync_tree(tmp_path)

    with atomic.new_folder(target) as temporary:
        (temporary / "deep" / "er").mkdir(parents=True)
        (temporary / "deep" / "er" / "file").write_text("1")
        (temporary / "file").write_text("2")

    assert disk.lost(target) == []
    assert disk.early == []


def test_a_new_file_is_on_disk_with_all_folders_above_it(tmp_path, disk):
    for text in ("one", "two"):
        atomic.write_text(tmp_path / "a" / "b" / "file", text)
        assert disk.lost(tmp_path / "a" / "b" / "file") == []
    assert disk.early == []


def test_a_removed_folder_does_not_come_back(tmp_path, disk):
    (tmp_path / "a").mkdir()
    atomic.sync_tree(tmp_path)

    atomic.remove_folder(tmp_path / "a")

    assert "a" not in disk.entries[tmp_path.stat().st_ino]


def test_a_lock_file_is_never_empty_after_a_power_cut(tmp_path, disk):
    with hold(tmp_path / "lock"):
        assert disk.lost_below(tmp_path / "lock") == []
    assert disk.early == []


def test_fit_and_result_are_on_disk_when_the_run_ends(waves_at_hand, wave_task, tmp_path, disk):
    training = {"epochs": 2, "patience": 0}

    tb.run("dlinear", wave_task(), conduct=Conduct(track=False), threads=1, context=24, training=training)

    (result,) = waves_at_hand.glob("jobs/*/*/*/result-*")
    for path in (result, result.parent / FIT, result.parent / WEIGHTS):
        assert disk.lost(path) == []
    assert disk.early == []


def test_the_state_of_an_interrupted_fit_is_on_disk(waves_at_hand, wave_task, monkeypatch, disk):
    from tsbench.jobs import execute

    def stop(*arguments) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, "save_weights", stop)
    training = {"epochs": 2, "patience": 0}
    with pytest.raises(KeyboardInterrupt):
        tb.fit("dlinear", wave_task(), conduct=Conduct(track=False), threads=1, context=24, training=training)

    (run,) = waves_at_hand.glob("jobs/*/*/*")
    for name in ("last.ckpt", "best.safetensors", "attempts.json"):
        assert disk.lost(run / name) == []
    assert disk.early == []


def test_a_store_is_on_disk_when_it_is_prepared(tmp_path, monkeypatch, disk):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))

    for fresh in (False, True):
        path = prepare("load_demo", size="tiny", fresh=fresh)
        assert disk.lost(path) == []
    assert disk.early == []


ADAPTER = """
import numpy as np
import xarray as xr
from tsbench.contracts import InputError
from tsbench.data.adapter import Part

def parts(request):
    return [Part(name, 4) for name in "abc"]

def build_part(request, part):
    if part.name == request.parameters["wrong"]:
        raise InputError("this part is wrong")
    values = np.ones((part.rows, 3))
    return xr.Dataset({"value": (("sample", "channel"), values, {"units": "1"})}, {"channel": np.arange(3)})
"""


def test_a_part_that_counts_as_finished_is_on_disk(tmp_path, monkeypatch, disk):
    """With the documents of its arrays: else an interrupted build would go on with arrays that are gone."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "made_for_crash.py").write_text(ADAPTER)
    monkeypatch.syspath_prepend(tmp_path / "code")
    made = Provenance(
        dataset="made", adapter="made", generator_version=1, parameters={}, size="full", seed=0, files={}
    )

    def build(wrong: str) -> Path:
        request = BuildRequest("made", Variant(title="made"), parameters={"wrong": wrong})
        path = tmp_path / "made" / "full.zarr"
        parts.build_in_parts(path, "made_for_crash", request, made, False, 1, lambda line: None)
        return path

    with pytest.raises(InputError):
        build(wrong="c")
    draft = tmp_path / "made" / ".draft-full"
    assert [disk.lost_below(draft / name) for name in ("store.zarr", "done", "request.json")] == [[], [], []]
    assert disk.lost(build(wrong="")) == []
    assert disk.early == []


def test_what_a_power_cut_did_to_a_lock_of_ours_is_said_with_the_way_out(tmp_path):
    """Only file systems that lose fsynced content do this."""
    (tmp_path / "lock").write_text("")
    with pytest.raises(InputError, match="remove it if nothing is running"), hold(tmp_path / "lock"):
        pytest.fail("took a file of somebody else")


def test_a_lock_from_before_a_restart_of_the_machine_is_taken_over(tmp_path):
    from tsbench.locks import Owner

    me = Owner.current()
    before = {"host": me.host, "pid": 1, "started": me.started - 86_400}
    (tmp_path / "lock").write_text(json.dumps(before))
    with hold(tmp_path / "lock") as owner:
        assert owner == me
