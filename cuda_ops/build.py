"""Compiles CUDA sources to machine code at first use, with NVRTC: no compiler on the machine is needed.

Machine code is kept in the user's cache folder by the hash of source and headers, architecture and toolkit.
It is written under a temporary name and renamed, so that any number of processes may build at once.
"""

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tsbench import atomic
from tsbench.contracts import InputError
from tsbench.extras import require

FOLDER = Path(__file__).parent
OPTIONS = {"std": "c++17", "use_fast_math": False}
ELF = b"\x7fELF"


class BuildFailed(InputError):
    """A CUDA source cannot be compiled or loaded here; the message says why, in one line."""


@dataclass(frozen=True)
class Built:
    """One line of `tsbench doctor --build-ops`."""

    ok: bool
    what: str
    found: str


def sources() -> list[Path]:
    """Every CUDA source of the operators, sorted."""
    return sorted(FOLDER.glob("*/*.cu"))


def machine_code(source: Path, architecture: str) -> bytes:
    """Machine code (cubin) of a source, from the cache or compiled into it.

    Args:
        source: a `.cu` file with `extern "C"` kernels; it may include the headers beside this file.
        architecture: for example `sm_90`.

    Raises:
        BuildFailed: where NVRTC is missing or refuses the source.
    """
    cached = cache_path(source, architecture)
    if cached.is_file():
        code = cached.read_bytes()
        if code.startswith(ELF):
            return code
    code = _compile(source, architecture)
    try:
        atomic.remove_abandoned(cached)
        with atomic.new_file(cached) as temporary:
            temporary.write_bytes(code)
    except (InputError, OSError) as error:
        warnings.warn(
            f"{source.name} is compiled again in each process: {error}", RuntimeWarning, stacklevel=2
        )
    return code


def cache_path(source: Path, architecture: str) -> Path:
    """Where the machine code of a source lies, or will lie.

    Raises:
        BuildFailed: where NVRTC is missing, whose version is part of the path.
    """
    import platformdirs

    folder = platformdirs.user_cache_path("tsbench") / "kernels"
    return folder / _source_hash(source) / f"{architecture}-nvrtc{_toolkit()}" / f"{source.stem}.cubin"


def build_all(architecture: str | None = None) -> Iterator[Built]:
    """Build everything ahead: CUDA sources into the cache, Triton kernels by running them once.

    Args:
        architecture: for which to compile; None for those of the CUDA devices here. Only then are Triton
            kernels built too, since Triton compiles for a device that is there.
    """
    found = {architecture} if architecture else _architectures()
    if not found:
        yield Built(True, "kernels", "no CUDA device: nothing to build, operators run in torch operations")
        return
    for one in sorted(found):
        for source in sources():
            what = f"{source.parent.name}/{source.name} for {one}"
            try:
                before = cache_path(source, one).is_file()
                size = len(machine_code(source, one))
                yield Built(True, what, f"{'in the cache' if before else 'built'}, {size / 1024:.0f} KiB")
            except BuildFailed as error:
                yield Built(False, what, str(error))
    if architecture is None:
        yield from _build_triton()


def _build_triton() -> Iterator[Built]:
    import importlib

    for module in sorted(FOLDER.glob("*/gpu.py")):
        what = f"{module.parent.name}, Triton kernels"
        obstacle = importlib.import_module(f"{__package__}.{module.parent.name}.gpu").obstacle
        for device in _devices():
            reason = obstacle(device)
            yield Built(reason is None, f"{what} on {device}", reason or "built")


def _compile(source: Path, architecture: str) -> bytes:
    core = core_module(source.name)
    options = core.ProgramOptions(arch=architecture, include_path=[str(FOLDER)], **OPTIONS)
    try:
        program = core.Program(source.read_text(encoding="utf-8"), "c++", options)
        return bytes(program.compile("cubin").code)
    # NVRTC's and the loader's exceptions have no common class, and all mean the same here.
    except Exception as error:
        raise BuildFailed(
            f"{source.name} does not compile for {architecture}: {first_line(error)}"
        ) from error


def core_module(user: str) -> Any:
    """The package cuda.core.

    Raises:
        BuildFailed: where it is missing.
    """
    try:
        core = require("cuda.core", "cuda", user)
        # Versions before 1.0 keep everything one level down.
        return core if hasattr(core, "Program") else require("cuda.core.experimental", "cuda", user)
    except InputError as error:
        raise BuildFailed(str(error)) from error


def first_line(error: Exception) -> str:
    """What a compiler said first that is an error, else the first line of a message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[0] if lines else type(error).__name__)


@cache
def _toolkit() -> str:
    """Version of NVRTC: 13.0."""
    nvrtc = _nvrtc()
    try:
        status, major, minor = nvrtc.nvrtcVersion()
    except Exception as error:  # the loader's, where the library is not there
        raise BuildFailed(
            f'NVRTC is not found: pip install "tsbench[cuda]", or a CUDA toolkit ({first_line(error)})'
        ) from error
    if int(status):
        raise BuildFailed(f"NVRTC does not answer: {status}")
    return f"{major}.{minor}"


def _nvrtc() -> Any:
    try:
        return require("cuda.bindings.nvrtc", "cuda", "compiling CUDA kernels")
    except InputError as error:
        raise BuildFailed(str(error)) from error


def _source_hash(source: Path) -> str:
    whole = hashlib.blake2b(repr(sorted(OPTIONS.items())).encode(), digest_size=12)
    for path in (source, *sorted(FOLDER.glob("*.cuh"))):
        whole.update(path.read_bytes() + b"\0")
    return whole.hexdigest()


def _architectures() -> set[str]:
    return {architecture_of(device) for device in _devices()}


def architecture_of(device: Any) -> str:
    """The architecture of a CUDA device: `sm_90`."""
    import torch

    major, minor = torch.cuda.get_device_capability(device)
    return f"sm_{major}{minor}"


def _devices() -> list[Any]:
    import torch

    return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
