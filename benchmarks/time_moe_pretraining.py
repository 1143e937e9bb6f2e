"""Time-MoE of a million parameters, pretrained on a corpus: MASE at horizon 64 on series that it never saw.

    python benchmarks/time_moe_pretraining.py [--corpus FILE.yaml] [--threads 1] [--seed 0]
        [--weights RUN_FOLDER] [--generated N] [--out FILE.json]

Pretrains by `tsbench fit time_moe --corpus` (or takes the weights of an earlier such fit), which goes on
after an interruption. Then the last 64 values of every held-out series of a collection are forecast, once by
the pretrained model and once by the seasonal naive forecast with the series' own period; windows, scale and
truth are those of a task of tsbench and the same for both. No value of a held-out series is trained on; the
validation loss, which chooses the epoch, sees them up to the forecast origin. `--generated 600` counts
held-out series among the first 600 generated ones alone, as the small size has them. Writes JSON: MASE of
both (mean and median over series, by collection and of all), in how many series the model is better, time
and size of the pretraining.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tsbench.contracts import Task
from tsbench.data.collection import SeriesCollection, read_collection
from tsbench.data.collection_data import CollectionData
from tsbench.data.store import open_store, store_path
from tsbench.jobs.corpus_job import Pretrained, pretrain, read_corpus
from tsbench.jobs.job import Options
from tsbench.jobs.run import Conduct
from tsbench.jobs.source import find_model
from tsbench.training.build import build
from tsbench.training.settings import fill
from tsbench.training.weights import load_weights

CORPUS = Path(__file__).parents[1] / "leaderboards" / "csi-rrg-small-regular" / "mixture-64.yaml"
GENERATED = "synthetic-series"
BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, help="run folder of a finished pretraining")
    parser.add_argument("--context", type=int, help="look-back; default: that of the corpus")
    parser.add_argument("--generated", type=int, help="only held-out series among so many generated ones")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/time_moe_pretraining.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    corpus = read_corpus(arguments.corpus)
    arguments.context = arguments.context or corpus.context
    measured: dict[str, Any] = {
        "torch": torch.__version__,
        "threads": arguments.threads,
        "cores": os.cpu_count(),
        "corpus": corpus.name,
        "horizon": corpus.horizon,
        "context": arguments.context,
    }
    record, folder, seconds = _fit(arguments)
    measured["pretraining"] = {
        "cpu_seconds_of_this_process": seconds,
        "parameters": record["parameters"],
        "weights": record["weights"],
        "validation_loss": record["validation_loss"],
        "training_points": record["corpus"]["training_points"],
        "cost": record["cost"],
    }
    held_out = [name for name in record["corpus"]["held_out"] if _counts(name, arguments.generated)]
    pairs = {
        member.dataset: _pairs(member.dataset, member.size, held_out, folder, corpus.horizon, arguments)
        for member in corpus.members
        if member.dataset and any(name.startswith(f"{member.dataset}/") for name in held_out)
    }
    pairs["all"] = [pair for found in pairs.values() for pair in found]
    measured["held_out"] = {name: _summary(found) for name, found in pairs.items()}
    print(json.dumps(measured, indent=1))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=1))


def _fit(arguments: argparse.Namespace) -> tuple[dict[str, Any], Path, float | None]:
    """Record and run folder of the pretraining, and its CPU seconds where it ran here in one attempt."""
    if arguments.weights:
        return json.loads((arguments.weights / "fit.json").read_bytes()), arguments.weights, None
    start = time.process_time()
    (one,) = pretrain(
        "time_moe",
        arguments.corpus,
        seeds=[arguments.seed],
        options=Options(threads=arguments.threads, device="cpu"),
        conduct=Conduct(say=lambda text: print(text, flush=True)),
    )
    return one.fit, one.job.folder, _own_seconds(one, time.process_time() - start)


def _own_seconds(one: Pretrained, seconds: float) -> float | None:
    return None if one.reused or one.fit["cost"]["attempts"] > 1 else seconds


def _counts(name: str, generated: int | None) -> bool:
    """Whether a held-out series counts: names of generated ones end in their number."""
    if generated is None or not name.startswith(f"{GENERATED}/"):
        return True
    return int(name.rpartition("-")[2]) < generated


def _pairs(
    dataset: str, size: str, held_out: list[str], folder: Path, horizon: int, arguments: argparse.Namespace
) -> list[tuple[float, float]]:
    """MASE of the model and of seasonal naive on the ends of held-out series, where it is defined."""
    collection = read_collection(dataset, size)  # type: ignore[arg-type]
    chosen = [number for number, name in enumerate(collection.series) if f"{dataset}/{name}" in held_out]
    model, naive = [], []
    for period, numbers in _by_period(dataset, size, collection, chosen):
        task = _task(dataset, horizon, period, arguments.context)
        data = CollectionData.of(task, _part(collection, numbers))
        model += _errors(data, _pretrained(data, folder, arguments.context))
        naive += _errors(data, find_model("seasonal_naive").load()(data.shape(period), None))
    return [(one, other) for one, other in zip(model, naive, strict=True) if np.isfinite([one, other]).all()]


def _summary(both: list[tuple[float, float]]) -> dict[str, Any]:
    """Of pairs of the model's MASE and that of seasonal naive, one a series."""
    mine, other = zip(*both, strict=True)
    return {
        "series": len(both),
        "mase": {"time_moe": statistics.fmean(mine), "seasonal_naive": statistics.fmean(other)},
        "median": {"time_moe": statistics.median(mine), "seasonal_naive": statistics.median(other)},
        "better_in": sum(one < theirs for one, theirs in both),
    }


