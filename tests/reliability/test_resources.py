"""Too little disk, memory or rights: one line that says so, nothing damaged, and the same end when repeated.

Every limit holds for the command under test alone: by resource limits, a capability or a namespace of its own.
"""

import errno
import os
import shutil
import subprocess
import sys

import pytest

SLOW = ("data get, in parts", "board build", "results log")
WRITERS = ["data get", "run", *(pytest.param(one, marks=pytest.mark.slow) for one in SLOW)]

LIMIT_FILES = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"
LIMIT_MEMORY = """
import resource
from pathlib import Path
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + {0} * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
"""
# Root would write in any folder: without this capability it obeys the mode of a file as its owner does.
OBEY_MODES = """
import ctypes
header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
libc = ctypes.CDLL(None, use_errno=True)
assert libc.capget(header, data) == 0
for index in (0, 1):
    data[index] &= ~0b110
assert libc.capset(header, data) == 0
"""
NAMESPACE = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
user, group = os.getuid(), os.getgid()
if libc.unshare(0x00020000 | (0x10000000 if user else 0)):
    raise OSError(ctypes.get_errno(), "unshare")
if user:
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
def mount(kind, target, flags, options):
    if libc.mount(kind, os.fsencode(target), kind, ctypes.c_ulong(flags), options):
        raise OSError(ctypes.get_errno(), f"mount {target}")
