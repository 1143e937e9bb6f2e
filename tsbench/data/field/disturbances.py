"""Disturbances of maps, by name."""

from tsbench.data.disturbances import Disturbance

DISTURBANCES: dict[str, Disturbance] = {}
