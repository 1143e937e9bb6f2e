"""Levels of the disturbances of CSI-RRG: signal-to-noise ratios that were published, and that are realised.

    python benchmarks/csi_noise.py [--dataset csi_rrg-small] [--out FILE.json]

Published ratios are calibrated to channels whose real and imaginary parts have unit power. `unit` measures
them on white channels of that power, `data` on the normalised histories of the data set's regular test part,
where the energy of a sample varies. Both over all snapshots, hit or not. Writes JSON.
"""

import argparse
import json
import math
from pathlib import Path

DEGREES = {
    "phase_noise": {10: 0.32, 15: 0.18, 20: 0.1, 25: 0.056},
    "burst_noise": {10: 0.29, 15: 0.16, 20: 0.09, 25: 0.054},
    "sample_awgn": {level: level for level in (0, 5, 10, 15, 20, 25)},
}
"""Disturbance → published ratio, dB → level."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", default="csi_rrg-small")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/csi_noise.json"))
    arguments = parser.parse_args()
    import torch

    from tsbench import registry
    from tsbench.data.task_data import TaskData

    task = next(one for one in registry.tasks().values() if one.dataset == arguments.dataset)
    cases = TaskData.open(task).windows("test", task.max_context)
    inputs = {
        "unit": torch.randn(400, 8, 16, 75, 2, generator=torch.Generator().manual_seed(0)),
        "data": torch.view_as_real(cases.gather(torch.arange(len(cases)))["context"]),
    }
    found = {
        name: {
            ratio: {kind: realised(name, level, torch.view_as_complex(one)) for kind, one in inputs.items()}
            for ratio, level in levels.items()
        }
        for name, levels in DEGREES.items()
    }
    print(f"{'disturbance':12} {'published':>9} {'unit':>7} {'data':>7} {'hit':>6}")
    for name, levels in found.items():
        for ratio, kinds in levels.items():
            unit, data = (kinds[kind]["snr_db"] for kind in ("unit", "data"))
            print(f"{name:12} {ratio:9} {unit:7.2f} {data:7.2f} {kinds['unit']['hit']:6.2f}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=1))


def realised(name: str, level: float, context) -> dict[str, float]:
    """Ratio of the energies of input and noise, dB, and the share of samples that are hit."""
    import torch

    from tsbench.data.batch import Batch
    from tsbench.data.disturbances import DISTURBANCES, case_generators
    from tsbench.data.views import dimensions

    index = torch.arange(len(context))
    batch = Batch(dimensions("csi"), context=context, index=index)
    generators = case_generators("benchmark", f"{name}/{level}", index)
    noisy = DISTURBANCES[name](batch, generators, level, {}, None)["context"]
    noise = (noisy - context).abs().square().sum(dim=(1, 2, 3))  # (sample,)
    ratio = 10 * math.log10(float(context.abs().square().sum() / noise.sum()))
    return {"snr_db": ratio, "hit": float((noise > 0).double().mean())}


if __name__ == "__main__":
    main()