libc.mount(None, b"/", None, ctypes.c_ulong(0x4000 | 0x40000), None)
"""
SMALL_DISK = 'mount(b"tmpfs", {0!r}, 0, b"size={1}k")'
NO_SHARED_MEMORY = NAMESPACE + 'mount(b"tmpfs", "/dev/shm", 1, b"size=4k")'
CLOCK = """
import time
import psutil._pslinux
now, nanoseconds, boot = time.time, time.time_ns, psutil._pslinux.boot_time
time.time = lambda: now() - {0}
time.time_ns = lambda: nanoseconds() - {0} * 10**9
psutil._pslinux.boot_time = lambda: boot() - {0}
import datetime, tsbench.jobs.execute as execute
execute.created_now = lambda: datetime.datetime.fromtimestamp(time.time(), datetime.UTC).isoformat()
"""


@pytest.fixture(scope="module")
def namespaces() -> None:
    """Skips where a process may not have a mount namespace of its own."""
    done = subprocess.run(
        [sys.executable, "-c", NO_SHARED_MEMORY], capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        pytest.skip(f"no mount namespace: {done.stderr.strip().splitlines()[-1]}")


def one_line(text: str) -> str:
    """What a command says last; it must be one line for a person."""
    assert "Traceback" not in text, text
    line = text.strip().splitlines()[-1]
    assert line.startswith(("Error: ", "Failed: ", "Warning: ")), text
    return line


@pytest.fixture
def survives(trials, world):
    """Runs a command under a limit, and then without; gives how it ended under the limit."""

    def check(command: str, code: str, before=lambda root: None, after=lambda root: None):
        expected, _, _ = trials.whole(command)
        root = trials.begin(command)
        there = world.facts(root)
        before(root)
        limited = trials.warm.run(world.COMMANDS[command], world.environment(root), code=code)
        after(root)
        found = world.facts(root)
        assert world.half_written(found, there, expected) == []
        assert there.keys() - found.keys() == set()
        # A library that aborts the process leaves a dead owner's lock, which the next one takes over.
        assert limited.code < 0 or not [name for name in world.litter(root) if "lock" in name]
        again = trials.warm.run(world.COMMANDS[command], world.environment(root))
        assert again.code == 0, again.err
        assert world.difference(expected, world.facts(root)) == []
        assert world.litter(root) == []
        return limited

    return check


@pytest.mark.parametrize("kilobytes", [2, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", WRITERS)
def test_files_that_cannot_grow_are_one_line_and_nothing_is_damaged(command, kilobytes, survives):
    ended = survives(command, LIMIT_FILES.format(kilobytes * 1000))

    if ended.code:
        assert os.strerror(errno.EFBIG) in one_line(ended.err)


def test_a_full_disk_is_one_line(namespaces, trials, world):
    root = trials.begin("run")
    (root / "runs").mkdir(exist_ok=True)

    code = NAMESPACE + SMALL_DISK.format(str(root / "runs"), 16)
    ended = trials.warm.run(world.COMMANDS["run"], world.environment(root), code=code)

    assert ended.code == 1
    assert os.strerror(errno.ENOSPC) in one_line(ended.err)


@pytest.mark.parametrize("command", WRITERS)
def test_a_read_only_folder_is_one_line(command, survives):
    def mode(bits):
        def change(root):
            for name in ("data", "runs"):
                (root / name).mkdir(exist_ok=True)
                for folder in [root / name, *(root / name).iterdir()]:
                    if folder.is_dir():
                        folder.chmod(bits)

        return change

    ended = survives(command, OBEY_MODES, mode(0o500), mode(0o755))

    assert ended.code in ((0,) if command == "results log" else (1, 2))
    line = one_line(ended.err) if command != "results log" else ended.err
    assert "Cannot write in" in line or os.strerror(errno.EACCES) in line or "readonly" in line


# With 2 MB left, Zarr's event loop can meet the lack of memory and spin without end; the harness then kills the run
# after three minutes, and what it left must still be whole.
@pytest.mark.parametrize("megabytes", [40, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", [pytest.param("data get", marks=pytest.mark.slow), "run"])
def test_too_little_memory_is_one_line_and_nothing_is_damaged(command, megabytes, survives):
    ended = survives(command, LIMIT_MEMORY.format(megabytes))

    if ended.code > 0:
        assert ended.code == 1
        one_line(ended.err)


def test_a_run_needs_no_home_folder(trials, world, package):
    """A process from the start: libraries look for a home when they are imported."""
    expected, _, _ = trials.whole("run")
    root = trials.begin("run")
    nowhere = {
        "HOME": "/proc/nowhere",
        "XDG_CACHE_HOME": "",
        "XDG_CONFIG_HOME": "",
        "PYTHONPATH": str(package),
    }

    done = subprocess.run(
        [sys.executable, "-m", "tsbench.cli.main", *world.COMMANDS["run"]],
        env=os.environ | world.environment(root) | nowhere,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=root,
    )

    assert done.returncode == 0, done.stderr
    assert world.difference(expected, world.facts(root)) == []


def test_stores_without_a_home_folder_are_one_line(trials, world):
    root = trials.begin("data get")
    nowhere = {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": "", "TSBENCH_DATA": ""}

    ended = trials.warm.run(world.COMMANDS["data get"], world.environment(root) | nowhere)

    assert ended.code == 2
    assert "Cannot write in /proc/nowhere" in one_line(ended.err)


@pytest.mark.parametrize("command", ["run", pytest.param("results log", marks=pytest.mark.slow)])
def test_no_shared_memory_is_needed(command, namespaces, survives):
    assert survives(command, NO_SHARED_MEMORY).code == 0


@pytest.mark.parametrize("command", ["run", pytest.param("results log", marks=pytest.mark.slow)])
def test_a_clock_that_was_set_back_changes_nothing(command, survives):
    assert survives(command, CLOCK.format(86_400)).code == 0


def test_a_clock_that_was_set_back_takes_no_lock_from_a_living_process(tmp_path, monkeypatch):
    """A start time is reckoned from the boot time, which moves with the clock."""
    import psutil._pslinux

    from tsbench.contracts import InputError
    from tsbench.locks import hold, read_owner

    boot = psutil._pslinux.boot_time
    with hold(tmp_path / "lock") as owner:
        monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: boot() - 3600)
        with pytest.raises(InputError, match=rf"in use by process {os.getpid()} "), hold(tmp_path / "lock"):
            pytest.fail("two owners")
        assert read_owner(tmp_path / "lock") == owner
    assert not (tmp_path / "lock").exists()


STRANGE = {
    "space": "a folder",
    "non-ASCII": "Prüfung é 数据 🙂",
    "signs": "100 % #1 (a+b)&c=d",
    "long": "/".join(["x" * 200] * 10),
}


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("command", WRITERS)
def test_strange_paths_change_nothing(kind, command, trials, world, tmp_path):
    expected, _, _ = trials.whole(command)
    root = tmp_path / STRANGE[kind] / "world"
    shutil.copytree(trials.begin(command), root)

    ended = trials.warm.run(world.COMMANDS[command], world.environment(root))

    assert ended.code == 0, ended.err
    if (kind, command) == ("long", "results log"):
        # SQLite takes no path of more than 512 bytes.
        assert "unable to open database file" in one_line(ended.err.split("\n")[0])
        return
    assert world.difference(expected, world.facts(root)) == []
    assert world.litter(root) == []
