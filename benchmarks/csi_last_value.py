"""Last value on generated channels, beside the figures that CSI-RRG's authors published for it.

    python benchmarks/csi_last_value.py [--samples 100] [--out FILE.json]

The 27 regular cells at full size (32 antennas, 300 + 300 subcarriers), both Doppler modes, mean over cells
and over white noise of 0 to 25 dB: NMSE and spectral efficiency by the project's own noise and metrics.
`legacy` is the physics of the published data (Sionna up to 1.1), `corrected` that of Sionna 2.2. Writes JSON.
"""

import argparse
import json
from itertools import product
from pathlib import Path

PUBLISHED = {"tdd": {"nmse": 1.829, "se": 7.745}, "fdd": {"nmse": 2.736, "se": 7.335}}
"""CSI-4CAST (arXiv 2510.12996), released tables: no prediction (NP), mean over CDL-A, C and D."""
LEVELS = (0, 5, 10, 15, 20, 25)
SCALE_SAMPLES = 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=100, help="samples of each cell")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/csi_last_value.json"))
    arguments = parser.parse_args()
    found = {doppler: last_value(doppler, arguments.samples) for doppler in ("legacy", "corrected")}
    for doppler, modes in found.items():
        for mode, values in modes.items():
            for metric, value in values.items():
                reference = PUBLISHED[mode][metric]
                line = f"{doppler:9} {mode} {metric:4} {value:6.3f}  published {reference:6.3f}"
                print(f"{line}  ratio {value / reference:.3f}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        json.dumps({"published": PUBLISHED, "samples": arguments.samples, **found}, indent=1)
    )


def last_value(doppler: str, samples: int) -> dict[str, dict[str, float]]:
    """Mode → metric → mean over the 27 cells and the six levels of noise."""
    import torch

    from tsbench.data.batch import Batch
    from tsbench.data.complex_noise import sample_awgn
    from tsbench.data.disturbances import case_generators
    from tsbench.data.normalisation import fit_part_scale
    from tsbench.data.views import dimensions
    from tsbench.datasets.csi_rrg.channel import draw_cell
    from tsbench.datasets.csi_rrg.grid import Cell, Link, Profile
    from tsbench.evaluation.metrics import metric

    profile, history, band = Profile("benchmark", Link(doppler=doppler), {}), 16, 300  # type: ignore[arg-type]
    cells = [Cell("test-regular", *values) for values in product("ACD", (30, 100, 300), (1, 10, 30))]
    scale = fit_part_scale(
        (draw_cell(profile, cell, SCALE_SAMPLES, 1)[:, :, :history, :band] for cell in cells), "zscore_parts"
    )
    sums = {mode: {name: [0.0, 0.0] for name in PUBLISHED[mode]} for mode in PUBLISHED}
    for cell in cells:
        drawn = torch.from_numpy(draw_cell(profile, cell, samples, 0))
        context = scale.to_model(drawn[:, :, :history, :band].contiguous())
        truth = {
            "tdd": drawn[:, :, history:, :band].to(torch.complex128),
            "fdd": drawn[:, :, history:, band:].to(torch.complex128),
        }
        batch = Batch(dimensions("csi"), context=context, index=torch.arange(samples))
        for level in LEVELS:
            generators = case_generators("benchmark", f"{cell.path}/{level}", batch["index"])
            noisy = sample_awgn(batch, generators, level, {}, scale)["context"][:, :, -1:]
            forecast = scale.to_units(noisy.to(torch.complex128)).expand(-1, -1, 4, -1)
            for mode, name in product(PUBLISHED, ("nmse", "se")):
                statistic = metric(name).statistic(forecast, truth[mode], torch.empty(0))
                value = metric(name).value(*(float(part.sum()) for part in statistic))
                sums[mode][name][0] += value or 0.0
                sums[mode][name][1] += 1
    return {mode: {name: total / count for name, (total, count) in by.items()} for mode, by in sums.items()}


if __name__ == "__main__":
    main()
