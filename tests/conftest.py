"""What all tests share: real files where they are at hand, folders of their own for stores and runs, and made data.

The project's real files lie in `../shared` beside the checkout, or where TSBENCH_DATA_SOURCE and TSBENCH_FIXTURES
say. A test that needs a file which is not there is skipped with the reason; with TSBENCH_REQUIRE_DATA=1 it fails.
"""

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import settings

# A busy machine is no reason for a law to fail.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

SHARED = Path(__file__).parents[2] / "shared"
# Read before any test takes these variables out of the environment.
DATA = Path(os.environ.get("TSBENCH_DATA_SOURCE") or SHARED / "data")
FIXTURES = Path(os.environ.get("TSBENCH_FIXTURES") or SHARED / "fixtures")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the published data files."""
    return _folder(DATA, "TSBENCH_DATA_SOURCE")


@pytest.fixture(scope="session")
def shared_fixtures() -> Path:
    """Folder of the numeric fixtures of official implementations."""
    return _folder(FIXTURES, "TSBENCH_FIXTURES")


@pytest.fixture(scope="session")
def stores_root(tmp_path_factory) -> Path:
    """Folder of the stores of this session, so that no test writes in the user's cache."""
    return tmp_path_factory.mktemp("stores")


@pytest.fixture(autouse=True)
def own_folders(monkeypatch, tmp_path, stores_root) -> None:
    """Stores of the session, runs of the test, and no published file that a test did not ask for."""
    monkeypatch.setenv("TSBENCH_DATA", str(stores_root))
    monkeypatch.setenv("TSBENCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("TSBENCH_DATA_SOURCE", raising=False)


@pytest.fixture(scope="session", autouse=True)
def sources_parsed_once() -> Iterator[None]:
    """Syntax trees of sources are written out once a session.

    A run remembers them in its folder of runs, which each test has of its own: without this, most of what a test
    of a small run takes is the hash of the code. What a source says decides, so that a changed one is read anew.
    """
    from tsbench.jobs import code

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "syntax", cache(code.syntax))
        yield


@pytest.fixture
def stores(request) -> Callable[[str], Path]:
    """Prepares a data set once a session: `stores("etth1")` gives the store's path."""
    from tsbench import registry
    from tsbench.data.prepare import prepare
    from tsbench.data.store import store_path

    def prepared(name: str) -> Path:
        if store_path(name).exists():
            return store_path(name)
        published = registry.dataset(name).variant.files
        if not published:
            return prepare(name)
        folder = request.getfixturevalue("shared_data")
        for file in published:
            if not any((folder / known).is_file() for known in (file.name, *file.alternatives)):
                _missing(f"{folder} holds no {file.name}")
        return prepare(name, folder)

    return prepared


@pytest.fixture(scope="session")
def waves():
    """Makes an hourly table of sines with noise: SeriesTable of `rows` × `channels`, seeded."""
    from tsbench.data.series import SeriesTable

    def make(rows: int = 600, channels: int = 2, seed: int = 0, name: str = "user-waves") -> SeriesTable:
        generator = np.random.default_rng(seed)
        hours = np.arange(rows)[:, None]
        season = np.sin(2 * np.pi * (hours / 24 + np.arange(channels) / 7))
        noise = 0.3 * generator.standard_normal((rows, channels))
        values = 10 * (1 + np.arange(channels)) + 3 * season + noise
        time = np.datetime64("2024-01-01T00", "ns") + np.arange(rows) * np.timedelta64(1, "h")
        names = tuple(f"wave{index}" for index in range(channels))
        return SeriesTable(name, values, names, ("1",) * channels, time, "PT1H", "recipe", "content")

    return make


@pytest.fixture(scope="session")
def wave_task():
    """Makes a Task on `user-waves`; keyword arguments replace fields of the declaration."""
    from tsbench.contracts import Task

    def make(**changes: Any) -> Task:
        declared = {
            "name": "waves-12",
            "version": 1,
            "dataset": "user-waves",
            "horizon": 12,
            "period": 24,
            "max_context": 96,
            "split": {"kind": "ratio", "train": 0.6, "validation": 0.2, "test": 0.2},
            "normalisation": "zscore",
            "space": "normalised",
            "conditions": {
                "robustness": {"not_applicable": "not asked for"},
                "generalisation": {"not_applicable": "there is one place"},
            },
            "metrics": ["mse", "mae", "rmse", "smape", "mase"],
            "primary": "mse",
        }
        return Task.model_validate(declared | changes)

    return make


