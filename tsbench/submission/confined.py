"""Runs the check of a submission in a child process with limits on memory and time, without credentials.

The child may write no file; what it says is one short JSON text. A submission that makes it die, hang or fill
its memory is refused in one line.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from tsbench.contracts import InputError, parse
from tsbench.contracts.commitment import CHALLENGE, Verified
from tsbench.contracts.strict import parse_json
from tsbench.data import prepare
from tsbench.evaluation.array_check import BYTE_LIMIT
from tsbench.jobs.limited import KEPT, limit

from .check import Checked, check, read_manifest

MINUTES, MEMORY_GB = 60.0, 8.0
LONGEST_ANSWER = 2**16
FOLDERS = ("TSBENCH_DATA",)


def check_confined(
    folder: Path,
    minutes: float = MINUTES,
    memory_gb: float = MEMORY_GB,
    challenge: str = "",
    limit: int = BYTE_LIMIT,
) -> Checked:
    """Check a submission in a child process.

    Data sets of its task that are not prepared yet are prepared here first, without limits: they are ours.

    Args:
        folder: of the submission.
        minutes: of wall time, and of the processor's.
        memory_gb: beside what the project itself takes.
        challenge: as for `check`.
        limit: as for `check`.

    Raises:
        InputError: with the first thing that is wrong, or where the child needs more than it may.
    """
    if challenge and not re.fullmatch(CHALLENGE, challenge):
        raise InputError("A challenge is a text of 8 to 64 letters, digits, '.', '_' and '-'")
    _prepare(folder)
    environment = {
        name: value for name, value in os.environ.items() if name.startswith(KEPT) or name in FOLDERS
    }
    # Threads of mathematical libraries take address space each.
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    order = {"folder": str(folder), "memory": int(memory_gb * 2**30), "seconds": int(minutes * 60) + 1}
    order |= {"challenge": challenge, "limit": limit}
    command = [sys.executable, "-B", "-c", "from tsbench.submission.confined import serve; serve()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as child:
        try:
            said, _ = child.communicate(json.dumps(order).encode(), timeout=minutes * 60)
        except subprocess.TimeoutExpired:
            raise InputError(f"{folder} cannot be checked within {minutes:g} minutes") from None
        finally:
            child.kill()
    if child.returncode != 0 or len(said) > LONGEST_ANSWER:
        raise InputError(f"{folder} cannot be checked with {memory_gb:g} GB of memory in {minutes:g} minutes")
    answer = parse_json(said, "the answer of the check")
    if "refused" in answer:
        raise InputError(answer["refused"])
    return told(answer)


def told(answer: dict[str, Any]) -> Checked:
    """What was found, from JSON."""
    verified = parse(Verified, answer["verified"], "the answer of the check")
    return Checked(**answer | {"notes": tuple(answer["notes"]), "verified": verified})


def as_json(found: Checked) -> dict[str, Any]:
    """What was found, as JSON."""
    return {one.name: getattr(found, one.name) for one in fields(found)} | {
        "verified": found.verified.model_dump()
    }


def serve() -> None:
    """What the child does."""
    order = json.loads(sys.stdin.buffer.readline() or sys.stdin.buffer.read())
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    # Nothing but the answer may go to the pipe, whatever a library prints.
    os.dup2(2, 1)
    limit(order["memory"], order["seconds"])
    try:
        answer = as_json(check(Path(order["folder"]), order["challenge"], order["limit"]))
    except InputError as error:
        answer = {"refused": str(error)[:2000]}
    answers.write(json.dumps(answer).encode())


def _prepare(folder: Path) -> None:
    """Prepare the data of the task that the manifest names."""
    from tsbench import registry

    task = registry.task(read_manifest(folder).task)
    prepare.ensure(task.dataset)
