"""How fast channels are generated, beside Sionna's plain recipe, and how long the full profile would take.

    python benchmarks/csi_generation.py [--samples 8] [--repeats 3] [--out FILE.json]

The plain recipe evaluates 1,400 symbols and 750 subcarriers of a sample and keeps every 70th symbol and 600
subcarriers; ours evaluates what is kept. Both run with one thread on the same cells, in turns; medians are
kept. The time and size of `csi_rrg-full` are extrapolated from three of its cells that are drawn, written as
a store and read again. Writes JSON.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

CELLS = (("A", 30, 1), ("C", 100, 10), ("D", 300, 30))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=8, help="samples a measurement")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=100, help="samples of each cell that is written")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/csi_generation.json"))
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    measured = {"speed": speed(arguments.samples, arguments.repeats), "full": full(arguments.rows)}
    print(json.dumps(measured, indent=1))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=1))


def speed(samples: int, repeats: int) -> dict:
    """Seconds a sample of both ways, by cell, and their ratio."""
    from tsbench.datasets.csi_rrg.channel import draw_cell
    from tsbench.datasets.csi_rrg.grid import Cell, Link, Profile

    profile, found = Profile("benchmark", Link(), {}), {}
    draw_cell(profile, Cell("train", "A", 30, 1), 1, 0)  # imports
    for model, delay_spread, metres in CELLS:
        cell = Cell("train", model, delay_spread, metres)
        ours, theirs = [], []
        for _ in range(repeats):
            ours.append(seconds(lambda cell=cell: draw_cell(profile, cell, samples, 0)) / samples)
            theirs.append(seconds(lambda cell=cell: plain(profile.link, cell, samples)) / samples)
        fast, slow = statistics.median(ours), statistics.median(theirs)
        found[cell.folder] = {"seconds_a_sample": fast, "plain_seconds_a_sample": slow, "ratio": slow / fast}
    found["median_ratio"] = statistics.median(one["ratio"] for one in found.values())
    return found


def plain(link, cell, samples: int):
    """Every symbol and subcarrier, then a choice; in batches that keep the memory near 2 GB."""
    import torch
    from sionna.phy.channel import cir_to_ofdm_channel, subcarrier_frequencies
    from sionna.phy.channel.tr38901 import CDL, PanelArray

    ut = PanelArray(1, 1, "single", "V", "omni", link.carrier, device="cpu")
    bs = PanelArray(4, 4, "dual", "cross", "38.901", link.carrier, device="cpu")
    speed = float(cell.speed)
    cdl = CDL(
        cell.model,
        cell.delay_spread * 1e-9,
        link.carrier,
        ut,
        bs,
        "uplink",
        min_speed=speed,
        max_speed=speed,
        device="cpu",
    )
    frequencies = subcarrier_frequencies(link.subcarriers, link.spacing, device="cpu")
    kept = []
    with torch.no_grad():
        for start in range(0, samples, 2):
            a, tau = cdl(min(2, samples - start), link.symbols, link.symbol_rate)
            h = cir_to_ofdm_channel(frequencies, a, tau, normalize=True)[:, 0, :, 0, 0]
            kept.append(h[:, :, :: link.keep_every][..., list(link.kept)].clone())
    return torch.cat(kept)


def full(rows: int) -> dict:
    """Seconds and bytes a sample from three cells, and of the whole profile with one and two processes."""
    from tsbench import registry
    from tsbench.contracts import Provenance
    from tsbench.data.adapter import BuildRequest, Part
    from tsbench.data.draft import Draft
    from tsbench.data.parts import build_one
    from tsbench.datasets.csi_rrg import adapter
    from tsbench.datasets.csi_rrg.grid import Cell

    entry = registry.dataset("csi_rrg-full")
    request = BuildRequest(entry.name, entry.variant, parameters=entry.variant.parameters)
    total = sum(part.rows for part in adapter.parts(request))
    parts = [Part(Cell("test-regular", *cell).path, rows) for cell in CELLS]
    given = {"dataset": entry.name, "adapter": "csi_rrg", "generator_version": 1, "parameters": {}}
    made = Provenance(**given, size="full", seed=0, files={})
    with tempfile.TemporaryDirectory(dir=os.environ.get("TSBENCH_DATA")) as folder:
        store = Path(folder) / "full.zarr"
        draft = Draft.take_up(store, made.recipe, parts, fresh=True)
        build = seconds(lambda: [build_one(adapter.__name__, request, draft, number) for number in range(3)])
        seal = seconds(lambda: draft.publish(store, made))
        size = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    written = rows * len(parts)
    return {
        "samples": total,
        "cells": len(adapter.parts(request)),
        "build_seconds_a_sample": build / written,
        "read_and_seal_seconds_a_sample": seal / written,
        "hours_with_1_process": (build + seal) / written * total / 3600,
        "hours_with_2_processes": (build / 2 + seal) / written * total / 3600,
        "gigabytes": size / written * total / 1e9,
    }


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
