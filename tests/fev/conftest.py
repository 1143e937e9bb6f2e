"""What the tests of fev share: data in files as fev reads them, and task files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

LENGTHS = (60, 41, 33)


@pytest.fixture
def own_fev(tmp_path, monkeypatch) -> None:
    """fev, with stores and caches of the test's own."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))


@pytest.fixture
def rows() -> Callable[..., list[dict[str, Any]]]:
    """Hourly series that end together, with every kind of column: `rows((60, 41))`, one row a series."""

    def make(lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> list[dict[str, Any]]:
        random = np.random.default_rng(seed)
        return [
            {
                "id": f"s{number}",
                "timestamp": pd.date_range(end="2024-03-01", periods=size, freq="h").to_list(),
                "target": (10 * (number + 1) + random.random(size)).tolist(),
                "other": (5 + random.random(size)).tolist(),
                "price": random.random(size).tolist(),
                "weather": random.choice(["sun", "rain", "fog"], size).tolist(),
                "sold": random.random(size).tolist(),
                "size": float(number),
                "kind": "ba"[number % 2],
            }
            for number, size in enumerate(lengths)
        ]

    return make


@pytest.fixture
def task_file(tmp_path, rows, own_fev) -> Callable[..., Path]:
    """Writes a task file beside `data/made.parquet`: `task_file({"horizon": 4}, data=rows())`."""

    def write(*tasks: dict[str, Any], data: list[dict[str, Any]] | pd.DataFrame | None = None) -> Path:
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        if isinstance(data, pd.DataFrame):
            data.to_parquet(folder / "made.parquet")
        else:
            pq.write_table(pa.Table.from_pylist(data or rows()), folder / "made.parquet")
        path = tmp_path / "tasks.yaml"
        declared = [{"dataset_path": "data/made.parquet", "task_name": "made"} | task for task in tasks]
        path.write_text(yaml.safe_dump({"tasks": declared}))
        return path

    return write
