"""Reads channels of a store of fields into one tensor: variables, or variables at a level."""

from typing import NamedTuple

import numpy as np
import torch
import xarray as xr

from tsbench.contracts import InputError, Task

from .geometry import check_ascending

ROWS = ("latitude", "longitude")
MEMORY_LIMIT = 16 * 2**30
"""Bytes of fields that are held in memory."""


class Channel(NamedTuple):
    """A variable of a store, at a level where it has such."""

    variable: str
    level: str | None = None

    @property
    def name(self) -> str:
        """As tasks write it: `geopotential@500`."""
        return self.variable if self.level is None else f"{self.variable}@{self.level}"

    @classmethod
    def of(cls, name: str) -> "Channel":
        """The channel of that name."""
        variable, _, level = name.partition("@")
        return cls(variable, level or None)


def channels_of(opened: xr.Dataset) -> list[Channel]:
    """Every channel of a store: each variable that changes in time, at each of its levels."""
    found = []
    for name, array in opened.data_vars.items():
        if not {"time", *ROWS} <= set(array.dims):
            continue
        levels = [f"{one:g}" for one in array["level"].values] if "level" in array.dims else [None]
        found += [Channel(str(name), level) for level in levels]
    return found


def read_channels(opened: xr.Dataset, name: str, task: Task) -> tuple[torch.Tensor, tuple[Channel, ...]]:
    """The fields that a task reads or scores.

    Args:
        opened: the store.
        name: of the data set, for messages.
        task: names the channels.

    Returns:
        float32, shape (member, time, channel, latitude, longitude), and the channels.

    Raises:
        InputError: where a variable or level is missing, latitudes descend, or a value is not finite.
    """
    for needed in ("time", *ROWS):
        if needed not in opened.coords:
            raise InputError(f"'{name}' is no store of fields: it has no coordinate '{needed}'")
    check_ascending(np.asarray(opened["latitude"].values, np.float64), f"'{name}'")
    there = channels_of(opened)
    read = [one.name for one in there] if task.variables == "all" else list(task.variables)
    wanted = [] if task.targets == "all" else list(task.targets)
    channels = tuple(Channel.of(one) for one in dict.fromkeys([*read, *wanted]))
    for one in channels:
        if one not in there:
            held = ", ".join(known.name for known in there) or "no field"
            raise InputError(f"'{name}' has no variable '{one.name}'; it has {held}")
    sizes = {"member": 1, **opened.sizes}
    shape = (sizes["member"], sizes["time"], len(channels), sizes["latitude"], sizes["longitude"])
    if int(np.prod(shape, dtype=np.int64)) * 4 > MEMORY_LIMIT:
        raise InputError(
            f"'{name}': {len(channels)} channels of {shape[1]} steps take {np.prod(shape) * 4 / 1e9:.0f} GB "
            "of memory; choose fewer variables, or a coarser grid"
        )
    fields = torch.empty(shape, dtype=torch.float32)
    for place, channel in enumerate(channels):
        values = _array(opened, channel)
        if not np.isfinite(values).all():
            raise InputError(
                f"'{name}': variable '{channel.name}' has missing values, which the task refuses"
            )
        fields[:, :, place] = torch.from_numpy(values)
    return fields, channels


def read_statics(opened: xr.Dataset, name: str, statics: tuple[str, ...]) -> torch.Tensor:
    """Fields without time, float32, shape (member or 1, static, latitude, longitude).

    Raises:
        InputError: where one is missing.
    """
    sizes = opened.sizes
    members = sizes.get("member", 1)
    fields = torch.empty(members, len(statics), sizes["latitude"], sizes["longitude"])
    for place, one in enumerate(statics):
        if one not in opened.data_vars or "time" in opened[one].dims:
            known = [str(key) for key, array in opened.data_vars.items() if "time" not in array.dims]
            raise InputError(f"'{name}' has no static field '{one}'; it has {', '.join(known) or 'none'}")
        array = opened[one]
        own = array.transpose("member", *ROWS) if "member" in array.dims else array.transpose(*ROWS)
        fields[:, place] = torch.from_numpy(np.asarray(own.values, np.float32))
    return fields


def _array(opened: xr.Dataset, channel: Channel) -> np.ndarray:
    """Values of a channel, float32, shape (member or 1, time, latitude, longitude)."""
    array = opened[channel.variable]
    if channel.level is not None:
        array = array.sel(level=float(channel.level))
    if "member" not in array.dims:
        array = array.expand_dims("member")
    return np.asarray(array.transpose("member", "time", *ROWS).values, np.float32)
