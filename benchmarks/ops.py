"""The operators of `cuda_ops` against their references and peers, all in one run, in turns.

    python benchmarks/ops.py [--operators moe_ffn …] [--devices cpu cuda] [--repeats 7] [--threads 2]
        [--clock wall|processor] [--out FILE.json]

Each operator has a module in `benchmarks/operators/` that gives its rows. Rows of a device that is not here
are listed as not measured. Prints a table and writes JSON: medians of all ways, how many times faster ours is
than each of the others, and the lowest and highest ratio of single rounds to the first of them.
"""

import argparse
import importlib
import json
import os
import platform
from pathlib import Path

import torch
from operators import measure
from operators.measure import Row

FOLDER = Path(__file__).parent / "operators"
OPERATORS = sorted(path.stem for path in FOLDER.glob("[a-z]*.py") if path.stem != "measure")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--operators", nargs="+", choices=OPERATORS, default=OPERATORS)
    parser.add_argument("--devices", nargs="+", choices=["cpu", "cuda"], default=["cpu", "cuda"])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=list(measure.CLOCKS), default="wall")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/ops.json"))
    arguments = parser.parse_args()
    if arguments.clock == "processor" and (arguments.threads > 1 or arguments.devices != ["cpu"]):
        parser.error("--clock processor needs --threads 1 --devices cpu")
    torch.set_num_threads(arguments.threads)
    measure.clock = measure.CLOCKS[arguments.clock]
    measured = {
        "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": arguments.threads,
        "clock": arguments.clock,
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "rows": [],
    }
    for operator in arguments.operators:
        rows = importlib.import_module(f"operators.{operator}").rows
        for device in arguments.devices:
            for row in rows(device, arguments.repeats):
                print(line(row), flush=True)
                measured["rows"].append(row.as_json())
    measured["load_after"] = os.getloadavg()[0]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=1))
    print(f"JSON: {arguments.out}")


def line(row: Row) -> str:
    """One row of the table."""
    start = f"{row.operator:14} {row.device:5} {row.configuration:58}"
    if not row.ways:
        return f"{start} not measured"
    ours, *others = row.ways
    parts = [f"{ours} {row.ways[ours] * 1e3:9.3f} ms"]
    parts += [f"{row.ratios[name]:6.2f}× {name}" for name in others]
    if row.lowest is not None:
        parts.append(f"[{row.lowest:.2f}, {row.highest:.2f}]")
    return "  ".join([start, *parts, *(f"{name} {value:.4g}" for name, value in row.figures.items())])


if __name__ == "__main__":
    main()
