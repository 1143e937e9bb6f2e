"""A batch as the univariate series that GluonTS works on, and one of them as an entry of its data sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from tsbench.contracts import TaskShape

from .frequency import frequency_of

STAND_IN = "2000-01-01"
"""Start of series without a calendar."""


@dataclass(frozen=True)
class Sequences:
    """The targets of a batch, sample by sample, each a univariate series.

    Attributes:
        past: look-back in model space, 0 where nothing was observed, float32, shape (sequence, time).
        observed: 1 where there is a value, float32, same shape.
        known: covariates that are known ahead, float32, shape (sequence, time + lead_time, column).
        past_only: further covariates of the look-back, float32, shape (sequence, time, column).
        static: float32, shape (sequence, feature).
        categorical: int64, shape (sequence, feature).
        start: first stamp of each look-back, nanoseconds since 1970, int64, shape (sequence,), or None.
    """

    past: torch.Tensor
    observed: torch.Tensor
    known: torch.Tensor
    past_only: torch.Tensor
    static: torch.Tensor
    categorical: torch.Tensor
    start: torch.Tensor | None

    def __len__(self) -> int:
        return len(self.past)

    def entry(self, row: int, step: str | None) -> dict[str, Any]:
        """One look-back as an entry of a GluonTS data set, NaN where nothing was observed."""
        observed = self.observed[row].cpu().numpy() > 0
        target = np.where(observed, self.past[row].cpu().numpy(), np.nan).astype(np.float32)
        moment = pd.Timestamp(STAND_IN if self.start is None else int(self.start[row]))
        made = {"item_id": str(row), "start": pd.Period(moment, frequency_of(step)), "target": target}
        features = {
            "feat_dynamic_real": self.known[row].T,
            "past_feat_dynamic_real": self.past_only[row].T,
            "feat_static_real": self.static[row],
            "feat_static_cat": self.categorical[row],
        }
        return made | {name: one.cpu().numpy() for name, one in features.items() if len(one)}


def with_future(entry: dict[str, Any], future: np.ndarray) -> dict[str, Any]:
    """An entry with the values after its look-back, NaN where missing; `future`: shape (lead_time,)."""
    made = entry | {"target": np.append(entry["target"], future.astype(np.float32))}
    if "past_feat_dynamic_real" in entry:
        past = entry["past_feat_dynamic_real"]
        made["past_feat_dynamic_real"] = np.pad(past, ((0, 0), (0, len(future))))
    return made


def without_padding(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry without the steps before its first value, where there is one."""
    observed = ~np.isnan(entry["target"])
    first = int(observed.argmax())
    moved = {"start": entry["start"] + first, "target": entry["target"][first:]}
    dynamic = {name: one[:, first:] for name, one in entry.items() if name.endswith("feat_dynamic_real")}
    return entry | moved | dynamic


def known_ahead(shape: TaskShape) -> tuple[str, ...]:
    """Names of the covariates that GluonTS calls `feat_dynamic_real`: known for look-back and horizon."""
    return tuple(name for name in shape.future_covariates if name in shape.past_covariates)


def known_past(shape: TaskShape) -> tuple[str, ...]:
    """Names of the covariates that GluonTS calls `past_feat_dynamic_real`."""
    return tuple(name for name in shape.past_covariates if name not in shape.future_covariates)


def sequences_of(batch: Mapping[str, torch.Tensor], shape: TaskShape) -> Sequences:
    """The targets of a batch as sequences, in the order sample, target."""
    columns = list(shape.target_index)
    context = batch["context"][..., columns]
    observed = torch.ones_like(context)
    if "observed" in batch:
        observed = batch["observed"][..., columns].to(context.dtype)
        context = torch.where(observed > 0, context, 0.0)
    repeat = len(columns)

    def each(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.repeat_interleave(repeat, dim=0)

    def columns_of(name: str, wanted: tuple[str, ...], names: tuple[str, ...]) -> torch.Tensor | None:
        return batch[name][..., [names.index(one) for one in wanted]] if wanted else None

    ahead, past = known_ahead(shape), known_past(shape)
    whole = context.new_zeros(len(context), shape.context + shape.horizon, 0)
    if ahead:
        parts = [
            columns_of("past_covariates", ahead, shape.past_covariates),
            columns_of("future_covariates", ahead, shape.future_covariates),
        ]
        whole = torch.cat([part for part in parts if part is not None], dim=1)
    only = columns_of("past_covariates", past, shape.past_covariates)
    static = batch["static"] if shape.static else context.new_zeros(len(context), 0)
    categorical = batch["categorical"] if shape.categories else context.new_zeros(len(context), 0)
    return Sequences(
        past=context.transpose(1, 2).flatten(0, 1),
        observed=observed.transpose(1, 2).flatten(0, 1),
        known=each(whole),
        past_only=each(only if only is not None else context[..., :0]),
        static=each(static),
        categorical=each(categorical.long()),
        start=each(batch["time"][:, 0]) if "time" in batch else None,
    )
