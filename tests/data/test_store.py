"""Stores: what is written is read back, whole, in order; what is damaged is refused."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tsbench.contracts import InputError, Provenance, Sentinel, TimeAxis, Variant
from tsbench.data import store
from tsbench.data.store import (
    check_store,
    content_hash,
    find_stores,
    open_store,
    read_provenance,
    store_path,
    write_store,
)
from tsbench.data.tables import Column, series_dataset

PROVENANCE = Provenance(
    dataset="made",
    adapter="made",
    generator_version=1,
    parameters={"level": 2},
    size="full",
    seed=3,
    files={"made.csv": "0" * 64},
)
PLAIN = Variant(title="made")


def hours(rows: int) -> np.ndarray:
    return np.datetime64("2024-01-01T00", "ns") + np.arange(rows) * np.timedelta64(1, "h")


def made(rows: int = 50) -> xr.Dataset:
    values = np.arange(rows, dtype=np.float64)
    columns = {Column("zeta", "MW", "a load"): values, Column("alpha", "degC", "a temperature"): -values}
    return series_dataset(hours(rows), "PT1H", columns)


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "made" / "full.zarr"
    write_store(path, made(), PROVENANCE, PLAIN)
    return path


@pytest.fixture
def damaged(intact, tmp_path):
    return shutil.copytree(intact, tmp_path / "made" / "full.zarr")


def test_store_decodes_to_what_was_written_in_the_same_order(intact):
    opened = open_store(intact)
    xr.testing.assert_identical(opened, made())
    assert list(opened.data_vars) == ["zeta", "alpha"]
    assert opened["time"].attrs["step"] == "PT1H"


def test_store_is_zarr_version_3_and_readable_by_xarray_alone(intact):
    opened = xr.open_zarr(intact, consolidated=False)
    assert opened["zeta"].attrs["units"] == "MW"
    np.testing.assert_array_equal(opened["zeta"].values, np.arange(50.0))


def test_provenance_is_kept_with_the_content_hash(intact):
    found = read_provenance(intact)
    assert found.content == content_hash(made())
    assert found.recipe == PROVENANCE.recipe


def test_provenance_is_read_without_zarr_and_xarray(intact):
    text = (
        "import sys; from pathlib import Path; from tsbench.data.store import read_provenance; "
        "read_provenance(Path(sys.argv[1])); "
        "print(sorted({'zarr', 'xarray', 'pandas', 'torch'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", text, str(intact)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


@settings(max_examples=20, deadline=None)
@given(
    values=arrays.arrays(
        st.sampled_from([np.float64, np.float32, np.int64, np.complex64]),
        st.tuples(st.integers(1, 9), st.integers(1, 3)),
        elements={"allow_infinity": False},
        fill=st.nothing(),
    )
)
def test_any_values_survive_the_round_trip(values, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "made" / "full.zarr"
    channels = np.array([f"größe {index}" for index in range(values.shape[1])], dtype=object)
    dataset = xr.Dataset(
        {"value": (("time", "channel"), values, {"units": "1"})},
        {"time": hours(len(values)), "channel": channels},
    )
    write_store(path, dataset, PROVENANCE, PLAIN)
    opened = open_store(path)
    np.testing.assert_array_equal(opened["value"].values, values)
    assert opened["value"].dtype == values.dtype
    assert list(map(str, opened["channel"].values)) == list(channels)
    check_store(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_flipped_bit_anywhere_is_noticed(data, intact, tmp_path_factory):
    path = shutil.copytree(intact, tmp_path_factory.mktemp("store") / "made" / "full.zarr")
    file = data.draw(st.sampled_from(sorted(one for one in path.rglob("*") if one.is_file())))
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(content)
    try:
        # Equal only where the changed JSON means the same, as an escape in upper or lower case does.
        xr.testing.assert_identical(open_store(path), made())
        message = ""
    except InputError as error:
        message = str(error)
    assert message == "" or "tsbench data get made --fresh" in message
    assert "\n" not in message


def test_missing_chunk_is_not_read_as_fill_values(damaged):
    next((damaged / "zeta" / "c").iterdir()).unlink()
    with pytest.raises(InputError, match=r"damaged \(zeta/c/0 is missing"):
        open_store(damaged)


def test_check_finds_a_changed_file(damaged):
    check_store(damaged)
    chunk = damaged / "alpha" / "c" / "0"
    chunk.write_bytes(chunk.read_bytes()[::-1])
    with pytest.raises(InputError, match="alpha/c/0 has changed"):
        check_store(damaged)


def test_missing_store_says_how_to_prepare_it(tmp_path):
    with pytest.raises(InputError, match="There is no store at .* tsbench data get etth1"):
        open_store(tmp_path / "etth1" / "full.zarr")


def test_foreign_zarr_is_not_a_store(tmp_path):
    made().to_zarr(tmp_path / "made" / "full.zarr", zarr_format=3, consolidated=False)
    with pytest.raises(InputError, match="zarr.json is not that of a store"):
        open_store(tmp_path / "made" / "full.zarr")


def test_stores_lie_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path))
    assert store_path("etth1") == tmp_path / "etth1" / "full.zarr"
    assert find_stores() == []
    write_store(store_path("made", "tiny"), made(), PROVENANCE, PLAIN)
    assert find_stores() == [store_path("made", "tiny")]


def test_content_hash_ignores_order_and_memory_layout_but_no_value():
    first = made()
    assert content_hash(first[["alpha", "zeta"]]) == content_hash(first)
    assert content_hash(first.astype(">f8")) == content_hash(first)
    other = made()
    other["zeta"].values[17] = np.nextafter(17, 18)
    assert content_hash(other) != content_hash(first)


def test_content_hash_ignores_the_chunks_of_a_store(intact, monkeypatch, tmp_path):
    monkeypatch.setattr(store, "CHUNK_BYTES", 64)
    path = tmp_path / "made" / "full.zarr"
    write_store(path, made(), PROVENANCE, PLAIN)
    chunks = [len(list((folder / "zeta" / "c").iterdir())) for folder in (path, intact)]
    assert chunks == [7, 1]  # 50 rows of 8 bytes
    assert read_provenance(path).content == read_provenance(intact).content


def with_time(time: np.ndarray) -> xr.Dataset:
    return series_dataset(time, "PT1H", {Column("load", "MW", "a load"): np.zeros(len(time))})


REPEATED = np.insert(hours(10), 4, hours(10)[4])
GAP = np.delete(hours(10), 4)


@pytest.mark.parametrize(
    ("time", "message"),
    [
        (
            REPEATED,
            "1 × repeated in time, the card declares 0; the last is repeated time stamp 2024-01-01T04:00:00",
        ),
        (GAP, "1 × gap in time, the card declares 0"),
        (hours(10)[::-1], "9 × unsorted in time"),
    ],
)
def test_irregular_time_is_refused_unless_declared(time, message, tmp_path):
    variant = Variant(title="made", time=TimeAxis(step="PT1H"))
    with pytest.raises(InputError, match=message):
        write_store(tmp_path / "made" / "full.zarr", with_time(time), PROVENANCE, variant)
    assert not (tmp_path / "made").exists() or list((tmp_path / "made").iterdir()) == []


def test_declared_irregularities_are_accepted(tmp_path):
    variant = Variant(title="made", time=TimeAxis(step="PT1H", repeated_stamps=1, gaps=1))
    time = np.concatenate([REPEATED[:-3], REPEATED[-2:]])
    write_store(tmp_path / "made" / "full.zarr", with_time(time), PROVENANCE, variant)
    np.testing.assert_array_equal(open_store(tmp_path / "made" / "full.zarr")["time"].values, time)


def test_variable_without_units_is_refused(tmp_path):
    dataset = made()
    del dataset["zeta"].attrs["units"]
    with pytest.raises(InputError, match="variable 'zeta' has no units"):
        write_store(tmp_path / "made" / "full.zarr", dataset, PROVENANCE, PLAIN)


def test_infinite_value_is_refused(tmp_path):
    dataset = made()
    dataset["zeta"].values[3] = np.inf
    with pytest.raises(InputError, match="variable 'zeta' holds an infinite value"):
        write_store(tmp_path / "made" / "full.zarr", dataset, PROVENANCE, PLAIN)


@pytest.mark.parametrize(("cells", "accepted"), [(2, True), (0, True), (1, False), (3, False)])
def test_sentinels_are_all_kept_or_all_masked(cells, accepted, tmp_path):
    variant = Variant(title="made", rows=50, sentinels=(Sentinel(code=-9999, cells=2),))
    dataset = made()
    dataset["zeta"].values[:cells] = -9999
    path = tmp_path / "made" / "full.zarr"
    if accepted:
        write_store(path, dataset, PROVENANCE, variant)
    else:
        with pytest.raises(InputError, match=f"{cells} cells hold -9999, the card declares 2"):
            write_store(path, dataset, PROVENANCE, variant)


def test_failed_writing_keeps_the_store_that_was_there(damaged):
    dataset = made()
    dataset["zeta"].values[3] = np.inf
    with pytest.raises(InputError):
        write_store(damaged, dataset, PROVENANCE, PLAIN)
    xr.testing.assert_identical(open_store(damaged), made())
