"""Builds a store part by part, in several processes; taken up again where an earlier run was interrupted.

Processes are started as a module of their own rather than forked or spawned by multiprocessing: a script of
the user's is not imported again, no lock is inherited, and a process ends by itself when its input closes,
that is, whenever this one is gone, in whatever way.
"""

import importlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tsbench.contracts import InputError, JobFailed, Provenance, Variant

from .adapter import BuildRequest, Part
from .draft import Draft
from .validation import validate

TELL_SECONDS = 5.0
"""From one line of progress to the next."""
SPARE_SPACE = 1.05


def build_in_parts(
    path: Path,
    adapter: str,
    request: BuildRequest,
    provenance: Provenance,
    fresh: bool,
    processes: int | None,
    tell: Callable[[str], None],
) -> Provenance:
    """Build a store from the parts of an adapter. Call it only while holding the lock.

    Args:
        path: the store to create; an older one is replaced.
        adapter: name of the module with the functions `parts` and `build_part`.
        request: what is to be built.
        provenance: how; the content hash is filled in.
        fresh: throw away what an interrupted run has left.
        processes: None for one a core; with 1 everything is built in this process.
        tell: is given lines of progress.

    Returns:
        The provenance with the content hash.

    Raises:
        InputError: where the adapter refuses, or there is not enough space.
        JobFailed: where a process dies.
    """
    parts = importlib.import_module(adapter).parts(request)
    draft = Draft.take_up(path, provenance.recipe, parts, fresh)
    pending = draft.pending()
    if 0 < len(pending) < len(parts):
        tell(
            f"{request.name}: {len(parts) - len(pending)} of {len(parts)} parts are there from an earlier run"
        )
    if pending:
        count = min(processes or len(os.sched_getaffinity(0)), len(pending))
        with _builders(count, adapter, request, draft) as builders:
            progress = Progress(request.name, draft.parts, pending, tell)
            if pending[0] == 0:
                # The first part makes the arrays that the others write into.
                builders[0](0)
                progress.finished(0)
                _require_space(draft, path)
            _build_all(builders, deque(number for number in pending if number != 0), progress)
    return draft.publish(path, provenance)


def build_one(adapter: str, request: BuildRequest, draft: Draft, number: int) -> None:
    """Build, check and write one part in this process."""
    dataset = importlib.import_module(adapter).build_part(request, draft.parts[number])
    validate(dataset, request.name, request.variant)
    draft.write(number, dataset)


class Progress:
    """Tells how many parts are finished and about how long the rest takes, every few seconds."""

    def __init__(
        self, name: str, parts: tuple[Part, ...], pending: list[int], tell: Callable[[str], None]
    ) -> None:
        self._name, self._parts, self._tell = name, parts, tell
        self._rows_left = sum(parts[number].rows for number in pending)
        self._rows_done, self._parts_done = 0, len(parts) - len(pending)
        self._began = self._told = time.monotonic()
        self._lock = threading.Lock()

    def finished(self, number: int) -> None:
        """Count a part."""
        with self._lock:
            self._rows_done += self._parts[number].rows
            self._rows_left -= self._parts[number].rows
            self._parts_done += 1
            now = time.monotonic()
            if now - self._told < TELL_SECONDS and self._rows_left:
                return
            self._told, passed = now, now - self._began
            left = passed / self._rows_done * self._rows_left
            self._tell(
                f"{self._name}: {self._parts_done} of {len(self._parts)} parts, {clock(passed)} passed, "
                f"about {clock(left)} left"
            )


