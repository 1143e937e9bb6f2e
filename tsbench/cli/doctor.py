"""What `tsbench doctor` examines: each check says what was found, and how to get what is missing."""

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from tsbench.contracts import InputError

REQUIRED = (
    "torch", "pytorch-lightning", "numpy", "xarray", "zarr", "gluonts", "sionna", "optuna", "mlflow",
    "pydantic", "safetensors", "pyarrow", "altair", "vl-convert-python",
)  # fmt: skip
LLVM_PROBE = "import drjit, drjit.llvm; assert drjit.has_backend(drjit.JitBackend.LLVM)"


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    ok: bool
    what: str
    found: str
    remedy: str = ""


def examine() -> list[Check]:
    """Every check, in the order in which they are shown."""
    return [*_packages(), *_machine(), *_compilers(), *_folders()]


def build_operators(architecture: str | None) -> list[Check]:
    """Build the kernels of the operators ahead.

    Args:
        architecture: for which, `sm_90`, or None for those of the CUDA devices here.

    Raises:
        InputError: on a word that is no architecture.
    """
    from tsbench.cuda_ops.build import build_all

    if architecture and not re.fullmatch(r"sm_\d+[af]?", architecture):
        raise InputError(f"--architecture {architecture}: not an architecture; write one like sm_90")
    remedy = "operators run in torch operations until it is there"
    return [Check(one.ok, one.what, one.found, "" if one.ok else remedy) for one in build_all(architecture)]


def _packages() -> Iterator[Check]:
    yield Check(
        sys.version_info >= (3, 11), "python", platform.python_version(), "tsbench needs Python 3.11 or newer"
    )
    for name in ("tsbench", *REQUIRED):
        try:
            yield Check(True, name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Check(False, name, "missing", "pip install tsbench")


def _machine() -> Iterator[Check]:
    import psutil
    import torch

    memory = psutil.virtual_memory().total / 2**30
    yield Check(True, "processor", f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB memory")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    yield Check(gpu != "none", "CUDA device", gpu, "not needed; with one, install a CUDA build of torch")
    probe = subprocess.run([sys.executable, "-c", LLVM_PROBE], capture_output=True, check=False)
    usable = probe.returncode == 0
    remedy = "only ray tracing needs it: install a shared libLLVM of version 17 or newer (Debian: libllvm19)"
    yield Check(usable, "LLVM for ray tracing", "usable" if usable else "not found", remedy)


def _compilers() -> Iterator[Check]:
    for name, remedy in (
        ("nvcc", "not needed; compiles CUDA sources in `make check`"),
        ("cc", "not needed to run"),
    ):
        path = shutil.which(name)
        yield Check(path is not None, name, path or "not found", remedy)
    cuda_core = (
        importlib.util.find_spec("cuda.core") is not None if importlib.util.find_spec("cuda") else False
    )
    yield Check(
        cuda_core,
        "cuda.core",
        "found" if cuda_core else "missing",
        "for CUDA operators: pip install 'tsbench[cuda]'",
    )


def _folders() -> Iterator[Check]:
    from tsbench.data.store import store_root
    from tsbench.folders import runs_folder

    for what, folder, variable in (
        ("stores", store_root(), "TSBENCH_DATA"),
        ("runs", runs_folder(), "TSBENCH_RUNS"),
    ):
        existing = next(
            parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists()
        )
        writable = os.access(existing, os.W_OK)
        yield Check(writable, what, str(folder), f"not writable; set {variable}")
