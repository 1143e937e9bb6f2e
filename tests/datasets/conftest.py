"""What the tests of data sets share: files of the published forms, made of random numbers."""

import gzip

import numpy as np
import pytest


@pytest.fixture
def panel_store(tmp_path, monkeypatch):
    """Prepares a panel from a made file: `panel_store(name, values, file, header=..., **of prepare)` opens it."""
    from tsbench.data.prepare import prepare
    from tsbench.data.store import open_store

    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))

    def make(
        name: str,
        values: np.ndarray,
        file: str,
        stamps: np.ndarray | None = None,
        allow_other_checksum: bool = True,
    ):
        lines = [",".join(f"{value:.6f}" for value in row) for row in values]
        if stamps is not None:
            dated = stamps.astype("datetime64[s]").astype(str)
            lines = [f"{stamp.replace('T', ' ')},{line}" for stamp, line in zip(dated, lines, strict=True)]
            lines.insert(0, ",".join(["date", *map(str, range(values.shape[1] - 1)), "OT"]))
        text = "\n".join([*lines, ""]).encode()
        (tmp_path / file).write_bytes(gzip.compress(text) if file.endswith(".gz") else text)
        path = prepare(name, tmp_path / file, fresh=True, allow_other_checksum=allow_other_checksum)
        return open_store(path)

    return make


@pytest.fixture
def matrix():
    """Numbers with six decimals, shape (row, column)."""
    return lambda rows, columns: np.round(np.random.default_rng(0).gamma(2.0, 0.5, (rows, columns)), 6)
