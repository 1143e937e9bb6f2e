"""One owner at a time, between processes, also when owners die."""

import json
import os
import subprocess
import sys

import pytest

from tsbench.contracts import InputError
from tsbench.locks import Owner, hold, read_owner

COUNT_UP = """
import os, sys, time
from pathlib import Path
from tsbench.locks import hold

folder, times, last = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
counter = folder / "counter"
for turn in range(times):
    with hold(folder / "lock", wait=True):
        value = int(counter.read_text())
        time.sleep(0.002)
        counter.write_text(str(value + 1))
        if last == "die" and turn == times - 1:
            os._exit(9)
"""
HOLD = """
import sys, time
from pathlib import Path
from tsbench.locks import hold

with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def python(script: str, *arguments: object, **options) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], **options)


@pytest.fixture
def holder(tmp_path):
    process = python(HOLD, tmp_path / "lock", stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_lock_names_its_owner_and_is_free_afterwards(tmp_path):
    path = tmp_path / "runs" / "lock"
    with hold(path) as owner:
        assert owner.pid == os.getpid()
        assert read_owner(path) == owner
        assert set(json.loads(path.read_text())) == {"host", "pid", "started"}
    assert read_owner(path) is None
    assert list(path.parent.iterdir()) == []


def test_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(KeyError), hold(tmp_path / "lock"):
        raise KeyError
    assert not (tmp_path / "lock").exists()


def test_second_process_is_told_who_holds_the_lock(tmp_path, holder):
    with (
        pytest.raises(InputError, match=rf"in use by process {holder.pid} on .*--wait"),
        hold(tmp_path / "lock"),
    ):
        pytest.fail("two owners")


def test_dead_owner_is_replaced(tmp_path, holder):
    holder.kill()
    holder.wait()
    with hold(tmp_path / "lock") as owner:
        assert read_owner(tmp_path / "lock") == owner


def test_owner_that_was_killed_but_not_yet_reaped_is_dead(tmp_path, holder):
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
    with hold(tmp_path / "lock"):
        pass


def test_process_id_that_is_used_again_does_not_keep_a_lock(tmp_path):
    me = Owner.current()
    (tmp_path / "lock").write_text(json.dumps({"host": me.host, "pid": me.pid, "started": me.started - 3600}))
    with hold(tmp_path / "lock") as owner:
        assert owner == me


def test_owner_on_another_machine_counts_as_living(tmp_path):
    (tmp_path / "lock").write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": 0.0}))
    with (
        pytest.raises(InputError, match="process 1 on elsewhere .* if it is gone, remove lock"),
        hold(tmp_path / "lock"),
    ):
        pytest.fail("two owners")


def test_waiting_says_so_once_and_goes_on_when_the_owner_ends(tmp_path, holder):
    lines = []

    def tell(line: str) -> None:
        lines.append(line)
        holder.kill()

    with hold(tmp_path / "lock", wait=True, tell=tell):
        assert len(lines) == 1
        assert f"process {holder.pid}" in lines[0]


def test_file_that_is_no_lock_is_left_alone(tmp_path):
    (tmp_path / "lock").write_text("notes")
    with pytest.raises(InputError, match="is not a lock file"), hold(tmp_path / "lock"):
        pytest.fail("took a file of somebody else")
    assert (tmp_path / "lock").read_text() == "notes"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_read_only_folder_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="Cannot write in"), hold(tmp_path / "lock"):
            pytest.fail("wrote in a read-only folder")
    finally:
        tmp_path.chmod(0o700)


def test_processes_that_race_and_die_never_hold_the_lock_together(tmp_path):
    """Every take-over of a dead owner's lock is a race of all the others; a lost update would lower the count."""
    (tmp_path / "counter").write_text("0")
    turns, processes = 8, 6
    running = [python(COUNT_UP, tmp_path, turns, "die" if n % 2 else "end") for n in range(processes)]
    for process in running:
        assert process.wait(timeout=60) in (0, 9)
    assert int((tmp_path / "counter").read_text()) == turns * processes
