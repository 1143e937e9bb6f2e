"""Disturbances of panels, by name."""

from tsbench.data.disturbances import Disturbance

DISTURBANCES: dict[str, Disturbance] = {}
