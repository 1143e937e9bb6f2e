"""Preparing: where files are looked for, when a store is reused, and two processes at once."""

import gzip
import hashlib
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data import prepare, sources
from tsbench.data.store import open_store, read_provenance, store_path

NAMES = ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]


@pytest.fixture(autouse=True)
def own_stores(monkeypatch, tmp_path):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))


@pytest.fixture
def ett_file(tmp_path):
    """Writes a file in ETT's format that is not the published one."""

    def write(name: str = "ETTh1.csv", rows: int = 100):
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame({"date": pd.date_range("2016-07-01", periods=rows, freq="h")})
        values = np.random.default_rng(rows).standard_normal((rows, 7))
        frame[NAMES] = values
        frame.to_csv(path, index=False)
        return path

    return write


@pytest.fixture
def offline(monkeypatch):
    """No network: every download fails at once."""
    import pooch

    class Unreachable:
        def __init__(self, **options):
            pass

        def __call__(self, url, output, pooch):
            raise ConnectionError("no route")

    monkeypatch.setattr(pooch, "HTTPDownloader", Unreachable)


def test_other_file_than_published_is_refused_unless_allowed(ett_file):
    path = ett_file()
    with pytest.raises(
        InputError, match=r"is not ETTh1.csv as published: its sha256 is .* --allow-other-checksum"
    ):
        prepare.prepare("etth1", path)
    store = prepare.prepare("etth1", path, allow_other_checksum=True)
    assert open_store(store).sizes["time"] == 100
    assert read_provenance(store).files == {"ETTh1.csv": sources.sha256(path)}


def test_folder_and_folder_of_folders_are_searched(ett_file):
    path = ett_file("ETT-small/ETTh1.csv")
    for source in (path, path.parent, path.parent.parent):
        assert prepare.prepare("etth1", source, allow_other_checksum=True).exists()


def test_source_that_does_not_hold_the_file(tmp_path, ett_file):
    with pytest.raises(InputError, match="holds no ETTh2.csv"):
        prepare.prepare("etth2", ett_file().parent)
    with pytest.raises(InputError, match="There is no file or folder"):
        prepare.prepare("etth2", tmp_path / "nowhere")


def test_alternative_names_are_found_and_checked(tmp_path, shared_data):
    text = gzip.decompress((shared_data / "exchange_rate.txt.gz").read_bytes())
    (tmp_path / "exchange_rate.txt").write_bytes(text)
    with pytest.raises(InputError, match="exchange_rate.txt is not exchange_rate.txt.gz as published"):
        prepare.prepare("exchange", tmp_path)
    assert open_store(prepare.prepare("exchange", tmp_path, allow_other_checksum=True)).sizes["time"] == 7588


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_every_published_form_of_a_file_is_the_published_file(algorithm, ett_file, monkeypatch):
    path = ett_file()
    entry = registry.dataset("etth1")
    digest = hashlib.new(algorithm, path.read_bytes()).hexdigest()
    (file,) = entry.variant.files
    known = file.model_copy(update={"alternative_checksums": ("md5:0", f"{algorithm}:{digest}")})
    variant = entry.variant.model_copy(update={"files": (known,)})
    changed = {"etth1": registry.DatasetEntry(entry.name, entry.card, variant, entry.folder)}
    monkeypatch.setattr(registry, "datasets", lambda: changed)

    assert open_store(prepare.prepare("etth1", path)).sizes["time"] == 100

    path.write_text(path.read_text() + "\n")
    with pytest.raises(
        InputError, match="is not ETTh1.csv as published: its sha256 is .*, the card says f18de3"
    ):
        prepare.prepare("etth1", path)


def test_without_network_the_way_out_is_told_in_one_line(offline):
    with pytest.raises(
        InputError, match="Cannot download .*ETTh2.csv .* tsbench data get etth2 --from FILE_OR_DIR"
    ):
        prepare.ensure("etth2")
    assert not store_path("etth2").exists()


def test_file_without_a_download_is_asked_for(offline):
    with pytest.raises(
        InputError, match="weather.csv is not offered for download. .* tsbench data get weather --from"
    ):
        prepare.prepare("weather")