@pytest.fixture
def open_waves(monkeypatch, waves, wave_task):
    """Opens a task on a table in memory: `open_waves(table, **changes of the task)` gives TaskData."""
    from tsbench.data import series_data

    def open_(table: Any = None, **changes: Any) -> series_data.SeriesData:
        monkeypatch.setattr(series_data, "read_series", lambda name: table if table is not None else waves())
        return series_data.SeriesData.open(wave_task(**changes))

    return open_


@pytest.fixture(scope="session")
def waves_folder(tmp_path_factory, waves):
    """A folder of stores that holds `user-waves`, as if a user's file had been prepared."""
    from tsbench.contracts import Provenance, Variant
    from tsbench.data.store import write_store
    from tsbench.data.tables import Column, series_dataset

    table, folder = waves(), tmp_path_factory.mktemp("waves")
    columns = {Column(name, "1", name): table.values[:, index] for index, name in enumerate(table.variables)}
    provenance = Provenance(
        dataset=table.name,
        adapter="csv",
        generator_version=1,
        parameters={},
        size="full",
        seed=None,
        files={},
    )
    dataset = series_dataset(table.time, table.step, columns)
    write_store(folder / table.name / "full.zarr", dataset, provenance, Variant(title="waves"))
    return folder


@pytest.fixture
def waves_at_hand(monkeypatch, own_folders, tmp_path, waves_folder, wave_task):
    """Environment in which `waves-12` on `user-waves` can be run; gives the folder of runs."""
    from tsbench import registry

    known = registry.tasks()
    monkeypatch.setattr(registry, "tasks", lambda: known | {"waves-12": wave_task()})
    monkeypatch.setenv("TSBENCH_DATA", str(waves_folder))
    return tmp_path / "runs"


def _folder(folder: Path, variable: str) -> Path:
    if not folder.is_dir():
        _missing(f"no folder {folder}; set {variable} to the folder that holds these files")
    return folder


def _missing(reason: str) -> NoReturn:
    if os.environ.get("TSBENCH_REQUIRE_DATA") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def response_task():
    """Makes a Task on a store of complex responses; keyword arguments replace fields of the declaration."""
    from tsbench.contracts import Task

    def make(**changes: Any) -> Task:
        white = {"name": "sample_awgn", "parameter": "snr_db", "levels": [0, 20], "space": "normalised"}
        declared = {
            "name": "responses-2",
            "version": 1,
            "dataset": "made-responses",
            "samples": {"view": "csi", "context": "history", "target": "later"},
            "horizon": 2,
            "period": 2,
            "max_context": 6,
            "split": {"kind": "labels", "test": "test-regular"},
            "normalisation": "zscore_parts",
            "space": "units",
            "conditions": {
                "regular": [{"cells": {"place": ["a", "b"], "speed": [1, 10]}, "disturbance": white}],
                "robustness": {"not_applicable": "not asked for"},
                "generalisation": [
                    {
                        "part": "test-unseen",
                        "cells": {"place": ["a", "c"], "speed": [1, 20]},
                        "trained": {"place": ["a", "b"], "speed": [1, 10]},
                        "disturbance": white,
                    }
                ],
            },
            "metrics": ["nmse", "nmse_median", "nmse_db", "sse", "se"],
            "primary": "nmse",
            "unit": {"kind": "sample"},
            "cluster": "cell",
        }
        return Task.model_validate(declared | changes)

    return make


@pytest.fixture(scope="session")
def responses():
    """Makes a store of responses in memory: 3 antennas, 6 + 2 snapshots, 5 subcarriers, offset and scaled."""
    import xarray as xr

    def make(samples: int = 7, seed: int = 0) -> xr.Dataset:
        cells = [
            (part, place, speed)
            for part, places, speeds in (
                ("train", "ab", (1, 10)),
                ("test-regular", "ab", (1, 10)),
                ("test-unseen", "ac", (1, 20)),
            )
            for place in places
            for speed in speeds
        ]
        rows = len(cells) * samples
        random = np.random.default_rng(seed)
        turning = np.exp(1j * random.uniform(-0.3, 0.3, (rows, 1, 1, 1)) * np.arange(8)[:, None])
        amplitude = random.standard_normal((rows, 3, 1, 5)) + 1j * random.standard_normal((rows, 3, 1, 5))
        values = (3 * amplitude * turning + 0.5 - 1j).astype(np.complex64)
        part, place, speed = (np.repeat(np.array(one), samples) for one in zip(*cells, strict=True))
        part = part.astype(object)
        part[(part == "train") & (np.arange(rows) % 4 == 0)] = "validation"
        dims = ("sample", "antenna", "time", "subcarrier")
        return xr.Dataset(
            {
                "history": (dims, values[:, :, :6]),
                "later": (("sample", "antenna", "lead_time", "subcarrier"), values[:, :, 6:]),
            },
            {
                "split": ("sample", part),
                "place": ("sample", place.astype(object)),
                "speed": ("sample", speed.astype(float)),
                "cell": ("sample", np.array([f"{a}-{b}" for a, b in zip(place, speed, strict=True)], object)),
            },
        )

    return make


