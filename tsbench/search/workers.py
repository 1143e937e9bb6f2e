"""Worker processes of a sweep: they share a study, and end with the process that started them."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from tsbench.contracts import InputError, JobFailed

from .plan import Plan

RESTARTS = 3
"""How often workers are started again after one of them was killed."""
WATCH_SECONDS = 1.0

Say = Callable[[str], None]


@dataclass
class Worker:
    """A process and the end of its pipe."""

    process: Any
    answers: Any
    done: bool = False


def work_together(plan: Plan, jobs: int, say: Say) -> None:
    """Try settings in some processes until the study has as many as the plan asks for.

    A worker that is killed from outside is replaced, and its trial tried again.

    Raises:
        InputError: where the storage cannot be used.
        JobFailed: where the first trials all fail, or workers are killed again and again.
    """
    if jobs == 1:
        from .trials import work

        work(plan, say)
        return
    from .trials import open_study

    # Made once, before the workers meet at it.
    open_study(plan)
    for _ in range(RESTARTS + 1):
        killed = _run(plan, jobs, say)
        if not killed:
            return
        say(f"{killed} of {jobs} workers were killed; their trials are tried again")
    raise JobFailed(f"Workers of the sweep were killed {RESTARTS + 1} times; run the command again to go on")


def _run(plan: Plan, jobs: int, say: Say) -> int:
    """Start workers and wait for them; returns how many were killed."""
    context = multiprocessing.get_context("spawn")
    workers = []
    for _ in range(jobs):
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_serve, args=(plan, there, os.getpid()), daemon=True)
        process.start()
        there.close()
        workers.append(Worker(process, here))
    try:
        while open_ := [one for one in workers if not one.answers.closed]:
            for ready in wait([one.answers for one in open_]):
                _read(next(one for one in open_ if one.answers is ready), say)
        for one in workers:
            one.process.join()
        return sum(not one.done for one in workers)
    finally:
        for one in workers:
            one.process.terminate()
            one.process.join()


def _read(worker: Worker, say: Say) -> None:
    """One message of a worker; a closed pipe is its end."""
    try:
        kind, text = worker.answers.recv()
    except (EOFError, OSError):
        worker.answers.close()
        return
    if kind == "line":
        say(text)
    elif kind == "done":
        worker.done = True
    else:
        raise {"InputError": InputError, "JobFailed": JobFailed}.get(kind, JobFailed)(text)


def _serve(plan: Plan, answers: Connection, parent: int) -> None:
    """What a worker does."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    from .trials import work

    try:
        work(plan, lambda text: answers.send(("line", text)))
        answers.send(("done", ""))
    except (InputError, JobFailed) as error:
        answers.send((type(error).__name__, str(error)))
    except KeyboardInterrupt:
        # Ctrl-C reaches every process of the terminal; the first one says so.
        os._exit(130)
    except Exception as error:
        answers.send(("JobFailed", f"a worker of the sweep ended with {type(error).__name__}: {error}"))


def _end_with(parent: int) -> None:
    """A worker whose parent was killed ends as if it was killed itself: its trial is taken up again."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)
