"""Metrics of panels."""

from .base import Metric

METRICS: tuple[Metric, ...] = ()
