"""Training loop, side by side: our batches and our fit against a DataLoader and a bare loop, in one run.

    python benchmarks/training_loop.py [--out FILE.json]

Needs the ETTh1 store (`tsbench data get etth1`). Prints ratios to the peers and writes JSON.
"""

import argparse
import copy
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from tsbench import registry
from tsbench.data.cases import Batches
from tsbench.data.task_data import TaskData
from tsbench.data.windows import Windows
from tsbench.models.dlinear.model import DLinear
from tsbench.training.fit import fit_by_gradient
from tsbench.training.settings import TrainingSettings
from tsbench.training.source import TaskSource

CONTEXT, BATCH, REPEATS, EPOCHS = 96, 32, 5, 4


class PerSample(Dataset):
    """The usual data set: one window a call, sliced from a numpy array."""

    def __init__(self, windows: Windows) -> None:
        self.values, self.origins = windows.values.numpy(), windows.origins.numpy()
        self.context, self.horizon = windows.context, windows.horizon

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, case: int) -> tuple[Any, Any]:
        origin = self.origins[case]
        return self.values[origin - self.context : origin], self.values[origin : origin + self.horizon]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/training_loop.json"))
    arguments = parser.parse_args()
    data = TaskData.open(registry.task("etth1-96"))
    windows = data.windows("train", CONTEXT).using("context", "target")
    measured = batches(windows) | epochs(data, windows)
    measured["threads"] = torch.get_num_threads()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=1))
    for name, value in measured.items():
        print(f"{name:46} {value:9.4f}" if isinstance(value, float) else f"{name:46} {value}")


def batches(windows: Windows) -> dict[str, float]:
    """One epoch of shuffled batches, nothing else."""
    loader = DataLoader(PerSample(windows), batch_size=BATCH, shuffle=True)
    ours = Batches(windows, BATCH, seed=0)
    ours_seconds, peer_seconds = paired(lambda: drain(ours), lambda: drain(loader))
    return {
        "batches: tsbench (s)": ours_seconds,
        "batches: DataLoader per sample (s)": peer_seconds,
        "batches: DataLoader / tsbench": peer_seconds / ours_seconds,
    }


def epochs(data: TaskData, windows: Windows) -> dict[str, float]:
    """One training epoch without validation: our fit, and a bare loop with plain Adam, same batches."""
    model = DLinear(data.shape(CONTEXT))
    quiet, bar, bare, fused = [], [], [], []
    fit_epochs(copy.deepcopy(model), data, progress=False)  # warm up
    for _ in range(REPEATS):
        bare.append(bare_epoch(copy.deepcopy(model), windows, fused=False))
        fused.append(bare_epoch(copy.deepcopy(model), windows, fused=True))
        quiet.append(fit_epochs(copy.deepcopy(model), data, progress=False))
        bar.append(fit_epochs(copy.deepcopy(model), data, progress=True))
    seconds = {name: statistics.median(values) for name, values in locals().items() if name in PEERS}
    found = {f"epoch: {title} (s)": seconds[name] for name, title in PEERS.items()}
    found["epoch: tsbench with bar / bare loop"] = seconds["bar"] / seconds["bare"]
    return found


PEERS = {
    "bare": "bare loop, plain Adam",
    "fused": "bare loop, fused Adam",
    "quiet": "tsbench fit",
    "bar": "tsbench fit with bar",
}


def bare_epoch(model: DLinear, windows: Windows, fused: bool) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=fused)
    model.train()
    start = time.perf_counter()
    for batch in Batches(windows, BATCH, seed=0):
        loss = torch.nn.functional.mse_loss(model(batch), batch["target"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - start


def fit_epochs(model: DLinear, data: TaskData, progress: bool) -> float:
    """Seconds of a training epoch inside a fit, without its validation: the median of the later ones."""
    seconds: list[float] = []
    timed = _Timed(seconds)
    settings = TrainingSettings(learning_rate=1e-4, batch_size=BATCH, epochs=EPOCHS, patience=0)
    source = TaskSource(data=data, context=CONTEXT, seed=0, settings=settings, progress=progress)
    model.on_train_epoch_start = timed.start  # type: ignore[method-assign]
    model.on_validation_epoch_start = timed.stop  # type: ignore[method-assign]
    fit_by_gradient(model, source)
    return statistics.median(seconds[1:])


class _Timed:
    def __init__(self, seconds: list[float]) -> None:
        self.seconds, self.began = seconds, 0.0

    def start(self) -> None:
        self.began = time.perf_counter()

    def stop(self) -> None:
        self.seconds.append(time.perf_counter() - self.began)


def paired(ours: Callable[[], None], peer: Callable[[], None]) -> tuple[float, float]:
    """Medians of two calls that take turns, so that a busy moment hits both."""
    pairs = [(clock(ours), clock(peer)) for _ in range(REPEATS)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def clock(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def drain(loader: Any) -> None:
    for _ in loader:
        pass


if __name__ == "__main__":
    os.environ.setdefault("TQDM_DISABLE", "0")
    main()
