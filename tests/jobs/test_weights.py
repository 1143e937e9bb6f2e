"""Given weights by name: fetched from the hub only when they are meant, checked, and named in the command."""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tsbench.contracts import InputError
from tsbench.jobs.command import command_of
from tsbench.jobs.job import Options, resolve
from tsbench.jobs.weights import WANTED, hub_name, locate

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub with one checkpoint, in a cache laid out as the client's; keeps what was asked for."""
    cache = tmp_path / "hub" / "models--amazon--tiny"
    blobs, folder = cache / "blobs", cache / "snapshots" / COMMIT
    blobs.mkdir(parents=True)
    folder.mkdir(parents=True)
    data = b"tensors"
    (blobs / hashlib.sha256(data).hexdigest()).write_bytes(data)
    (folder / "model.safetensors").symlink_to(blobs / hashlib.sha256(data).hexdigest())
    (folder / "config.json").write_text("{}")
    asked = []

    def snapshot_download(name, revision, allow_patterns):
        asked.append((name, revision, allow_patterns))
        if name != "amazon/tiny":
            raise ConnectionError("no route\nto the hub")
        return str(folder)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=snapshot_download))
    monkeypatch.chdir(tmp_path)
    return SimpleNamespace(folder=folder, asked=asked, blobs=blobs)


@pytest.mark.parametrize(("given", "revision"), [("amazon/tiny", None), ("amazon/tiny@v1.0", "v1.0")])
def test_a_name_is_fetched_without_pickles_and_code(hub, given, revision):
    assert locate(Path(given)) == hub.folder
    assert hub.asked == [("amazon/tiny", revision, WANTED)]
    assert all(pattern.endswith((".json", ".safetensors")) for pattern in WANTED)


def test_paths_are_never_fetched(hub, tmp_path):
    (tmp_path / "amazon" / "tiny").mkdir(parents=True)

    for given in (
        "amazon/tiny",
        "amazon/other",
        "weights.safetensors",
        "missing/weights.safetensors",
        "a/b/c",
    ):
        assert locate(Path(given)) == Path(given)
    assert hub.asked == []


def test_a_hub_that_cannot_be_reached_is_one_line(hub):
    with pytest.raises(
        InputError, match="no file or folder amazon/other.*ConnectionError: no route to the hub"
    ):
        locate(Path("amazon/other"))


def test_without_the_client_the_message_says_what_to_install(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)

    with pytest.raises(
        InputError, match=r'--weights amazon/tiny needs .*pip install "tsbench\[foundation\]"'
    ):
        locate(Path("amazon/tiny"))


def test_other_bytes_than_the_hub_announced_are_refused(hub):
    (blob,) = hub.blobs.iterdir()
    blob.write_bytes(b"others")

    with pytest.raises(InputError, match=r"model.safetensors is not what the hub announced"):
        locate(Path("amazon/tiny"))


def test_the_command_names_fetched_weights_with_their_commit(hub, waves_at_hand, wave_task):
    job = resolve("seasonal_naive", wave_task(), 0, Options(context=48, weights=Path("amazon/tiny")))

    assert command_of(job, "run").endswith(f"--weights amazon/tiny@{COMMIT}")
    own = replace(job, options=replace(job.options, weights=Path("/home/somebody/weights")))
    assert command_of(own, "run").endswith("--weights weights")
    assert hub_name(Path("/home/somebody/model.safetensors")) is None


def test_fetched_and_copied_weights_have_one_key(hub, waves_at_hand, wave_task, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in hub.folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())

    keys = {
        resolve("seasonal_naive", wave_task(), 0, Options(context=48, weights=one)).key
        for one in (Path("amazon/tiny"), copy)
    }

    assert len(keys) == 1