def test_environment_names_a_folder_of_files(monkeypatch, ett_file, shared_data):
    assert not prepare.at_hand("etth1")
    monkeypatch.setenv("TSBENCH_DATA_SOURCE", str(shared_data))
    assert prepare.at_hand("etth1")
    assert not prepare.at_hand("ettm2")
    assert prepare.at_hand("load_demo")
    assert open_store(prepare.ensure("etth1")).sizes["time"] == 17420


def test_store_is_reused_without_its_files_until_the_card_changes(monkeypatch, ett_file, offline):
    path = ett_file()
    store = prepare.prepare("etth1", path, allow_other_checksum=True)
    path.unlink()
    assert prepare.ensure("etth1") == store
    entry = registry.dataset("etth1")
    newer = entry.card.model_copy(update={"generator_version": 99})
    changed = {"etth1": registry.DatasetEntry(entry.name, newer, entry.variant, entry.folder)}
    monkeypatch.setattr(registry, "datasets", lambda: changed)
    with pytest.raises(InputError, match="Cannot download"):
        prepare.ensure("etth1")


def test_same_files_are_reused_other_files_replace(ett_file):
    store = prepare.prepare("etth1", ett_file(rows=100), allow_other_checksum=True)
    made = (store / "zarr.json").stat().st_mtime_ns
    prepare.prepare("etth1", ett_file(rows=100), allow_other_checksum=True)
    assert (store / "zarr.json").stat().st_mtime_ns == made
    prepare.prepare("etth1", ett_file(rows=120), allow_other_checksum=True)
    assert open_store(store).sizes["time"] == 120


def test_tasks_never_run_on_generated_data_of_another_seed():
    prepare.prepare("load_demo", size="tiny", seed=5)
    assert read_provenance(prepare.ensure("load_demo", "tiny")).seed == 0


def test_damaged_store_is_repaired_by_fresh(ett_file):
    store = prepare.prepare("etth1", ett_file(), allow_other_checksum=True)
    (store / "zarr.json").write_text("{}")
    with pytest.raises(InputError, match="tsbench data get etth1 --fresh"):
        prepare.ensure("etth1")
    prepare.prepare("etth1", ett_file(), fresh=True, allow_other_checksum=True)
    assert open_store(prepare.ensure("etth1")).sizes["time"] == 100


def test_refused_file_leaves_nothing_half_written(ett_file, tmp_path):
    path = ett_file()
    path.write_text(path.read_text().replace("date", "when"))
    with pytest.raises(InputError, match="ETTh1.csv has no column 'date'"):
        prepare.prepare("etth1", path, allow_other_checksum=True)
    assert list((tmp_path / "stores" / "etth1").iterdir()) == []


def test_leftovers_of_a_killed_process_are_removed(ett_file, tmp_path):
    leftover = tmp_path / "stores" / "etth1" / ".tmp-full.zarr-abc"
    leftover.mkdir(parents=True)
    prepare.prepare("etth1", ett_file(), allow_other_checksum=True)
    assert not leftover.exists()


def test_sizes_and_users_files_are_refused_where_they_make_no_sense():
    with pytest.raises(InputError, match="'etth1' is published data and has one size, full; not 'tiny'"):
        prepare.prepare("etth1", size="tiny")
    with pytest.raises(InputError, match="'csv' reads files of your own"):
        prepare.prepare("csv")
    with pytest.raises(InputError, match="Unknown dataset 'eth1'. Did you mean 'etth1'"):
        prepare.ensure("eth1")


def test_two_processes_prepare_one_store(tmp_path):
    text = "from tsbench.data.prepare import prepare; print(prepare('load_demo', size='tiny'))"
    running = [
        subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    outputs = {process.communicate(timeout=60)[0].decode().strip() for process in running}
    assert outputs == {str(store_path("load_demo", "tiny"))}
    folder = store_path("load_demo", "tiny").parent
    assert [path.name for path in folder.iterdir()] == ["tiny.zarr"]
    shutil.rmtree(folder)


def test_reusing_a_store_imports_nothing_heavy():
    prepare.prepare("load_demo", size="tiny")
    text = (
        "import sys; from tsbench.data.prepare import ensure; ensure('load_demo', 'tiny'); "
        "print(sorted({'zarr', 'xarray', 'pandas', 'torch', 'scipy', 'pooch'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", text]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
