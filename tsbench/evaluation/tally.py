"""Tally: sufficient statistics of a scenario, by variable, by lead time and by independent unit.

Variables may be told apart further, by level and region (`Column`); then each is kept at each lead time too.

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
from tsbench.contracts.result import SCORE_COLUMNS, UNIT_COLUMNS, Column

from .metrics import Metric
from .metrics.base import Key
from .reading import Reading

Sums = torch.Tensor  # (statistic, ...): numerators, denominators, or those of a metric with more; float64
Scale = Callable[[int], Any]
"""Power → seasonal error of a batch, float64, to be broadcast to (sample, lead_time, channel); for tasks of
another shape whatever their metrics read, with `[slice of the cases]`."""
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
        columns: what statistics are told apart by, where that is more than `targets`; totals are over those
            without a region.
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
        columns: Sequence[Column] = (),
    ) -> None:
        self.scenario, self.metrics, self.primary = scenario, metrics, primary
        self.columns, self.cells = list(columns) or [Column(name) for name in targets], bool(columns)
        self.whole = [place for place, one in enumerate(self.columns) if one.region is None]
        self.unit_windows, self.unit_of = unit_windows, unit_of
        one = cluster or scenario.dataset
        self.clusters = [one] * units if isinstance(one, str) else one
        self.quantiles = tuple(quantiles)
        self.by_lead_and_variable: dict[Key, Sums] = {
            metric.key: torch.zeros(metric.sums, horizon, self._width(metric), dtype=torch.float64)
            for metric in metrics
        }
        self.kept: dict[Key, list[Sums]] = {metric.key: [] for metric in metrics if metric.finish == "median"}
        first = self._primary
        channels = min(self._width(first), len(self.whole) or 1) if first.by_channel else 1
        self.by_unit = torch.zeros(first.sums, units, channels, dtype=torch.float64)

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
        """Rows of scores.parquet: the total, then by variable, by lead time, and by both for `columns`.

        A metric of all channels together has no rows by variable.
        """
        columns: dict[str, list[Any]] = {name: [] for name in SCORE_COLUMNS}
        leads = range(1, self.by_lead_and_variable[self._primary.key].shape[1] + 1)
        for metric in self.metrics:
            told_apart = self.columns if not metric.joint else []
            if not self._has_no_total(metric):
                self._rows(columns, metric.name, [None], [None], self._marginal(metric, (1, 2)))
            if told_apart:
                by_variable = self._marginal(metric, (1,))
                self._rows(columns, metric.name, told_apart, [None] * len(told_apart), by_variable)
            if not self._has_no_total(metric):
                self._rows(columns, metric.name, [None] * len(leads), leads, self._marginal(metric, (2,)))
            if told_apart and self.cells:
                at = [lead for lead in leads for _ in told_apart]
                self._rows(columns, metric.name, told_apart * len(leads), at, self._marginal(metric, ()))
        return columns

    def unit_columns(self) -> dict[str, list[Any]]:
        """Rows of units.parquet: units in which something was counted."""
        recorded = _recorded(self._primary, self.by_unit, self.by_unit.shape[2])  # (2, unit)
        kept = recorded[1].nonzero().flatten().tolist()
        rows = len(kept)
        numerator, denominator = recorded[:, kept].tolist()
        filled = {
            "scenario": [self.scenario.key] * rows,
            "condition": [self.scenario.condition] * rows,
            "cluster": [self.clusters[unit] for unit in kept],
            "unit": kept,
            "metric": [self.primary] * rows,
            "numerator": numerator,
            "denominator": denominator,
        }
        return {name: filled[name] for name in UNIT_COLUMNS}

    @property
    def _primary(self) -> Metric:
        return next(metric for metric in self.metrics if metric.name == self.primary)

    def _width(self, metric: Metric) -> int:
        return 1 if metric.joint else len(self.columns) or 1

    def _has_no_total(self, metric: Metric) -> bool:
        return metric.apart and len(self.whole) > 1

    def _of_whole(self, statistics: torch.Tensor) -> torch.Tensor:
        """Without the columns of regions, which are the last dimension."""
        regional = self.columns and len(self.whole) < len(self.columns) == statistics.shape[-1]
        return statistics[..., self.whole] if regional else statistics

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
            told_apart = self.columns and not metric.joint
            sums += statistics.sum(dim=1) if told_apart else statistics.sum(dim=(1, 3))[..., None]
            if key == self._primary.key:
                statistics = self._of_whole(statistics)
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
        scale: Any,
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
        if 2 in over:
            sums = self._of_whole(sums)
            if self._has_no_total(metric):
                sums = torch.zeros_like(sums)
        columns = sums.shape[2]
        if not metric.composed(columns):
            return (sums.sum(dim=over) if over else sums).reshape(2, -1)
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
        self, columns: dict[str, list[Any]], metric: str, told: Sequence, leads: Sequence, sums: Sums
    ) -> None:
        """Add rows; `told`: the column of each, or None."""
        rows = sums.shape[1]
        numerator, denominator = sums.tolist()
        added = {
            "scenario": [self.scenario.key] * rows,
            "condition": [self.scenario.condition] * rows,
            "variable": [one and one.variable for one in told],
            "level": [one and one.level for one in told],
            "region": [one and one.region for one in told],
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


def _of_cases(scale: Any, part: slice) -> Any:
    """The scale of some cases; one that all cases share has no dimension for them."""
    if not isinstance(scale, torch.Tensor):
        return scale[part]
    return scale[part] if scale.ndim == 3 and len(scale) > 1 else scale
