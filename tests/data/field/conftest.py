"""Small stores of maps in memory, and tasks on them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tsbench.contracts import Provenance, Task
from tsbench.data.field.data import FieldData

CELLS, SPACING, SAMPLES = 12, 4.0, 10


def maps(volume: bool = False, seed: int = 0) -> xr.Dataset:
    """Ten samples of five scenes: blocks of buildings, gains that fall with distance, cells without a path."""
    random = np.random.default_rng(seed)
    heights = np.array([1.5, 9.5]) if volume else np.array([1.5])
    building = np.zeros((SAMPLES, CELLS, CELLS), np.float32)
    for scene in range(SAMPLES // 2):
        for number in range(3):
            row, column = random.integers(0, CELLS - 4, 2)
            building[2 * scene : 2 * scene + 2, row : row + 3, column : column + 3] = 8 + 3 * number
    position = np.stack([*random.uniform(-20, 20, (2, SAMPLES)), np.full(SAMPLES, 25.0)], axis=1)
    offsets = (np.arange(CELLS) + 0.5) * SPACING - CELLS * SPACING / 2
    x, y, z = offsets[None, None, None], -offsets[None, None, :, None], heights[None, :, None, None]
    east, north, up = (
        place[:, None, None, None] - one for place, one in zip(position.T, (x, y, z), strict=True)
    )
    distance = np.sqrt(east**2 + north**2 + up**2)
    gain = -60 - 20 * np.log10(distance) + random.normal(0, 3, distance.shape)
    outdoor = heights[None, :, None, None] > building[:, None]
    reached = outdoor & (random.random(distance.shape) < 0.9)
    found = {
        "path_gain": np.where(reached, gain, -160.0),
        "rss": np.where(reached, gain + 30, -160.0),
        "outdoor": outdoor,
        "reached": reached,
        "delay": np.where(reached, distance / 0.299792458, np.nan),
        "arrival_azimuth": np.where(reached, np.degrees(np.arctan2(north, east)) % 360, np.nan),
        "arrival_zenith": np.where(reached, np.degrees(np.arccos(up / distance)), np.nan),
    }
    whole = ("sample", "z", "y", "x") if volume else ("sample", "y", "x")
    variables: dict[str, Any] = {
        name: (
            whole,
            (values if volume else values[:, 0]).astype(bool if values.dtype == bool else np.float32),
        )
        for name, values in found.items()
    }
    variables["building_height"] = (("sample", "y", "x"), building)
    variables["transmitter_position"] = (("sample", "coordinate"), position.astype(np.float32))
    split = ["train"] * 4 + ["validation"] * 2 + ["test-regular"] * 2 + ["test-style"] * 2
    coordinates: dict[str, Any] = {
        "x": ("x", offsets),
        "y": ("y", -offsets),
        "z": ("z", heights) if volume else ((), heights[0]),
        "coordinate": ("coordinate", np.array(["x", "y", "z"], object)),
        "split": ("sample", np.array(split, object)),
        "scene": ("sample", np.array([f"scene{one // 2}" for one in range(SAMPLES)], object)),
        "style": ("sample", np.array(["grid"] * 8 + ["towers"] * 2, object)),
        "carrier_frequency": ("sample", np.full(SAMPLES, 3640.0)),
        "transmitter_azimuth": ("sample", random.uniform(0, 360, SAMPLES)),
    }
    return xr.Dataset(variables, coordinates, {"cell_size_m": SPACING})


def task(layout: dict[str, Any] | None = None, **changes: Any) -> Task:
    """A task on such a store; `layout` replaces keys of `field`, other arguments those of the declaration."""
    declared: dict[str, Any] = {
        "name": "maps",
        "version": 1,
        "kind": "field",
        "dataset": "user-maps",
        "field": {"context": ["building_height", "transmitter", "log_distance"], "target": ["path_gain"]},
        "horizon": 1,
        "period": 1,
        "max_context": 1,
        "split": {"kind": "labels", "test": "test-regular"},
        "normalisation": "zscore",
        "space": "units",
        "conditions": {
            "robustness": {"not_applicable": "not asked for"},
            "generalisation": [{"part": "test-style", "cells": {"style": ["towers"]}}],
        },
        "metrics": ["rmse_outdoor"],
        "primary": "rmse_outdoor",
        "unit": {"kind": "sample"},
        "cluster": "scene",
    }
    declared["field"] |= layout or {}
    return Task.model_validate(declared | changes)


SPARSE = {
    "context": ["building_height", "transmitter", "log_distance", "rss"],
    "target": ["rss"],
    "sparse": {"array": "rss", "count": 20, "least": 3, "most": 9, "noise": 3},
}


@pytest.fixture(scope="session")
def made_maps() -> Callable[..., xr.Dataset]:
    """`made_maps(volume=False, seed=0)` makes a store of maps."""
    return maps


@pytest.fixture(scope="session")
def map_task() -> Callable[..., Task]:
    """`map_task(layout, **changes)` makes a task on it."""
    return task


@pytest.fixture(scope="session")
def sparse() -> dict[str, Any]:
    """Layout of a task with sparse samples."""
    return SPARSE


@pytest.fixture(scope="session")
def open_maps() -> Callable[..., FieldData]:
    """`open_maps(store, layout, **changes)` opens a task on a store in memory."""

    def open_(
        store: xr.Dataset | None = None, layout: dict[str, Any] | None = None, **changes: Any
    ) -> FieldData:
        provenance = Provenance(
            dataset="user-maps",
            adapter="made",
            generator_version=1,
            parameters={},
            size="full",
            seed=None,
            files={},
        )
        return FieldData.of(
            task(layout, **changes), "user-maps", maps() if store is None else store, provenance
        )

    return open_
