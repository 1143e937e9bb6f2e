"""Reads the values of a forecast from others in a child process with limits on memory and time.

Decoders of compressed chunks are C code that reads bytes of a stranger. Here a bomb, a hang or a crash ends
the child, and is one line for the user. The child gets no credentials, may write no file, and answers with
plain bytes whose number is known beforehand: nothing that it says is unpickled or believed.
"""

import contextlib
import json
import math
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tsbench.contracts import InputError
from tsbench.evaluation.blocks import SavedArray, block_cases, itemsize, read_blocks

if TYPE_CHECKING:
    import numpy as np

START_SECONDS = 60.0
"""Time for the child to start, whatever it reads."""
BYTES_PER_SECOND = 5 * 10**6
"""Slower decoding counts as a hang: a tenth of what one slow core does."""
SPARE_BYTES = 2**29
"""Address space beside the values themselves: threads, buffers of the decoders."""
VALUES, REFUSED = b"V", b"R"
LONGEST_REASON = 1000
KEPT = ("PATH", "HOME", "LANG", "LC_", "PYTHON", "LD_LIBRARY_PATH", "DYLD_", "VIRTUAL_ENV", "CONDA", "TMPDIR")
"""Environment variables that begin like this are handed on; credentials are not."""


class LimitedReader:
    """Reads arrays of one forecast in a child process; a context manager, which starts and ends the child.

    Args:
        arrays: what will be read: sizes its limits.
        seconds: wall time for all of the reading; None for what the size of the arrays allows.
        spare: bytes of memory beside those of the values.
    """

    def __init__(
        self, arrays: list[SavedArray], seconds: float | None = None, spare: int = SPARE_BYTES
    ) -> None:
        total = sum(math.prod(array.shape) * itemsize(array.dtype) for array in arrays)
        self.seconds = START_SECONDS + total / BYTES_PER_SECOND if seconds is None else seconds
        self.memory = spare + 4 * max((_largest(array) for array in arrays), default=0)

    def __enter__(self) -> "LimitedReader":
        environment = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
        one_thread = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLOSC_NTHREADS")
        self._child = subprocess.Popen(
            [sys.executable, "-B", "-c", "from tsbench.jobs.limited import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | dict.fromkeys(one_thread, "1") | {"MALLOC_ARENA_MAX": "2"},
        )
        self._left = self.seconds
        self._send({"memory": self.memory, "seconds": math.ceil(self.seconds)})
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        for stream in (self._child.stdin, self._child.stdout):
            with contextlib.suppress(OSError):
                _open(stream).close()
        self._child.wait()

    def read(self, array: SavedArray) -> "Iterator[np.ndarray]":
        """Values of consecutive cases, as `read_blocks` gives them, in the array's own dtype.

        Raises:
            InputError: where the array is damaged, or the child needs more memory or time than it may.
        """
        import numpy as np

        order = {name: getattr(array, name) for name in ("shape", "dtype", "chunk")}
        self._send(order | {"folder": str(array.folder)})
        dtype = np.dtype(array.dtype).newbyteorder("<")
        size = block_cases(array.shape, itemsize(array.dtype))
        for start in range(0, array.shape[0], size):
            shape = (min(size, array.shape[0] - start), *array.shape[1:])
            kind = self._take(1, array)
            if kind == REFUSED:
                length = min(int.from_bytes(self._take(4, array), "little"), LONGEST_REASON)
                raise InputError(self._take(length, array).decode("utf-8", "replace"))
            # A bytearray, so that the values can be written to: torch warns of others.
            values = self._take(math.prod(shape) * dtype.itemsize, array)
            yield np.frombuffer(values, dtype).reshape(shape).astype(array.dtype, copy=False)

    def _send(self, order: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # a dead child is noticed where its answer is read
            stream = _open(self._child.stdin)
            stream.write(json.dumps(order).encode() + b"\n")
            stream.flush()

    def _take(self, count: int, array: SavedArray) -> bytearray:
        """So many bytes of the child's answer; only the waiting for it counts as its time."""
        descriptor = _open(self._child.stdout).fileno()
        taken, view = 0, memoryview(answer := bytearray(count))
        while taken < count:
            before = time.monotonic()
            ready = select.select([descriptor], [], [], max(self._left, 0))[0]
            self._left -= time.monotonic() - before
            if not ready or self._left < 0:
                raise InputError(f"{array.folder} cannot be read within {self.seconds:.0f} s")
            part = os.readv(descriptor, [view[taken:]])
            if not part:
                raise InputError(
                    f"{array.folder} cannot be read with {self.memory >> 20} MB of memory: {self._end()}"
                )
            taken += part
        return answer

    def _end(self) -> str:
        code = self._child.wait()
        return f"the decoder was ended by signal {-code}" if code < 0 else f"the decoder ended with {code}"


def serve() -> None:
    """What the child does: reads one order a line, answers with values; ends with its input."""
    # Nothing but answers may go to the pipe, whatever a decoder prints.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    limits = json.loads(sys.stdin.buffer.readline())
    import numpy as np
    import zarr

    zarr.config.set({"threading.max_workers": 1, "async.concurrency": 1})
    limit(limits["memory"], limits["seconds"])
    for line in sys.stdin.buffer:
        order = json.loads(line)
        shape, chunk = tuple(order["shape"]), tuple(order["chunk"])
        array = SavedArray(Path(order["folder"]), shape, order["dtype"], chunk)
        try:
            for block in read_blocks(array):
                values = np.ascontiguousarray(block, np.dtype(array.dtype).newbyteorder("<"))
                _write(answers, VALUES, values.reshape(-1).view(np.uint8).data)
        except InputError as error:
            reason = str(error).encode("utf-8", "replace")[:LONGEST_REASON]
            _write(answers, REFUSED + len(reason).to_bytes(4, "little"), memoryview(reason))


def limit(memory: int, seconds: int) -> None:
    """Limit this process from here on: what it has loaded so far is the project's own code.

    Args:
        memory: bytes of address space beside what it has now.
        seconds: of processor time in all.
    """
    import resource

    used = 2**30
    with contextlib.suppress(OSError):  # elsewhere than on Linux
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for what, most in (
        (resource.RLIMIT_AS, used + memory),
        (resource.RLIMIT_CPU, seconds + 1),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        # A limit that the system does not have (macOS: address space), or has set lower already.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def _write(answers: IO[bytes], head: bytes, body: memoryview) -> None:
    for part in (memoryview(head), body):
        while part:
            part = part[answers.write(part) :]


def _largest(array: SavedArray) -> int:
    """Bytes of the larger of a block and a chunk: what is in memory at once."""
    cases = block_cases(array.shape, itemsize(array.dtype))
    block = (min(cases, array.shape[0]), *array.shape[1:])
    run = array.chunk[0]
    # A block that does not begin with a chunk may end in one more.
    touched = block[0] if block[0] % run == 0 else -(-(block[0] + run - 1) // run) * run
    chunks = min(touched, -(-array.shape[0] // run) * run)
    padded = math.prod((chunks, *map(max, zip(array.shape[1:], array.chunk[1:], strict=True))))
    return padded * itemsize(array.dtype)


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
