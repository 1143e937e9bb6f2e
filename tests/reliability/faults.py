"""Runs commands in processes that are forked from one that has imported everything, and kills them on request.

A command that starts within milliseconds can be killed hundreds of times. A point is a place where the command
changes what others see of a folder: a rename, a link, a removal, a line in the ledger, a commit of SQLite. The
child process counts its points and sends itself a signal before or after one of them, so that the product
itself carries no hooks. What must hold afterwards is said in `world.py`.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 180
SIGNALS = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM, "INT": signal.SIGINT}
FORGOTTEN = [
    (re.compile(r"(\.tmp-.+)-[a-z0-9_]{8}(?=/|$)"), r"\1-*"),
    (re.compile(r"\.lock-[a-z0-9_]{8}$"), ".lock-*"),
    (re.compile(r"[0-9a-z]+\.[0-9a-f]{32}\.partial$"), "*.partial"),
    (re.compile(r"(result|seed-\d+)-[0-9a-f]{8,16}(?=-|/|$)"), r"\1-*"),
    (re.compile(r"^\d+$"), "number"),
]
"""What differs between two runs of the same command is no part of a point's name."""


@dataclass(frozen=True)
class Kill:
    """When a command is killed, and how.

    Attributes:
        signal: KILL, TERM or INT.
        point: name of the point; None for a moment.
        when: `before` or `after` the point.
        seconds: after the start, where there is no point.
    """

    signal: str = "KILL"
    point: str | None = None
    when: str = "before"
    seconds: float = 0.0


@dataclass
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code; negative for a signal.
        out, err: what it printed.
        points: names of the points that it came by, in order.
        seconds: that it took.
    """

    code: int
    out: str
    err: str
    points: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Warm:
    """A process that has imported everything and forks commands.

    Args:
        environment: variables on top of this process's.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        # A session of its own: Ctrl-C at the terminal is for the tests, not for what they kill.
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
            start_new_session=True,
        )
        self.calls = 0

    def __enter__(self) -> "Warm":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def run(
        self, arguments: list[str], environment: dict[str, str], kill: Kill | None = None, code: str = ""
    ) -> Ended:
        """Run `tsbench ARGUMENTS`; `code` is executed in the child before."""
        return self.together([(arguments, environment)], kill, code)[0]

    def together(
        self, commands: list[tuple[list[str], dict[str, str]]], kill: Kill | None = None, code: str = ""
    ) -> list[Ended]:
        """Run commands at the same time, each in a process of its own."""
        orders = [
            {"arguments": arguments, "environment": one, "kill": asdict(kill) if kill else None, "code": code}
            for arguments, one in commands
        ]
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(orders) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process that forks commands ended with code {self.process.wait()}")
        return [Ended(**one) for one in json.loads(answer)]


