"""Requests: what a model is shown of a task, as a Zarr v3 group that a program elsewhere can answer.

One group a scenario, named as the array of its forecasts, holds the arrays of a batch under their reserved
names (`context`, `observed`, covariates …): cases in order, in model space, disturbed as the scenario says.
Attributes of the root say the rest: horizon, period, step, channels, targets, quantile levels. The answer is
a forecast for `tsbench score`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from tsbench.contracts import Scenario, Task, TaskShape
from tsbench.data.batch import DIMENSIONS, Batch
from tsbench.data.cases import Batches, batch_size_for
from tsbench.data.disturbances import disturb
from tsbench.data.presented import shorten
from tsbench.data.task_data import TaskData

from .forecast_store import array_name

FORMAT, FORMAT_VERSION = "tsbench request", 1
WITHHELD = frozenset({"target", "valid", "index"})
CHUNK_BYTES = 4 * 2**20


def write_request(folder: Path, task: Task, scenarios: list[tuple[Scenario, TaskData]], context: int) -> None:
    """Write the request of some scenarios, batch by batch: memory does not grow with their cases.

    Args:
        folder: an empty folder (see `tsbench.atomic.new_folder`).
        task: the task.
        scenarios: each with the data that it is evaluated on.
        context: look-back in steps.

    Raises:
        InputError: where the task allows no such look-back.
    """
    import zarr

    group = zarr.open_group(folder, mode="w", zarr_format=3)
    listed = []
    for scenario, data in scenarios:
        cases = data.test_cases(scenario, context).using(*(set(DIMENSIONS) - WITHHELD))
        inner = group.create_group(array_name(scenario))
        arrays: dict[str, Any] = {}
        start = 0
        for batch in Batches(cases, batch_size_for(cases)):
            shown = shorten(disturb(batch, scenario, task.id, data.scale), context)
            for name, tensor in _arrays(shown):
                if name not in arrays:
                    arrays[name] = _create(inner, name, shown, (len(cases), *tensor.shape[1:]))
                arrays[name][start : start + batch.size] = tensor.numpy()
            start += batch.size
        listed.append(
            {
                "name": array_name(scenario),
                "scenario": scenario.key,
                "condition": scenario.condition,
                "shape": list(data.forecast_shape(len(cases), context)),
            }
        )
    shape = scenarios[0][1].shape(context)
    group.attrs.update({"format": FORMAT, "format_version": FORMAT_VERSION, "scenarios": listed})
    group.attrs.update(_attributes(task, shape))


def _attributes(task: Task, shape: TaskShape) -> Mapping[str, Any]:
    return {
        "task": task.name,
        "version": task.version,
        # Of context and answer alike; what a task without normalisation calls so are its own units.
        "space": "normalised",
        "context": shape.context,
        "horizon": shape.horizon,
        "period": shape.period,
        "step": shape.step,
        "channels": list(shape.channels),
        "targets": list(shape.targets),
        "past_covariates": list(shape.past_covariates),
        "future_covariates": list(shape.future_covariates),
        "quantiles": list(shape.quantiles),
    }


def _arrays(batch: Batch) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in batch.items():
        if name not in WITHHELD and tensor.numel():
            yield name, tensor


def _create(group: Any, name: str, batch: Batch, shape: tuple[int, ...]) -> Any:
    from zarr.codecs import BloscCodec

    one = batch[name][0]
    size = max(1, one.numel() * one.element_size())
    return group.create_array(
        name,
        shape=shape,
        dtype=str(batch[name].numpy().dtype),
        chunks=(min(shape[0], max(1, CHUNK_BYTES // size)), *shape[1:]),
        compressors=[BloscCodec(cname="zstd", shuffle="bitshuffle")],
        dimension_names=batch.dimensions(name),
    )
