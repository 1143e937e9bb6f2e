"""Tally: sufficient statistics of a scenario, by variable, by lead time and by independent unit.

Memory does not grow with the number of windows, except for one row a unit. Tallies of disjoint cases add up.
"""

from collections.abc import Sequence
from typing import Any

import torch

from tsbench.contracts import Scenario
from tsbench.contracts.result import SCORE_COLUMNS, UNIT_COLUMNS

from .metrics import Metric

Sums = torch.Tensor  # (2, ...): numerators, denominators; float64


class Tally:
    """Streaming sums of a scenario's statistics.

    Args:
        scenario: what is tallied.
        metrics: which metrics; the first sums are shared by metrics of one statistic.
        primary: name of the metric that is kept by unit.
        targets: names of the scored variables.
        horizon: steps.
        units: number of independent units.
        unit_windows: cases in a unit.
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
    ) -> None:
        self.scenario, self.metrics, self.primary, self.targets = scenario, metrics, primary, targets
        self.unit_windows = unit_windows
        self.by_lead_and_variable = {
            metric.statistic: torch.zeros(2, horizon, len(targets), dtype=torch.float64) for metric in metrics
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
            forecast: point forecast in metric space, shape (sample, lead_time, channel).
            observed: truth, same shape.
            valid: mask of `observed`, or None for all.
            scale: seasonal error of the training part, float64, shape (channel,).
            cases: case index of each sample, shape (sample,).
        """
        forecast, observed = forecast.double(), observed.double()
        primary = next(metric for metric in self.metrics if metric.name == self.primary)
        for statistic, sums in self.by_lead_and_variable.items():
            pair = torch.stack(statistic(forecast, observed, scale))  # (2, sample, lead_time, channel)
            if valid is not None:
                pair = torch.where(valid, pair, 0.0)
            sums += pair.sum(dim=1)
            if statistic is primary.statistic:
                self.by_unit.index_add_(1, cases // self.unit_windows, pair.sum(dim=(2, 3)))

    def merge(self, other: "Tally") -> None:
        """Add the sums of other cases of the same scenario."""
        for statistic, sums in self.by_lead_and_variable.items():
            sums += other.by_lead_and_variable[statistic]
        self.by_unit += other.by_unit

    def values(self) -> dict[str, float | None]:
        """Metric → value over the whole scenario."""
        totals = {key: sums.sum(dim=(1, 2)).tolist() for key, sums in self.by_lead_and_variable.items()}
        return {metric.name: metric.value(*totals[metric.statistic]) for metric in self.metrics}

    def score_columns(self) -> dict[str, list[Any]]:
        """Rows of scores.parquet: the total, then each variable, then each lead time."""
        columns: dict[str, list[Any]] = {name: [] for name in SCORE_COLUMNS}
        for metric in self.metrics:
            sums = self.by_lead_and_variable[metric.statistic]
            self._rows(columns, metric.name, [None], [None], sums.sum(dim=(1, 2))[:, None])
            self._rows(columns, metric.name, self.targets, [None] * len(self.targets), sums.sum(dim=1))
            leads = range(1, sums.shape[1] + 1)
            self._rows(columns, metric.name, [None] * len(leads), leads, sums.sum(dim=2))
        return columns

    def unit_columns(self) -> dict[str, list[Any]]:
        """Rows of units.parquet: units in which something was counted."""
        kept = self.by_unit[1].nonzero().flatten().tolist()
        rows = len(kept)
        numerator, denominator = self.by_unit[:, kept].tolist()
        filled = {
            "scenario": [self.scenario.key] * rows,
            "condition": [self.scenario.condition] * rows,
            "cluster": [self.scenario.dataset] * rows,
            "unit": kept,
            "metric": [self.primary] * rows,
            "numerator": numerator,
            "denominator": denominator,
        }
        return {name: filled[name] for name in UNIT_COLUMNS}

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
