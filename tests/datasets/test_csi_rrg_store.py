"""CSI-RRG as a store: what `tsbench data get` leaves, taken up after a kill, and the published folders."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.prepare import prepare
from tsbench.data.store import check_store, open_lazily, open_store, read_provenance
from tsbench.datasets.csi_rrg import published
from tsbench.datasets.csi_rrg.grid import Cell

GET = [sys.executable, "-m", "tsbench.cli.main", "data", "get"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The store of csi_rrg-tiny, made once in this process."""
    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TSBENCH_DATA", str(folder))
        return prepare("csi_rrg-tiny", processes=1, tell=lambda line: None)


def test_store_has_the_dimensions_units_and_coordinates_of_its_card(tiny):
    opened = open_lazily(tiny)
    assert dict(opened.sizes) == {"sample": 128, "antenna": 8, "time": 16, "subcarrier": 75, "lead_time": 4}
    for name in ("history_uplink", "target_uplink", "target_downlink"):
        assert opened[name].dtype == np.complex64
        assert opened[name].attrs["units"] == "1"
        assert opened[name].encoding["chunks"] == (8, *opened[name].shape[1:])
    labels, counts = np.unique(opened["split"].values.astype(object), return_counts=True)
    assert dict(zip(labels, counts, strict=True)) == {
        "train": 72, "validation": 8, "test-regular": 16, "test-generalisation": 32
    }  # fmt: skip
    assert set(opened["delay_spread"].values) == {50, 100}
    assert set(opened["speed"].values) == {3.0, 10.0, 24.0}
    assert opened["cell"].values[0] == "cm_A_ds_100_ms_010"
    assert opened["target_time"].values[0] == pytest.approx(16 * 2.352e-3)
    gap = opened["downlink_frequency"].values.min() - opened["uplink_frequency"].values.max()
    assert gap > 150 * 30e3
    check_store(tiny)


def test_training_and_test_data_of_one_cell_differ(tiny):
    opened = open_store(tiny)
    first = {split: np.flatnonzero(opened["split"].values == split)[0] for split in ("train", "test-regular")}
    train, test = (opened["history_uplink"].values[row] for row in first.values())
    assert not np.allclose(train, test)


@pytest.mark.slow
def test_killed_generation_goes_on_and_gives_the_same_data(tiny, tmp_path):
    environment = os.environ | {"TSBENCH_DATA": str(tmp_path)}
    command = [*GET, "csi_rrg-tiny", "--processes", "1"]
    done = tmp_path / "csi_rrg-tiny" / ".draft-full" / "done"
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (done.is_dir() and len(list(done.iterdir())) >= 2):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "csi_rrg-tiny" / "full.zarr").exists()
    finished = len([one for one in done.iterdir() if not one.name.startswith(".")])
    assert 2 <= finished < 8
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"{finished} of 8 parts are there from an earlier run" in again.stderr
    content = read_provenance(tmp_path / "csi_rrg-tiny" / "full.zarr").content
    assert content == read_provenance(tiny).content


@pytest.mark.slow
def test_two_processes_give_the_same_data_as_one(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path))
    path = prepare("csi_rrg-tiny", processes=2, tell=lambda line: None)
    assert read_provenance(path).content == read_provenance(tiny).content


def test_other_sizes_are_refused():
    with pytest.raises(InputError, match="has one size, full"):
        prepare("csi_rrg-tiny", size="small", processes=1)


@pytest.fixture(scope="module")
def written(tiny, tmp_path_factory):
    """The tiny store in the published format."""
    folder = tmp_path_factory.mktemp("written")
    assert len(published.write_folders(open_lazily(tiny), folder)) == 8
    return folder


@pytest.fixture
def folders(written, tmp_path, monkeypatch):
    """Published folders of one's own; the card is told their shapes and cells."""
    shutil.copytree(written, tmp_path / "published")
    given = registry.dataset("csi_rrg-tiny").variant.parameters
    entry = registry.dataset("csi_rrg-published")
    monkeypatch.setitem(entry.variant.parameters, "rows", given["rows"])
    monkeypatch.setitem(entry.variant.parameters, "columns", given["columns"])
    monkeypatch.setitem(entry.variant.parameters, "every", given["every"])
    monkeypatch.setitem(entry.variant.parameters, "cells", given["cells"])
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))
    return tmp_path / "published"


def read(folder):
    return prepare("csi_rrg-published", folder, processes=1, tell=lambda line: None)


def test_published_folders_are_written_and_read_back(folders, tiny):
    again, before = open_store(read(folders)), open_store(tiny)
    for name in before.variables:
        np.testing.assert_array_equal(again[name].values, before[name].values)
    assert again.attrs["doppler"] == "legacy"
    tensor = torch.load(folders / "train/regular/cm_A_ds_100_ms_010/H_U_hist.pt", weights_only=True)
    assert tensor.shape == (40, 8, 16, 75)
    assert len(read_provenance(read(folders)).files) == 8 * 3


