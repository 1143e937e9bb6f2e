"""Disturbances of roll-outs of fields, by name."""

from tsbench.data.disturbances import Disturbance

DISTURBANCES: dict[str, Disturbance] = {}
