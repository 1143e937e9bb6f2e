"""Inference of U-Nets, side by side: the fast form against the plain one of the same weights, in one run.

    python benchmarks/unets.py [--threads 2] [--rounds 9] [--only NAME …] [--out FILE.json]

Geo2SigMap's U-Net as published (base width 64, maps of 128 × 128 cells) and small (16, 64 × 64), eager. Both
forms take turns, and the ratio is that of the shortest times, which what else runs on the machine disturbs
least; the time is the processor's own, summed over threads, and the time that passed stands beside it.
Prints a table and writes JSON; exits with 1 where the fast form is not 1.2 times as fast or differs by more
than 1e-5.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tsbench.models.geo2sigmap_unet.inference import fast
from tsbench.models.geo2sigmap_unet.network import UNet, plain

LEAST_RATIO, LARGEST_DIFFERENCE = 1.2, 1e-5
SIZES = {"first stage": (2, 64, 128, 8), "second stage": (3, 64, 128, 8), "small": (3, 16, 64, 32)}
"""Channels, base width, cells each way, samples of a batch."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/unets.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    measured: dict[str, Any] = {"threads": arguments.threads, "networks": {}}
    print(f"{'network':13} {'form':6} {'processor s':>12} {'passed s':>9} {'ratio':>6} {'difference':>11}")
    for name in arguments.only:
        found = compare(*SIZES[name], arguments.rounds)
        measured["networks"][name] = found
        for form in ("plain", "fast"):
            ratio, difference = (found[what] if form == "fast" else base for what, base in LAST)
            seconds, passed = found["processor seconds"][form], found["seconds"][form]
            print(
                f"{name:13} {form:6} {seconds:12.3f} {passed:9.3f} {ratio:6.2f} {difference:11.1e}",
                flush=True,
            )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=1))
    sys.exit(0 if all(one["within the bounds"] for one in measured["networks"].values()) else 1)


LAST = (("ratio", 1.0), ("difference", 0.0))
"""What stands at the end of a row, and its value for the plain form."""


@torch.inference_mode()
def compare(channels: int, width: int, cells: int, samples: int, rounds: int) -> dict[str, Any]:
    """Seconds of each form, how many times faster the fast one is, and its largest difference."""
    net, image = prepared(channels, width, cells, samples)
    forms: dict[str, Callable[[], torch.Tensor]] = {
        "plain": lambda: plain(net, image),  # type: ignore[arg-type]
        "fast": lambda: fast(net, image),  # type: ignore[arg-type]
    }
    made = {name: form() for name, form in forms.items()}  # also the warm-up
    used: dict[str, list[float]] = {name: [] for name in forms}
    passed: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(rounds):
        for name, form in forms.items():
            began, start = time.process_time(), time.perf_counter()
            form()
            used[name].append(time.process_time() - began)
            passed[name].append(time.perf_counter() - start)
    processor = {name: min(values) for name, values in used.items()}
    ratio = processor["plain"] / processor["fast"]
    difference = float((made["fast"] - made["plain"]).abs().max())
    return {
        "samples": samples,
        "cells": cells,
        "base width": width,
        "processor seconds": processor,
        "seconds": {name: min(values) for name, values in passed.items()},
        "ratio": ratio,
        "difference": difference,
        "within the bounds": ratio >= LEAST_RATIO and difference <= LARGEST_DIFFERENCE,
    }


def prepared(channels: int, width: int, cells: int, samples: int) -> tuple[UNet, torch.Tensor]:
    """A network whose normalisations have seen data, and a batch."""
    torch.manual_seed(0)
    net = UNet(channels, width)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)  # type: ignore[union-attr]
            part.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return net.eval(), torch.randn(samples, channels, cells, cells)


if __name__ == "__main__":
    main()
