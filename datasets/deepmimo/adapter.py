"""Builds stores of DeepMIMO scenarios in the form of CSI-RRG, and makes the tasks of each."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from tsbench.contracts import InputError, Task
from tsbench.data import prepare, store
from tsbench.data.adapter import BuildRequest

from ..csi_rrg.adapter import cell_dataset
from ..csi_rrg.grid import Cell, Link
from .folder import read_folder
from .rays import LIGHT, Rays, delay_spread, panel, responses, synchronised

if TYPE_CHECKING:
    import xarray as xr

STRETCHES = 20
"""Parts of the users in the order of the files; of ten the ninth is for validation, the tenth for test."""
BATCH = 32
FDD = "-fdd"


def build(request: BuildRequest) -> "xr.Dataset":
    """Read a scenario and sum its rays.

    Raises:
        InputError: with the first mistake, file and what would be right, or where the users are too few.
    """
    asked = request.parameters
    frequency, rays = read_folder(request.files)
    users = len(rays.power)
    chosen = np.unique(np.linspace(0, users - 1, min(users, asked["users"])).round().astype(int))
    if len(chosen) < STRETCHES:
        raise InputError(f"'{request.name}' has {users} users with a path; at least {STRETCHES} are needed")
    rays = synchronised(rays.take(chosen))
    link = Link(every=asked["every"], carrier=frequency)
    random = np.random.default_rng(_seed(request))
    speed = random.choice(np.array(asked["speeds"], dtype=float), len(chosen))
    drawn = _responses(link, rays, panel(asked["rows"], asked["columns"]), _velocity(random, speed))
    uplink, downlink = np.split(drawn, 2, axis=-1)
    steps = link.history
    dataset = cell_dataset(
        link,
        Cell("test-regular", request.name, 0, 0),
        uplink[:, :, :steps],
        uplink[:, :, steps:],
        downlink[:, :, steps:],
    )
    stretch = np.arange(len(chosen)) * STRETCHES // len(chosen)
    labels = np.where(stretch % 10 == 8, "validation", np.where(stretch % 10 == 9, "test-regular", "train"))
    changed = {
        "split": labels.astype(object),
        "delay_spread": delay_spread(rays) * 1e9,
        "speed": speed,
        "cell": np.array([f"users_{number:02d}" for number in stretch], dtype=object),
    }
    for name, values in changed.items():
        dataset[name] = dataset[name].copy(data=values)
    dataset["channel_model"].attrs["long_name"] = "ray-traced scenario"
    dataset["cell"].attrs["long_name"] = "stretch of users in the order of the files"
    dataset.attrs["doppler"] = "corrected"
    return dataset


def task(name: str) -> Task:
    """The task of a scenario that is prepared: NAME forecasts the same band, NAME-fdd the downlink band.

    Raises:
        InputError: where the scenario is not prepared.
    """
    fdd = name.endswith(FDD)
    band = "the downlink band" if fdd else "the same band"
    dataset = name.removesuffix(FDD)
    opened = store.open_lazily(prepare.ensure(dataset))
    tested = opened["split"].values == "test-regular"
    speeds = sorted(set(opened["speed"].values[tested].tolist()))
    white = {"name": "sample_awgn", "parameter": "snr_db", "levels": (0, 5, 10, 15, 20, 25)}
    noise = {"disturbance": "sample_awgn", "low": 0, "high": 25, "draw": "once", "space": "normalised"}
    target = "target_downlink" if fdd else "target_uplink"
    return Task.model_validate(
        {
            "name": name,
            "version": 1,
            "title": f"{dataset.partition('-')[2]}, 4 snapshots ahead in {band}",
            "dataset": dataset,
            "samples": {"view": "csi", "context": "history_uplink", "target": target},
            "horizon": 4,
            "period": 4,
            "max_context": 16,
            "split": {"kind": "labels", "train": "train", "validation": "validation", "test": "test-regular"},
            "normalisation": "zscore_parts",
            "space": "units",
            "training_noise": noise,
            "conditions": {
                "regular": [{"cells": {"speed": speeds}, "disturbance": {**white, "space": "normalised"}}],
                "robustness": {"not_applicable": "not asked for"},
                "generalisation": {"not_applicable": "the files name no unseen users"},
            },
            "metrics": ["nmse", "nmse_median", "nmse_db", "sse", "se", "beam_gain"],
            "primary": "nmse",
            "unit": {"kind": "sample"},
            "cluster": "cell",
        }
    )


def _responses(link: Link, rays: Rays, antennas: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Uplink, then downlink band, of unit mean energy, complex64, (user, antenna, snapshot, subcarrier)."""
    times = link.interval * np.arange(link.snapshots)
    frequencies = np.array([link.offset(subcarrier) for subcarrier in range(link.subcarriers)])
    kept = []
    for start in range(0, len(rays.power), BATCH):
        users = np.arange(start, min(start + BATCH, len(rays.power)))
        whole = responses(
            rays.take(users), antennas, velocity[users], times, frequencies, LIGHT / link.carrier
        )
        scale = np.sqrt(np.square(np.abs(whole)).mean(axis=(1, 2, 3), keepdims=True))
        kept.append((whole[..., list(link.kept)] / scale).astype(np.complex64))
    return np.concatenate(kept)


def _velocity(random: np.random.Generator, speed: np.ndarray) -> np.ndarray:
    """Horizontal velocities of any direction alike, shape (user, 3)."""
    angle = random.uniform(0, 2 * np.pi, len(speed))
    return speed[:, None] * np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1)


def _seed(request: BuildRequest) -> int:
    digest = hashlib.blake2b(f"{request.seed}/{request.name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")
