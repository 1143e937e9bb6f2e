"""Stores in parts: any number of processes gives the same bits, and an interrupted build goes on."""

import textwrap

import numpy as np
import pytest
import xarray as xr

from tsbench.contracts import InputError, JobFailed, Provenance, Variant
from tsbench.data import parts, store
from tsbench.data.adapter import BuildRequest
from tsbench.data.store import check_store, content_hash, open_lazily, open_store

ADAPTER = """
    import os
    from pathlib import Path

    import numpy as np
    import xarray as xr

    from tsbench.contracts import InputError
    from tsbench.data.adapter import Part


    def parts(request):
        return [Part(name, 4 * (1 + number % 2)) for number, name in enumerate(request.parameters["names"])]


    def build_part(request, part):
        log = Path(request.parameters["log"])
        with log.open("a") as file:
            file.write(part.name + "\\n")
        print("a library that talks")
        if part.name == request.parameters.get("wrong"):
            raise InputError("this part is wrong")
        if part.name == request.parameters.get("dies"):
            os._exit(9)
        values = np.random.default_rng([ord(part.name)]).standard_normal((part.rows, 3)).astype("complex64")
        if part.name == request.parameters.get("wide"):
            values = np.repeat(values, 2, axis=1)
        label = np.array([part.name * 3] * part.rows, dtype=object)
        return xr.Dataset(
            {"value": (("sample", "channel"), values, {"units": "1"})},
            {
                "label": ("sample", label),
                "channel": np.arange(values.shape[1]),
                "made": ("channel", np.arange(values.shape[1]).astype("datetime64[D]").astype("datetime64[ns]")),
            },
            {"made": "here"},
        )
"""
NAMES = list("abcdef")


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Builds `made` in parts: `build(processes, **parameters)` gives the store's path."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "made_in_parts.py").write_text(textwrap.dedent(ADAPTER))
    monkeypatch.syspath_prepend(tmp_path / "code")

    def build(processes=1, fresh=False, folder="made", tell=lambda line: None, **given):
        path = tmp_path / folder / "full.zarr"
        log = {"names": NAMES, "log": str(tmp_path / "log")}
        request = BuildRequest("made", Variant(title="made"), parameters=log | given)
        made = Provenance(
            dataset="made", adapter="made", generator_version=1, parameters={"names": NAMES}, size="full", seed=0, files={}
        )  # fmt: skip
        parts.build_in_parts(path, "made_in_parts", request, made, fresh, processes, tell)
        return path

    return build


def built(tmp_path):
    return (tmp_path / "log").read_text().split()


def test_parts_follow_each_other_in_order(build):
    opened = open_store(build())
    assert list(opened["label"].values) == [
        n * 3 for i, n in enumerate(NAMES) for _ in range(4 * (1 + i % 2))
    ]
    expected = np.random.default_rng([ord("b")]).standard_normal((8, 3)).astype("complex64")
    np.testing.assert_array_equal(opened["value"].values[4:12], expected)
    assert opened.attrs == {"made": "here"}
    assert opened["value"].attrs == {"units": "1"}


def test_processes_give_the_same_store_as_one(build, tmp_path):
    alone, together = build(1), build(2, folder="other")
    xr.testing.assert_identical(open_store(alone), open_store(together))
    files = [sorted(p.relative_to(root) for p in root.rglob("*")) for root in (alone, together)]
    assert files[0] == files[1]
    check_store(together)


def test_interrupted_build_goes_on_with_the_missing_parts(build, tmp_path):
    whole = build(1, folder="other")
    (tmp_path / "log").unlink()
    with pytest.raises(InputError, match="this part is wrong"):
        build(1, wrong="d")
    assert built(tmp_path) == ["a", "b", "c", "d"]
    assert not (tmp_path / "made" / "full.zarr").exists()
    told = []
    path = build(1, tell=told.append)
    assert built(tmp_path)[4:] == ["d", "e", "f"]
    assert told[0] == "made: 3 of 6 parts are there from an earlier run"
    xr.testing.assert_identical(open_store(path), open_store(whole))
    assert not list(path.parent.glob(".draft*"))


def test_fresh_build_starts_over(build, tmp_path):
    with pytest.raises(InputError):
        build(1, wrong="c")
    build(1, fresh=True)
    assert built(tmp_path) == ["a", "b", "c", *NAMES]


def test_draft_of_other_parts_is_thrown_away(build, tmp_path):
    with pytest.raises(InputError):
        build(1, wrong="c")
    build(1, names=list("abx"))
    assert built(tmp_path) == ["a", "b", "c", "a", "b", "x"]


def test_draft_is_never_opened_as_a_store(build, tmp_path, monkeypatch):
    with pytest.raises(InputError):
        build(1, wrong="c")
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path))
    assert store.find_stores() == []
    with pytest.raises(InputError, match="damaged"):
        open_store(tmp_path / "made" / ".draft-full" / "store.zarr")


def test_error_in_a_process_is_the_error_of_the_build(build):
    with pytest.raises(InputError, match="this part is wrong"):
        build(2, wrong="c")


def test_process_that_dies_says_how_to_go_on(build, tmp_path):
    with pytest.raises(JobFailed, match="ended with code 9 .* run the same command again"):
        build(2, dies="e")
    check_store(build(2))


def test_part_of_another_shape_is_refused(build):
    with pytest.raises(InputError, match=r"Part c: value has the shape \(4, 6\), not \(4, 3\)"):
        build(1, wide="c")


def test_disk_that_would_be_full_is_noticed_after_the_first_part(build, monkeypatch):
    monkeypatch.setattr(parts.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(InputError, match="GB more, 0.0 GB are free"):
        build(1)


def test_lazy_store_reads_rows_and_hashes_like_the_loaded_one(build):
    path = build()
    lazy, loaded = open_lazily(path), open_store(path)
    assert not lazy["value"].variable._in_memory
    np.testing.assert_array_equal(lazy["value"][5:9].values, loaded["value"].values[5:9])
    assert not lazy["value"].variable._in_memory
    assert content_hash(lazy) == content_hash(loaded) == store.read_provenance(path).content
    assert lazy["value"].encoding["chunks"][0] == 4


def test_damaged_chunk_of_a_lazy_store_is_noticed_when_it_is_read(build):
    path = build()
    chunk = path / "value" / "c" / "1" / "0"
    content = bytearray(chunk.read_bytes())
    content[-6] ^= 1
    chunk.write_bytes(content)
    lazy = open_lazily(path)
    lazy["value"][:4].values  # noqa: B018
    with pytest.raises(ValueError, match="checksum"):
        lazy["value"][4:8].values  # noqa: B018
    with pytest.raises(InputError, match="damaged"):
        open_store(path)


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (75, "1:15"), (3725, "1:02:05")])
def test_clock(seconds, text):
    assert parts.clock(seconds) == text