def serve() -> None:
    """Import what commands import, then fork one for each order on standard input."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import pytorch_lightning  # noqa: F401
    import sqlalchemy.engine.default  # noqa: F401
    import torch
    import xarray  # noqa: F401
    import zarr  # noqa: F401

    import tsbench.cli.main
    import tsbench.jobs.execute
    import tsbench.leaderboard.site.build  # noqa: F401
    from tsbench.jobs import code

    torch.set_num_threads(1)
    # Each command has a folder of runs of its own, without the digests of the code that an earlier one left.
    code.syntax = cache(code.syntax)
    code.code_hash([*code.roots(), "tsbench.models.dlinear.model"])
    for line in sys.stdin:
        with tempfile.TemporaryDirectory() as folder:
            running = [
                _fork(order, Path(folder) / str(number)) for number, order in enumerate(json.loads(line))
            ]
            ended = [_wait(*one) for one in running]
        answers.write(json.dumps([asdict(one) for one in ended]) + "\n")
        answers.flush()


def _fork(order: dict[str, Any], place: Path) -> tuple[int, Path, float, threading.Timer | None]:
    place.mkdir()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        _be_the_command(order, place)
    kill = order["kill"]
    timer = None
    if kill and kill["point"] is None:
        timer = threading.Timer(kill["seconds"], _signal, [child, SIGNALS[kill["signal"]]])
        timer.start()
    return child, place, start, timer


def _signal(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def _wait(child: int, place: Path, start: float, timer: threading.Timer | None) -> Ended:
    overdue = threading.Timer(TIMEOUT_SECONDS, _signal, [child, signal.SIGKILL])
    overdue.start()
    _, status = os.waitpid(child, 0)
    for one in (overdue, timer):
        if one is not None:
            one.cancel()
            one.join()
    points = place / "points"
    return Ended(
        os.waitstatus_to_exitcode(status),
        (place / "out").read_text(encoding="utf-8", errors="replace"),
        (place / "err").read_text(encoding="utf-8", errors="replace"),
        points.read_text().splitlines() if points.exists() else [],
        time.monotonic() - start,
    )


def _be_the_command(order: dict[str, Any], place: Path) -> None:
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
        os.environ.update(order["environment"])
        os.chdir(order["environment"].get("PWD", "/"))
        exec(order["code"], {"__name__": "__fault__"})
        kill = Kill(**order["kill"]) if order["kill"] else Kill()
        watch(Path(order["environment"]["TSBENCH_RUNS"]).parent, place / "points", kill)
        sys.argv = ["tsbench", *order["arguments"]]
        from tsbench.cli.main import main

        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def watch(root: Path, log: Path, kill: Kill) -> None:
    """Note every point below `root`, in this process from now on, and die at the one that `kill` names."""
    import sqlalchemy.engine.default

    from tsbench import atomic

    counts: dict[str, int] = {}
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    write = os.write

    @contextlib.contextmanager
    def point(name: str) -> Iterator[None]:
        counts[name] = counts.get(name, 0) + 1
        numbered = name if counts[name] == 1 else f"{name} #{counts[name]}"
        write(descriptor, f"{numbered}\n".encode())
        if kill.point == numbered and kill.when == "before":
            os.kill(os.getpid(), SIGNALS[kill.signal])
        yield
        if kill.point == numbered and kill.when == "after":
            os.kill(os.getpid(), SIGNALS[kill.signal])

    def watched(original: Callable[..., Any], verb: str, target: int) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            path = _place(arguments[target], options.get("dir_fd"))
            if path is None or not path.is_relative_to(root):
                return original(*arguments, **options)
            with point(f"{verb} {_name(path, root)}"):
                return original(*arguments, **options)

        return call

    for name, target in (("rename", 1), ("replace", 1), ("link", 1), ("unlink", 0), ("rmdir", 0)):
        setattr(os, name, watched(getattr(os, name), name, target))
    os.write = watched(write, "append", 0)
    atomic.exchange = watched(atomic.exchange, "exchange", 1)
    commit = sqlalchemy.engine.default.DefaultDialect.do_commit

    def do_commit(self: Any, connection: Any) -> None:
        with point("commit database"):
            commit(self, connection)

    sqlalchemy.engine.default.DefaultDialect.do_commit = do_commit


def _place(given: Any, folder: int | None) -> Path | None:
    if isinstance(given, int):
        given = f"/proc/self/fd/{given}"
        path = Path(given)
        return path.readlink() if path.is_symlink() else None
    path = Path(os.fsdecode(given))
    if folder is not None and not path.is_absolute():
        path = Path(f"/proc/self/fd/{folder}").readlink() / path
    return path.absolute()


def _name(path: Path, root: Path) -> str:
    """The last two parts of a path below `root`, without what differs from run to run."""
    parts = list(path.relative_to(root).parts[-2:])
    for index, part in enumerate(parts):
        for pattern, stand_in in FORGOTTEN:
            part = pattern.sub(stand_in, part)
        parts[index] = part
    return "/".join(parts)


if __name__ == "__main__":
    serve()