def clock(seconds: float) -> str:
    """Seconds as `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


Builder = Callable[[int], None]
"""Builds the part of that number."""


@contextmanager
def _builders(count: int, adapter: str, request: BuildRequest, draft: Draft) -> Iterator[list[Builder]]:
    if count == 1:
        yield [lambda number: build_one(adapter, request, draft, number)]
        return
    children = [_Child(adapter, request, draft) for _ in range(count)]
    try:
        yield [child.build for child in children]
    except BaseException:
        for child in children:
            child.process.terminate()
        raise
    finally:
        for child in children:
            child.close()


def _build_all(builders: list[Builder], numbers: deque[int], progress: Progress) -> None:
    """Every builder takes the next number until there is none; the first failure stops all."""

    def work(builder: Builder) -> None:
        while True:
            try:
                number = numbers.popleft()
            except IndexError:
                return
            builder(number)
            progress.finished(number)

    if len(builders) == 1:
        work(builders[0])
        return
    pool = ThreadPoolExecutor(len(builders))
    try:
        tasks = [pool.submit(work, builder) for builder in builders]
        done, _ = wait(tasks, return_when=FIRST_EXCEPTION)
        for task in done:
            task.result()
    except BaseException:
        numbers.clear()
        raise
    finally:
        pool.shutdown(wait=False)


class _Child:
    """A process that builds parts: a line with a number goes in, a line of JSON comes out."""

    def __init__(self, adapter: str, request: BuildRequest, draft: Draft) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            # Ctrl-C goes to this process, which ends the others.
            start_new_session=True,
        )
        self._name = request.name
        self._say(_order(adapter, request, draft))

    def build(self, number: int) -> None:
        self._say(number)
        assert self.process.stdout is not None
        reply = self.process.stdout.readline()
        if not reply:
            raise JobFailed(
                f"A process that builds '{self._name}' ended with code {self.process.wait()} (too little "
                "memory?). Finished parts are kept: run the same command again, perhaps with --processes 1"
            )
        answer = json.loads(reply)
        if "wrong" in answer:
            raise InputError(answer["wrong"])
        if "failed" in answer:
            raise JobFailed(f"'{self._name}': {answer['failed']}")

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def _say(self, message: Any) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it is gone: the missing answer tells


def _order(adapter: str, request: BuildRequest, draft: Draft) -> dict[str, Any]:
    """What a process has to know, as JSON."""
    return {
        "path": sys.path,
        "adapter": adapter,
        "request": asdict(request)
        | {
            "variant": request.variant.model_dump(mode="json"),
            "files": {name: str(file) for name, file in request.files.items()},
        },
        "folder": str(draft.folder),
        "parts": [[part.name, part.rows] for part in draft.parts],
    }


def serve() -> None:
    """Build the parts that are asked for on standard input, until it closes."""
    # Whatever a library prints must not be taken for an answer.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        order = json.loads(sys.stdin.readline())
        sys.path[:] = order["path"]
        given = order["request"]
        request = BuildRequest(
            **given
            | {
                "variant": Variant.model_validate_json(json.dumps(given["variant"])),
                "files": {name: Path(file) for name, file in given["files"].items()},
            }
        )
        draft = Draft(Path(order["folder"]), tuple(Part(name, rows) for name, rows in order["parts"]))
        for line in sys.stdin:
            answers.write(json.dumps(_answer(order["adapter"], request, draft, int(line))) + "\n")
            answers.flush()


def _answer(adapter: str, request: BuildRequest, draft: Draft, number: int) -> dict[str, Any]:
    try:
        build_one(adapter, request, draft, number)
    except InputError as error:
        return {"wrong": str(error)}
    except Exception as error:  # the other process raises it again
        return {"failed": f"{type(error).__name__}: {error}"}
    return {"done": number}


def _require_space(draft: Draft, target: Path) -> None:
    """Refuse at once what would fill the disk later.

    Raises:
        InputError: with the space that is needed and the space that is free.
    """
    rows = sum(part.rows for part in draft.parts)
    needed = draft.bytes_on_disk() / draft.parts[0].rows * (rows - draft.parts[0].rows) * SPARE_SPACE
    free = shutil.disk_usage(draft.folder).free
    if needed > free:
        raise InputError(
            f"{target.parent} needs {needed / 1e9:.1f} GB more, {free / 1e9:.1f} GB are free. Choose another "
            "folder with TSBENCH_DATA"
        )


if __name__ == "__main__":
    serve()
