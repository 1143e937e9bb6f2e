"""Every task of the registry passes its audit, where its data are at hand or made in minutes."""

import os
from pathlib import Path

import numpy as np
import pytest

from tsbench import registry

# Read before any test takes the variable out of the environment: stores that take hours are not made here.
STORES = os.environ.get("TSBENCH_DATA")
QUICK = {
    "load_demo",
    "load_demo_south",
    "csi_rrg-tiny",
    "csi_rrg-small",
    "radio_maps-tiny-analytic",
    "base_station_energy",
    "crop-yield-small",
}
"""Generated data that are made in a minute."""


@pytest.fixture
def prepared(request, monkeypatch, stores):
    """Prepares the data of a task, or skips with the reason."""

    def prepare(name: str) -> None:
        entry = registry.dataset(name)
        if STORES and (Path(STORES) / name / "full.zarr" / "zarr.json").is_file():
            monkeypatch.setenv("TSBENCH_DATA", STORES)
            return
        if entry.card.name == "gift_eval":
            raise FileNotFoundError(name)
        if entry.variant.tree or (entry.origin == "generated" and name not in QUICK):
            pytest.skip(f"{name} takes long to make; set TSBENCH_DATA to a folder that holds its store")
        if entry.origin == "published":
            shared = request.getfixturevalue("shared_data")
            names = {path.name.removesuffix(".gz") for path in shared.iterdir()}
            lacking = [
                file.name for file in entry.variant.files if not names & {file.name, *file.alternatives}
            ]
            if lacking:
                raise FileNotFoundError(lacking[0])
            monkeypatch.setenv("TSBENCH_DATA_SOURCE", str(shared))
        stores(name)

    return prepare


@pytest.fixture
def made(monkeypatch):
    """The task on made data of the rows and step of a published file that is never at hand here."""
    from tsbench.audit.subject import subject_of
    from tsbench.data import series_data
    from tsbench.data.collection_data import CollectionData
    from tsbench.data.series import SeriesTable
    from tsbench.data.steps import step_seconds
    from tsbench.data.task_data import TaskData

    def make(name: str):
        task = registry.task(name)
        if task.rolling:
            return subject_of(CollectionData.of(task, series_of(task)))
        variant = registry.dataset(task.dataset).variant
        # Seven columns stand for all: audits look at each alone, and 862 of them would take an hour.
        rows, columns = variant.rows, (*"ABCDEF", "OT")
        random = np.random.default_rng(0)
        season = np.sin(2 * np.pi * np.arange(rows) / task.period)[:, None] * random.uniform(
            1, 3, len(columns)
        )
        values = season + random.standard_normal((rows, len(columns))).cumsum(axis=0) / 30
        step = np.timedelta64(int(step_seconds(variant.time.step)), "s")
        time = np.datetime64("2016-07-01", "ns") + np.arange(rows) * step
        units = ("1",) * len(columns)
        table = SeriesTable(task.dataset, values, columns, units, time, variant.time.step, "made", "made")
        monkeypatch.setattr(series_data, "read_series", lambda dataset: table)
        return subject_of(TaskData.open(task))

    return make


def series_of(task):
    """Twelve made series for a task on many: positive, seasonal, some shorter than a look-back."""
    import xarray as xr

    from tsbench.data.collection import of_dataset

    random = np.random.default_rng(0)
    sizes = (2 + random.integers(2, 9, 12)) * task.horizon + 1
    season = np.sin(2 * np.pi * np.arange(sizes.sum()) / task.period)
    # Noise, so that errors are not lost in the single precision of forecasts.
    values = 50 + 5 * season + random.uniform(-9, 9, sizes.sum())
    if task.missing == "mask":
        # In two series alone: a long horizon would leave no window without a gap.
        values[: sizes[:2].sum() : 50] = np.nan
    made = xr.Dataset({"value": ("observation", values), "row_size": ("series", sizes)})
    return of_dataset(made, task.dataset, "made", "made")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(registry.tasks()))
def test_it_passes(name, prepared, made):
    from tsbench.audit.checks import audit
    from tsbench.audit.subject import open_subject

    try:
        prepared(registry.task(name).dataset)
        subject = open_subject(name)
    except FileNotFoundError as missing:
        if registry.task(name).kind != "forecast":
            pytest.skip(f"no file {missing}")
        subject = made(name)

    findings = list(audit(subject))

    assert {one.name: one.faults for one in findings if not one.passed} == {}