def test_folders_named_as_on_hugging_face_are_read(folders):
    for path in sorted(folders.glob("*/*/cm_*")):
        path.rename(folders / "_".join(path.relative_to(folders).parts))
    for name in ("train", "test"):
        shutil.rmtree(folders / name)
    assert open_lazily(read(folders)).sizes["sample"] == 128


FIRST = "train/regular/cm_A_ds_100_ms_010"


def test_missing_folder(folders):
    shutil.rmtree(folders / FIRST)
    with pytest.raises(InputError, match=f"1 of 8 folders are missing, the first is {FIRST}"):
        read(folders)


def test_missing_file(folders):
    (folders / FIRST / "H_D_pred.pt").unlink()
    with pytest.raises(InputError, match=f"{FIRST} holds no H_D_pred.pt"):
        read(folders)


def test_folder_that_is_not_there_or_holds_nothing(tmp_path):
    with pytest.raises(InputError, match="There is no folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no file like"):
        read(tmp_path)
    with pytest.raises(InputError, match="tsbench data get csi_rrg-published --from DIR"):
        read(None)


def shape(value):
    return value[:, :, :3]


def double(value):
    return value.to(torch.complex128)


def no_tensor(value):
    return {"history": value}


def with_nan(value):
    value[3, 2, 0, 0] = float("nan")
    return value


def with_zeros(value):
    value[3, 2] = 0
    return value


def shorter(value):
    return value[:-1].clone()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shape, r"has the shape \(40, 8, 3, 75\), not \(samples, 8, 4, 75\)"),
        (double, "holds torch.complex128, not a complex64 tensor"),
        (no_tensor, "holds dict, not a complex64 tensor"),
        (with_nan, "sample 3, antenna 2 holds NaN or infinite values"),
        (with_zeros, "sample 3, antenna 2 holds nothing but zeros"),
        (shorter, "holds 39 samples, H_U_hist.pt 40"),
    ],
)
def test_bad_tensor_is_named_in_one_line(folders, change, message):
    path = folders / FIRST / "H_U_pred.pt"
    torch.save(change(torch.load(path, weights_only=True)), path)
    with pytest.raises(InputError, match=f"H_U_pred.pt:? .*{message}|H_U_pred.pt:? {message}") as caught:
        read(folders)
    assert "\n" not in str(caught.value)


class Malicious:
    def __reduce__(self):
        return (os.system, ("exit 3",))


@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "code"])
def test_file_that_is_no_tensor_is_refused(folders, kind):
    path = folders / FIRST / "H_U_hist.pt"
    content = {
        "truncated": path.read_bytes()[:-1000], "empty": b"", "text": b"not a tensor", "code": pickle.dumps(Malicious())
    }  # fmt: skip
    path.write_bytes(content[kind])
    with pytest.raises(InputError, match="H_U_hist.pt is no whole file of a tensor") as caught:
        read(folders)
    assert "\n" not in str(caught.value)


def test_statistics_are_read_and_written(tmp_path):
    path = tmp_path / "stats" / "tdd" / "normalization_stats.pkl"
    given = {"mean_r": 0.0, "std_r": 0.7, "mean_i": -0.1, "std_i": 0.8}
    published.write_statistics(path, given)
    assert published.read_statistics(path) == given


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Malicious()),
        pickle.dumps({"mean_r": 0.0}),
        pickle.dumps(dict.fromkeys(published.STATISTICS, np.float64(1))),
        pickle.dumps(dict.fromkeys(published.STATISTICS, "1")),
        pickle.dumps(dict.fromkeys(published.STATISTICS, float("nan"))),
        pickle.dumps([1.0] * 4),
        b"",
        b"\x80\x04garbage",
    ],
)
def test_statistics_that_are_not_four_floats_are_refused(tmp_path, content):
    path = tmp_path / "normalization_stats.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not a pickled dict of four floats"):
        published.read_statistics(path)


def test_part_variant_reads_the_folders_that_are_there(tiny, tmp_path, monkeypatch):
    published.write_folders(open_lazily(tiny).isel(sample=slice(0, 40)), tmp_path / "published")
    entry = registry.dataset("csi_rrg-published-part")
    for name in ("rows", "columns", "every"):
        monkeypatch.setitem(
            entry.variant.parameters, name, registry.dataset("csi_rrg-tiny").variant.parameters[name]
        )
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))
    path = prepare("csi_rrg-published-part", tmp_path / "published", processes=1, tell=lambda line: None)
    assert open_lazily(path).sizes["sample"] == 40
    assert Cell.of_path(FIRST).folder == open_lazily(path)["cell"].values[0]
