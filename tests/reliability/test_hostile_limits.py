"""The process that decodes forecasts of others: the same values, and one line for a hang, a crash or a bomb."""

import os
import signal

import numpy as np
import pytest
import zarr

from tsbench.contracts import InputError
from tsbench.evaluation.blocks import SavedArray
from tsbench.jobs.limited import LimitedReader

SHAPE, CHUNK = (300, 4, 2), (100, 4, 2)


@pytest.fixture
def saved(tmp_path) -> SavedArray:
    """An array of 300 cases: two blocks."""
    values = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    zarr.create_array(tmp_path / "regular", data=values, chunks=CHUNK)
    return SavedArray(tmp_path / "regular", SHAPE, "float32", CHUNK)


def test_values_come_as_they_were_saved_however_often_they_are_read(saved):
    with LimitedReader([saved]) as reader:
        for _ in range(2):
            blocks = list(reader.read(saved))
            assert [len(block) for block in blocks] == [256, 44]
            assert np.array_equal(np.concatenate(blocks), zarr.load(saved.folder))


def test_a_hang_is_one_line(saved):
    with LimitedReader([saved], seconds=0.01) as reader, pytest.raises(InputError, match=r"within 0 s$"):
        list(reader.read(saved))
    assert reader._child.returncode is not None


def test_a_crash_is_one_line(saved):
    with LimitedReader([saved]) as reader:
        next(iter(reader.read(saved)))
        os.kill(reader._child.pid, signal.SIGSEGV)
        with pytest.raises(InputError, match="the decoder was ended by signal 11"):
            list(reader.read(saved))


def test_a_need_for_memory_is_one_line(tmp_path):
    shape = (256, 2**17)  # 128 MB in one chunk
    zarr.create_array(tmp_path / "big", shape=shape, dtype="float32", chunks=shape, fill_value=0)
    array = SavedArray(tmp_path / "big", shape, "float32", shape)
    reader = LimitedReader([array])
    reader.memory = 2**24
    with reader, pytest.raises(InputError, match=r"(?i)memory|allocate"):
        list(reader.read(array))
