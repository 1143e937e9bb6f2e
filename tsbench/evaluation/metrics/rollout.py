"""Metrics of roll-outs of fields."""

from .base import Metric

METRICS: tuple[Metric, ...] = ()
