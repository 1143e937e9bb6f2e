"""Tally: sufficient statistics of a scenario, by variable, by lead time and by independent unit.

Memory does not grow with the number of windows, except for one row a unit and for the values of a median.
Tallies of disjoint cases add up.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tsbench.contracts import Scenario
from tsbench.contracts.result import SCORE_COLUMNS, UNIT_COLUMNS

from .metrics import Metric, Statistic

Sums = torch.Tensor  # (2, ...): numerators, denominators; float64


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
        cluster: of the scenario's units; the data set by default.
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
        cluster: str | None = None,
    ) -> None:
        self.scenario, self.metrics, self.primary, self.targets = scenario, metrics, primary, targets
        self.unit_windows = unit_windows
        self.cluster = cluster or scenario.dataset
        self.by_lead_and_variable = {
            metric.statistic: torch.zeros(2, horizon, len(targets) or 1, dtype=torch.float64)
            for metric in metrics
        }
        self.kept: dict[Statistic, list[torch.Tensor]] = {
            metric.statistic: [] for metric in metrics if metric.finish == "median"
        }
        self.by_unit = torch.zeros(2, units, dtype=torch.float64)

    def update(
        self,
        forecast: torch.Tensor,
        observed: torch.Tensor,
        valid: torch.Tensor | None,
        scale: torch.Tensor,
        cases: torch.Tensor,
    ) -> None:
        """Add a batch.

        Args:
            forecast: point forecast in metric space and the task's own shape.
            observed: truth, same shape.
            valid: mask of `observed`, or None for all.
            scale: seasonal error of the training part, float64, shape (channel,).
            cases: case index of each sample, shape (sample,).
        """
        double = torch.complex128 if forecast.is_complex() else torch.float64
        forecast, observed = forecast.to(double), observed.to(double)
        primary = next(metric for metric in self.metrics if metric.name == self.primary)
        for statistic, sums in self.by_lead_and_variable.items():
            pair = torch.stack(statistic(forecast, observed, scale))  # (2, sample, lead_time, channel)
            if valid is not None:
                pair = torch.where(valid, pair, 0.0)
            if statistic in self.kept:
                self.kept[statistic].append(pair)
            sums += pair.sum(dim=1) if self.targets else pair.sum(dim=(1, 3))[..., None]
            if statistic is primary.statistic:
                self.by_unit.index_add_(1, cases // self.unit_windows, pair.sum(dim=(2, 3)))

    def merge(self, other: "Tally") -> None:
        """Add the sums of other cases of the same scenario."""
        for statistic, sums in self.by_lead_and_variable.items():
            sums += other.by_lead_and_variable[statistic]
        for statistic, pairs in self.kept.items():
            pairs += other.kept[statistic]
        self.by_unit += other.by_unit

    def values(self) -> dict[str, float | None]:
        """Metric → value over the whole scenario."""
        totals = {metric.name: self._marginal(metric, (1, 2)).flatten().tolist() for metric in self.metrics}
        return {metric.name: metric.value(*totals[metric.name]) for metric in self.metrics}

    def score_columns(self) -> dict[str, list[Any]]:
        """Rows of scores.parquet: the total, then each variable, then each lead time."""
        columns: dict[str, list[Any]] = {name: [] for name in SCORE_COLUMNS}
        for metric in self.metrics:
            self._rows(columns, metric.name, [None], [None], self._marginal(metric, (1, 2)))
            if self.targets:
                by_variable = self._marginal(metric, (1,))
                self._rows(columns, metric.name, self.targets, [None] * len(self.targets), by_variable)
            by_lead = self._marginal(metric, (2,))
            leads = range(1, by_lead.shape[1] + 1)
            self._rows(columns, metric.name, [None] * len(leads), leads, by_lead)
        return columns

    def unit_columns(self) -> dict[str, list[Any]]:
        """Rows of units.parquet: units in which something was counted."""
        kept = self.by_unit[1].nonzero().flatten().tolist()
        rows = len(kept)
        numerator, denominator = self.by_unit[:, kept].tolist()
        filled = {
            "scenario": [self.scenario.key] * rows,
            "condition": [self.scenario.condition] * rows,
            "cluster": [self.cluster] * rows,
            "unit": kept,
            "metric": [self.primary] * rows,
            "numerator": numerator,
            "denominator": denominator,
        }
        return {name: filled[name] for name in UNIT_COLUMNS}

    def _marginal(self, metric: Metric, over: tuple[int, ...]) -> Sums:
        """Statistics summed over lead times (1) and variables (2), shape (2, what is left)."""
        if metric.finish != "median":
            return self.by_lead_and_variable[metric.statistic].sum(dim=over).reshape(2, -1)
        pairs = torch.cat(self.kept[metric.statistic], dim=1)  # (2, sample, lead_time, channel)
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
