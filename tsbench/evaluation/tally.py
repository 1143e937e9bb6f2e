"""Tally: sufficient statistics of a scenario, by variable, by lead time and by independent unit.

Memory does not grow with the number of windows, except for one row a unit and for the values of a median.
Tallies of disjoint cases add up.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from tsbench.contracts import Forecast, Scenario
from tsbench.contracts.forecast import DECILES
from tsbench.contracts.result import SCORE_COLUMNS, UNIT_COLUMNS

from .metrics import Metric
from .metrics.base import Key
from .reading import Reading

Sums = torch.Tensor  # (statistic, ...): numerators, denominators, or those of a metric with more; float64
Scale = Callable[[int], torch.Tensor]
"""Power → seasonal error of a batch, float64, to be broadcast to (sample, lead_time, channel)."""
VALUES = 2**24
"""Values of a probabilistic forecast that are read at once; more are read some cases after others."""


class Tally:
    """Streaming sums of a scenario's statistics.

    Args:
        scenario: what is tallied.
        metrics: which metrics; the first sums are shared by metrics of one statistic.
        primary: name of the metric that is kept by unit.
        targets: names of the scored variables; empty where they are not told apart.
        horizon: steps.
        units: number of independent units.
        unit_windows: cases in a unit.
        cluster: of the scenario's units, or of each of them; the data set by default.
        quantiles: levels of the metrics that name none of their own.
        unit_of: unit of each case, int64, shape (case,), where units differ in their number of cases.
    """

    def __init__(
        self,
        scenario: Scenario,
        metrics: Sequence[Metric],
        primary: str,
        targets: Sequence[str],
        horizon: int,
        units: int,
        unit_windows: int,
        cluster: str | Sequence[str] | None = None,
        quantiles: Sequence[float] = DECILES,
        unit_of: torch.Tensor | None = None,
    ) -> None:
        self.scenario, self.metrics, self.primary, self.targets = scenario, metrics, primary, targets
        self.unit_windows, self.unit_of = unit_windows, unit_of
        self.cluster = cluster or scenario.dataset
        self.quantiles = tuple(quantiles)
        self.by_lead_and_variable: dict[Key, Sums] = {
            metric.key: torch.zeros(metric.sums, horizon, self._columns(metric), dtype=torch.float64)
            for metric in metrics
        }
        self.kept: dict[Key, list[Sums]] = {metric.key: [] for metric in metrics if metric.finish == "median"}
        first = self._primary
        columns = self._columns(first) if first.by_channel else 1
        self.by_unit = torch.zeros(first.sums, units, columns, dtype=torch.float64)

    def update(
        self,
        forecast: Forecast,
        observed: torch.Tensor,
        valid: torch.Tensor | None,
        scale: Scale,
        cases: torch.Tensor,
    ) -> None:
        """Add a batch.

        Args:
            forecast: of any kind, in metric space and the task's own shape.
            observed: truth, shaped as a point forecast.
            valid: mask of `observed`, or None for all.
            scale: seasonal error of the batch, by power.
            cases: case index of each sample, shape (sample,).

        Raises:
            InputError: where a metric needs something that a forecast of this kind does not say.
        """
        for part in _parts(forecast, len(cases)):
            values = forecast.values[part] if forecast.kind == "point" else forecast.values[:, part]
            double = torch.complex128 if values.is_complex() else torch.float64
            self._add(
                Reading(replace(forecast, values=values.to(double))),
                observed[part].to(double),
                None if valid is None else valid[part],
                lambda power, part=part: _of_cases(scale(power), part),
                cases[part],
            )

    def merge(self, other: "Tally") -> None:
        """Add the sums of other cases of the same scenario."""
        for key, sums in self.by_lead_and_variable.items():
            sums += other.by_lead_and_variable[key]
        for key, statistics in self.kept.items():
            statistics += other.kept[key]
        self.by_unit += other.by_unit

    def values(self) -> dict[str, float | None]:
        """Metric → value over the whole scenario."""
        totals = {metric.name: self._marginal(metric, (1, 2)).flatten().tolist() for metric in self.metrics}
        return {metric.name: metric.value(*totals[metric.name]) for metric in self.metrics}

    def score_columns(self) -> dict[str, list[Any]]:
        """Rows of scores.parquet: the total, then each variable, then each lead time.

        A metric of all channels together has no rows by variable.
        """
        columns: dict[str, list[Any]] = {name: [] for name in SCORE_COLUMNS}
        for metric in self.metrics:
            self._rows(columns, metric.name, [None], [None], self._marginal(metric, (1, 2)))
            if self.targets and not metric.joint:
                by_variable = self._marginal(metric, (1,))
                self._rows(columns, metric.name, self.targets, [None] * len(self.targets), by_variable)
            by_lead = self._marginal(metric, (2,))
            leads = range(1, by_lead.shape[1] + 1)
            self._rows(columns, metric.name, [None] * len(leads), leads, by_lead)
        return columns

    def unit_columns(self) -> dict[str, list[Any]]:
        """Rows of units.parquet: units in which something was counted."""
        recorded = _recorded(self._primary, self.by_unit, self.by_unit.shape[2])  # (2, unit)
        kept = recorded[1].nonzero().flatten().tolist()
        rows = len(kept)
        numerator, denominator = recorded[:, kept].tolist()
        same = isinstance(self.cluster, str)
        filled = {
            "scenario": [self.scenario.key] * rows,
            "condition": [self.scenario.condition] * rows,
            "cluster": [self.cluster] * rows if same else [self.cluster[unit] for unit in kept],
            "unit": kept,
            "metric": [self.primary] * rows,
            "numerator": numerator,
            "denominator": denominator,
        }
        return {name: filled[name] for name in UNIT_COLUMNS}

    @property
    def _primary(self) -> Metric:
        return next(metric for metric in self.metrics if metric.name == self.primary)

    def _columns(self, metric: Metric) -> int:
        return 1 if metric.joint else len(self.targets) or 1

    def _add(
        self,
        reading: Reading,
        observed: torch.Tensor,
        valid: torch.Tensor | None,
        scale: Scale,
        cases: torch.Tensor,
    ) -> None:
        metrics = {metric.key: metric for metric in self.metrics}
        for key, sums in self.by_lead_and_variable.items():
            metric = metrics[key]
            # (statistic, sample, lead_time, channel)
            statistics = torch.stack(self._statistics(metric, reading, observed, scale(metric.power), valid))
            if valid is not None and not metric.masked:
                mask = valid.all(dim=-1, keepdim=True) if metric.joint else valid
                statistics = torch.where(mask, statistics, 0.0)
            if key in self.kept:
                self.kept[key].append(statistics)
            told_apart = self.targets and not metric.joint
            sums += statistics.sum(dim=1) if told_apart else statistics.sum(dim=(1, 3))[..., None]
            if key == self._primary.key:
                by_case = statistics.sum(dim=2)  # (statistic, sample, channel)
                if self.by_unit.shape[2] == 1:
                    by_case = statistics.sum(dim=(2, 3))[..., None]
                units = cases // self.unit_windows if self.unit_of is None else self.unit_of[cases]
                self.by_unit.index_add_(1, units, by_case)

    def _statistics(
        self,
        metric: Metric,
        reading: Reading,
        observed: torch.Tensor,
        scale: torch.Tensor,
        valid: torch.Tensor | None,
    ) -> tuple[torch.Tensor, ...]:
        """Statistics of what the metric reads of the forecast."""
        levels = metric.levels or self.quantiles
        truth = (observed, scale, valid) if metric.masked else (observed, scale)
        if metric.reads == "point":
            return metric.statistic(reading.point, *truth)
        if metric.reads == "quantiles":
            return metric.statistic(reading.quantiles(levels, metric.name), *truth)
        if reading.forecast.kind == "quantiles" and metric.of_quantiles is not None:
            return metric.of_quantiles(reading.quantiles(levels, metric.name), *truth)
        return metric.statistic(reading.samples(metric.name), *truth)

    def _marginal(self, metric: Metric, over: tuple[int, ...]) -> Sums:
        """What is recorded, summed over lead times (1) and variables (2), shape (2, what is left)."""
        if metric.finish == "median":
            return self._median(metric, over)
        sums = self.by_lead_and_variable[metric.key]
        columns = sums.shape[2]
        if not metric.composed(columns):
            return sums.sum(dim=over).reshape(2, -1)
        kept = sums.sum(dim=1, keepdim=True) if 1 in over else sums
        if 2 not in over:
            kept = kept.reshape(len(kept), -1, 1)  # each variable on its own
        return _recorded(metric, kept, columns)

    def _median(self, metric: Metric, over: tuple[int, ...]) -> Sums:
        pairs = torch.cat(self.kept[metric.key], dim=1)  # (2, sample, lead_time, channel)
        counts = (pairs[1] > 0).sum(dim=(0, *over)).double()
        medians = np.nanmedian((pairs[0] / pairs[1]).numpy(), axis=(0, *over))
        return torch.stack([torch.from_numpy(np.asarray(medians)) * counts, counts]).reshape(2, -1)

    def _rows(
        self, columns: dict[str, list[Any]], metric: str, variables: Sequence, leads: Sequence, sums: Sums
    ) -> None:
        rows = sums.shape[1]
        numerator, denominator = sums.tolist()
        added = {
            "scenario": [self.scenario.key] * rows,
            "condition": [self.scenario.condition] * rows,
            "variable": list(variables),
            "level": [None] * rows,
            "region": [None] * rows,
            "lead_time": list(leads),
            "metric": [metric] * rows,
            "numerator": numerator,
            "denominator": denominator,
        }
        for name, values in added.items():
            columns[name] += values


def _recorded(metric: Metric, sums: Sums, columns: int) -> Sums:
    """Numerators and denominators as they are recorded: (statistic, row, channel) → (2, row).

    Args:
        metric: whose sums they are.
        sums: by row and channel.
        columns: channels of the whole scenario, which decide how the metric is recorded.
    """
    if not metric.composed(columns):
        return sums.sum(dim=2)
    values = metric.compose(sums).mean(dim=1) if metric.by_channel else metric.compose(sums.sum(dim=2))
    weights = torch.where(values.isnan(), 0.0, sums[-1].sum(dim=1))
    return torch.stack([values.nan_to_num() * weights, weights])


def _parts(forecast: Forecast, cases: int) -> Iterator[slice]:
    """Slices of the cases, so that what is computed of many members or quantiles stays small."""
    size = cases
    if forecast.kind != "point":
        size = max(1, VALUES // max(1, forecast.values[:, :1].numel()))
    return (slice(start, min(start + size, cases)) for start in range(0, cases, max(size, 1)))


def _of_cases(scale: torch.Tensor, part: slice) -> torch.Tensor:
    """The scale of some cases; one that all cases share has no dimension for them."""
    return scale[part] if scale.ndim == 3 and len(scale) > 1 else scale
