"""Inference of CSI-4CAST, side by side: the fast form against the plain one of the same weights, in one run.

    python benchmarks/csi_4cast.py [--threads 2] [--rounds 5] [--compiled] [--out FILE.json]

The released sizes for time-division (TDD) and frequency-division duplex (FDD), one sample of 32 antennas,
16 × 300 complex values each, eager. Both forms take turns; the ratio is that of the medians. `--compiled`
measures torch.compile of the plain form's parts as well, which needs a C++ compiler and takes minutes. Prints
a table and writes JSON; exits with 1 where the fast form is not twice as fast or differs by more than 1e-5.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tsbench import registry
from tsbench.contracts import TaskShape
from tsbench.models.csi_4cast.model import Csi4Cast, Hyperparameters
from tsbench.training.build import build
from tsbench.training.settings import fill

ANTENNAS, CONTEXT, HORIZON, SUBCARRIERS = 32, 16, 4, 300
LEAST_RATIO, LARGEST_DIFFERENCE = 2.0, 1e-5


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compiled", action="store_true", help="measure torch.compile as well")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/csi_4cast.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    measured: dict[str, Any] = {"threads": arguments.threads, "sequences": ANTENNAS, "modes": {}}
    print(f"{'mode':5} {'form':9} {'seconds':>9} {'ratio':>7} {'difference':>11}")
    for mode in ("tdd", "fdd"):
        found = compare(mode, arguments.rounds, arguments.compiled)
        measured["modes"][mode] = found
        for form, seconds in found["seconds"].items():
            ratio, difference = found["ratio"][form], found["difference"][form]
            print(f"{mode:5} {form:9} {seconds:9.3f} {ratio:7.2f} {difference:11.1e}", flush=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=1))
    sys.exit(0 if all(one["within the bounds"] for one in measured["modes"].values()) else 1)


@torch.inference_mode()
def compare(mode: str, rounds: int, compiled: bool) -> dict[str, Any]:
    """Seconds of each form, how many times faster it is than the plain one, and its largest difference."""
    model, series = prepared(mode)
    forms: dict[str, Callable[[], torch.Tensor]] = {
        "plain": lambda: model.plain(series),
        "fast": lambda: model.forecast(series),
    }
    if compiled:
        whole = compiled_parts(model)
        forms["compiled"] = lambda: whole.plain(series)
    expected = {name: form() for name, form in forms.items()}  # also the warm-up
    taken: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(rounds):
        for name, form in forms.items():
            start = time.perf_counter()
            form()
            taken[name].append(time.perf_counter() - start)
    seconds = {name: statistics.median(values) for name, values in taken.items()}
    ratio = {name: seconds["plain"] / value for name, value in seconds.items()}
    difference = {name: float((one - expected["plain"]).abs().max()) for name, one in expected.items()}
    within = ratio["fast"] >= LEAST_RATIO and difference["fast"] <= LARGEST_DIFFERENCE
    return {"seconds": seconds, "ratio": ratio, "difference": difference, "within the bounds": within}


def prepared(mode: str) -> tuple[Csi4Cast, torch.Tensor]:
    """The released size of a mode with normalisations that have seen data, and a sample."""
    settings = registry.model("csi_4cast").settings_for(registry.task(f"csi-rrg-{mode}"))
    assert settings is not None
    names = tuple(map(str, range(2 * SUBCARRIERS)))
    shape = TaskShape(CONTEXT, HORIZON, HORIZON, names, names)
    model = build(Csi4Cast, shape, fill(Hyperparameters, settings.hyperparameters, mode), seed=0)
    generator = torch.Generator().manual_seed(0)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2, generator=generator)  # type: ignore[union-attr]
            part.running_var.uniform_(0.5, 2, generator=generator)  # type: ignore[union-attr]
    series = torch.randn(ANTENNAS, CONTEXT, 2 * SUBCARRIERS, generator=generator)
    return model.eval(), series


def compiled_parts(model: Csi4Cast) -> Csi4Cast:
    """The plain form with each real-valued part compiled: complex operators cannot be."""
    import copy

    whole = copy.deepcopy(model)
    for name in whole.embedding.names:
        setattr(whole.embedding, name, torch.compile(whole.embedding.get_submodule(name)))
    for parent, name in ((whole.arl, "temporal_proj_freq"), (whole.arl, "temporal_proj_delay")):
        setattr(parent, name, torch.compile(getattr(parent, name)))
    whole.transformer = torch.compile(whole.transformer)  # type: ignore[assignment]
    return whole


if __name__ == "__main__":
    main()
