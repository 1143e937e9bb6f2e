"""Compiles every CUDA source with nvcc, where there is one: `python -m tsbench.cuda_ops.check [sm_90]`.

The compile check of `make check`. It needs no device. Users need no nvcc: operators are built with NVRTC.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .build import FOLDER, sources


def main() -> None:
    """Exits with 1 and the compiler's message where a source does not compile."""
    architecture = sys.argv[1] if len(sys.argv) > 1 else "sm_90"
    compiler = shutil.which("nvcc")
    if compiler is None:
        print(f"CUDA sources: not compiled, there is no nvcc here ({len(sources())} sources)")
        return
    failed = [source.name for source in sources() if not compiles(compiler, source, architecture)]
    print(f"CUDA sources: {len(sources()) - len(failed)} of {len(sources())} compile for {architecture}")
    sys.exit(1 if failed else 0)


def compiles(compiler: str, source: Path, architecture: str) -> bool:
    """Whether a source compiles without a warning; what the compiler says goes to the terminal."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"{source.stem}.cubin"
        command = [compiler, f"-arch={architecture}", "-std=c++17", "-cubin", "-Werror=all-warnings"]
        done = subprocess.run([*command, f"-I{FOLDER}", "-o", str(target), str(source)], check=False)
    return done.returncode == 0


if __name__ == "__main__":
    main()
