"""Metrics of maps."""

from .base import Metric

METRICS: tuple[Metric, ...] = ()