@pytest.fixture
def open_responses(responses, response_task):
    """Opens a task on responses in memory: `open_responses(dataset, **changes of the task)`."""
    from tsbench.contracts import Provenance
    from tsbench.data.sample_data import SampleData

    def open_(dataset: Any = None, **changes: Any) -> SampleData:
        made = responses() if dataset is None else dataset
        name = "made-responses"
        provenance = Provenance(
            dataset=name, adapter="made", generator_version=1, parameters={}, size="full", seed=0, files={},
            content=str(abs(hash(made["history"].values.tobytes()))),
        )  # fmt: skip
        return SampleData.of(response_task(**changes), name, made, provenance)

    return open_


@pytest.fixture(scope="session")
def ragged_task():
    """Makes a Task on series of different length; keyword arguments replace fields of the declaration."""
    from tsbench.contracts import Task

    def make(**changes: Any) -> Task:
        white = {"name": "awgn", "parameter": "snr_db", "levels": [20]}
        blocks = {"name": "missing_blocks", "parameter": "fraction", "levels": [0.3], "options": {"steps": 4}}
        declared = {
            "name": "ragged-4",
            "version": 1,
            "dataset": "made-ragged",
            "horizon": 4,
            "period": 3,
            "max_context": 40,
            "split": {"kind": "rolling", "windows": 2},
            "normalisation": "zscore",
            "space": "units",
            "conditions": {
                "robustness": [{"disturbance": white}, {"disturbance": blocks}],
                "generalisation": {"not_applicable": "there are no other series"},
            },
            "metrics": ["mse", "mae", "smape", "mase"],
            "primary": "mase",
            "unit": {"kind": "series"},
        }
        return Task.model_validate(declared | changes)

    return make


@pytest.fixture(scope="session")
def ragged():
    """Makes a store of series in memory: lengths 17, 30, 60 and 100, covariates of every kind, no step missing."""
    import xarray as xr

    def make(
        sizes: tuple[int, ...] = (17, 30, 60, 100), channels: int = 1, seed: int = 0, dated: bool = True
    ) -> xr.Dataset:
        random = np.random.default_rng(seed)
        rows = sum(sizes)
        level = np.repeat(10.0 ** np.arange(len(sizes)), sizes)[:, None]
        values = level * (
            5 + np.sin(np.arange(rows) * 2 * np.pi / 3)[:, None] + random.random((rows, channels))
        )
        known = np.arange(rows, dtype=np.float32)[:, None] / rows
        dataset = xr.Dataset(
            {
                "value": (("observation", "channel"), values),
                "row_size": ("series", np.array(sizes)),
                "known_covariates": (("observation", "known_covariate"), known),
                "past_covariates": (("observation", "past_covariate"), -known),
                "static": (("series", "feature"), np.arange(len(sizes), dtype=np.float32)[:, None]),
                "categorical": (("series", "attribute"), np.arange(len(sizes))[:, None] % 2),
            },
            {
                name: np.array(labels, object)
                for name, labels in {
                    "series": [f"s{number}" for number in range(len(sizes))],
                    "channel": [f"c{number}" for number in range(channels)],
                    "known_covariate": ["price"],
                    "past_covariate": ["sales"],
                    "feature": ["area"],
                    "attribute": ["kind"],
                }.items()
            },
        )
        if not dated:
            return dataset
        dataset = dataset.assign(
            start=("series", np.datetime64("2024-01-31", "ns") + np.arange(len(sizes)) * 86400 * 10**9)
        )
        return dataset.assign_attrs(step="P1D")

    return make


@pytest.fixture
def open_ragged(ragged, ragged_task):
    """Opens a task on series in memory: `open_ragged(dataset, **changes of the task)`."""
    from tsbench.data.collection import of_dataset
    from tsbench.data.collection_data import CollectionData

    def open_(dataset: Any = None, **changes: Any) -> CollectionData:
        made = ragged() if dataset is None else dataset
        return CollectionData.of(ragged_task(**changes), of_dataset(made, "made-ragged", "recipe", "content"))

    return open_
