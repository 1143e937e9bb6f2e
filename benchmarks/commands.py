"""What a user waits for at the command line, beside the bare imports that a script of one's own would pay.

    python benchmarks/commands.py [--out FILE.json]

Needs the ETTh1 store (`tsbench data get etth1`). Runs go to a temporary folder; each command is timed several
times and the median is kept. Prints ratios to the peer and writes JSON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TSBENCH = [sys.executable, "-m", "tsbench.cli.main"]
RUN = [*TSBENCH, "run", "dlinear", "etth1-96", "--context", "96"]
PEER = [sys.executable, "-c", "import torch, pytorch_lightning, mlflow, xarray, zarr"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/commands.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as runs:
        os.environ["TSBENCH_RUNS"] = runs
        seconds(RUN)  # caches warm, MLflow's tables made
        peer = median(PEER, 3)
        measured = {
            "peer: import torch, lightning, mlflow, xarray, zarr": peer,
            "tsbench --help": median([*TSBENCH, "--help"], 5),
            "tsbench list models": median([*TSBENCH, "list", "models"], 5),
            "tsbench run dlinear etth1-96 --fresh": median([*RUN, "--fresh"], 3),
            "tsbench run dlinear etth1-96 (reused)": median(RUN, 5),
        }
    ratios = {
        f"{name} / peer": value / peer for name, value in measured.items() if name.startswith("tsbench")
    }
    for name, value in (measured | ratios).items():
        print(f"{name:58} {value:7.2f}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured | ratios, indent=1))


def median(command: list[str], repeats: int) -> float:
    return statistics.median(seconds(command) for _ in range(repeats))


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
