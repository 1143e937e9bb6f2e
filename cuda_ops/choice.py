"""Which path of an operator runs: the reference, torch operations, or a CUDA kernel.

The environment variable TSBENCH_OPS chooses for the process, `with ops("reference"):` for a block. A context
variable holds the latter, so that threads and tasks do not see each other's choice. `with recorded():` notes
which paths were taken.
"""

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import torch

from tsbench.contracts import InputError

Choice = Literal["reference", "auto", "cuda"]
Path = Literal["reference", "torch", "cuda"]
VARIABLE = "TSBENCH_OPS"
CHOICES: tuple[Choice, ...] = ("reference", "auto", "cuda")

_in_block: ContextVar[Choice | None] = ContextVar("tsbench_ops", default=None)
_recording: ContextVar[dict[str, set[Path]] | None] = ContextVar("tsbench_ops_recording", default=None)
_warning = threading.Lock()
_warned = False


@contextmanager
def ops(choice: Choice) -> Iterator[None]:
    """Within, operators take the path that `choice` allows.

    Args:
        choice: `reference`: plain torch everywhere; `auto`: the CUDA kernel for CUDA tensors where it can be
            built, torch operations otherwise; `cuda`: the CUDA kernel, an error where that is not possible.

    Raises:
        InputError: on any other word.
    """
    token = _in_block.set(_checked(choice, "ops(…)"))
    try:
        yield
    finally:
        _in_block.reset(token)


def chosen() -> Choice:
    """The choice in force: of the innermost block, else of TSBENCH_OPS, else `auto`.

    Raises:
        InputError: where TSBENCH_OPS holds another word.
    """
    return _in_block.get() or _checked(os.environ.get(VARIABLE) or "auto", VARIABLE)


@contextmanager
def recorded() -> Iterator[dict[str, set[Path]]]:
    """Within, note which paths are taken: operator → paths, of the operators that were called."""
    found: dict[str, set[Path]] = {}
    token = _recording.set(found)
    try:
        yield found
    finally:
        _recording.reset(token)


def note(operator: str, taken: Path) -> Path:
    """Record that a call of an operator takes a path, which is given back."""
    found = _recording.get()
    if found is not None:
        found.setdefault(operator, set()).add(taken)
    return taken


def path(operator: str, device: torch.device, obstacle: Callable[[torch.device], str | None]) -> Path:
    """The path that an operator takes for tensors on `device`.

    Args:
        operator: its name, for messages.
        device: of the operator's tensors.
        obstacle: says why the CUDA kernel cannot run on a CUDA device, or None where it can. It is asked for
            CUDA devices only, and may build the kernel to find out.

    Returns:
        `reference`, `torch` (torch operations, on any device) or `cuda`.

    Raises:
        InputError: where the choice is `cuda` and the kernel cannot run.
    """
    return note(operator, _path(operator, device, obstacle))


def _path(operator: str, device: torch.device, obstacle: Callable[[torch.device], str | None]) -> Path:
    choice = chosen()
    if choice == "reference":
        return "reference"
    if device.type != "cuda":
        if choice == "cuda":
            raise InputError(
                f"{operator} got tensors on {device}, but {VARIABLE}=cuda asks for the CUDA kernel: "
                "move them to a CUDA device, or choose auto"
            )
        return "torch"
    reason = obstacle(device)
    if reason is None:
        return "cuda"
    if choice == "cuda":
        raise InputError(f"The CUDA kernel of {operator} cannot run: {reason}")
    _warn_once(f"{operator} runs in torch operations, without its CUDA kernel: {reason}")
    return "torch"


def _checked(word: str, where: str) -> Choice:
    for choice in CHOICES:
        if word == choice:
            return choice
    raise InputError(f"{where}: {word!r} is no choice of operators; use {', '.join(CHOICES)}")


def _warn_once(message: str) -> None:
    """The process warns once: the first reason, which the others mostly share."""
    global _warned
    with _warning:
        if _warned:
            return
        _warned = True
    warnings.warn(message, RuntimeWarning, stacklevel=5)