def _by_period(
    dataset: str, size: str, collection: SeriesCollection, chosen: list[int]
) -> Iterator[tuple[int, list[int]]]:
    """Series by the period of their main season: the store's own where it has one, else a day of hours."""
    store = open_store(store_path(dataset, size))  # type: ignore[arg-type]
    periods = store["period"].values if "period" in store else np.full(len(collection.sizes), 24)
    for period in sorted({int(periods[number]) for number in chosen}):
        yield period, [number for number in chosen if periods[number] == period]


def _task(dataset: str, horizon: int, period: int, context: int) -> Task:
    return Task.model_validate(
        {
            "name": f"{dataset}-{horizon}",
            "version": 1,
            "dataset": dataset,
            "horizon": horizon,
            "period": period,
            "max_context": max(context, period),
            "split": {"kind": "rolling", "windows": 1, "validation": 0},
            "normalisation": "none",
            "space": "units",
            "unit": {"kind": "series"},
            "metrics": ["mase"],
            "primary": "mase",
            "conditions": {
                "robustness": {"not_applicable": "not measured here"},
                "generalisation": {"not_applicable": "every series is unseen already"},
            },
        }
    )


def _part(collection: SeriesCollection, numbers: list[int]) -> SeriesCollection:
    """Some series of a collection."""
    first = collection.first
    rows = np.concatenate([np.arange(first[one], first[one] + collection.sizes[one]) for one in numbers])
    covariates = {name: getattr(collection, name) for name in ("known", "past")}
    return replace(
        collection,
        values=collection.values[rows],
        sizes=collection.sizes[numbers],
        series=tuple(collection.series[one] for one in numbers),
        train_sizes=None,
        **{name: replace(one, values=one.values[rows]) for name, one in covariates.items()},
        static=replace(collection.static, values=collection.static.values[numbers]),
        categorical=replace(collection.categorical, values=collection.categorical.values[numbers]),
    )


def _pretrained(data: CollectionData, folder: Path, context: int) -> Any:
    made = json.loads((folder / "fit.json").read_bytes())["model"]["hyperparameters"]
    kind = find_model("time_moe").load()
    model = build(kind, data.shape(context), fill(kind.Hyperparameters, made, "fit.json"), seed=0)  # type: ignore[attr-defined]
    load_weights(model, folder / "weights.safetensors")
    return model.eval()


def _errors(data: CollectionData, model: Any) -> list[float]:
    """MASE of each series: absolute error over the seasonal difference of the values before the origin."""
    windows = data.windows("test", model.shape.context).using("target", *model.uses)
    found: list[float] = []
    for index in torch.arange(len(windows)).split(BATCH):
        with torch.no_grad():
            forecast = model.predict(windows.gather(index)).values
        truth, _ = windows.gather_truth(index)
        scaled = (windows.to_metric_space(forecast, index) - truth).abs() / windows.seasonal_error(index)
        found += scaled.mean(dim=(1, 2)).tolist()
    return found


if __name__ == "__main__":
    main()
