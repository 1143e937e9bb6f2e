"""The data command: prepares, lists and checks stores."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tsbench.cli.data import app
from tsbench.contracts import InputError
from tsbench.data.store import store_path
from tsbench.data.user import prepare_file


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("TSBENCH_DATA", str(tmp_path / "stores"))

    def command(*arguments: str):
        return CliRunner().invoke(app, list(arguments), catch_exceptions=False)

    return command


def test_generated_data_are_prepared_listed_and_checked(run):
    assert "No store in" in run("list").stderr
    assert "load_demo is ready" in run("get", "load_demo", "--size", "tiny").stderr
    assert "load_demo" in run("list").stdout
    assert "load_demo is intact" in run("check", "load_demo", "--size", "tiny").stderr


def test_a_damaged_store_is_listed_beside_the_others(run):
    path = json.loads(run("get", "load_demo", "--size", "tiny", "--json").stdout)["path"]
    run("get", "load_demo_south", "--size", "tiny")
    (Path(path) / "zarr.json").write_text("{")
    listed = run("list")

    assert "load_demo_south" in listed.stdout
    assert "damaged" in listed.stdout
    assert "load_demo" in listed.stderr


def test_json_is_the_same_record_everywhere(run):
    made = json.loads(run("get", "load_demo", "--size", "tiny", "--seed", "5", "--json").stdout)
    assert made["seed"] == 5
    assert json.loads(run("list", "--json").stdout) == [made]
    checked = json.loads(run("check", "load_demo", "--size", "tiny", "--json").stdout)
    assert checked == made | {"intact": True}


def test_from_reads_published_files(run, shared_data):
    record = json.loads(run("get", "etth1", "--from", str(shared_data / "ETTh1.csv"), "--json").stdout)
    assert record["files"]["ETTh1.csv"].startswith("f18de3ad269cef59")


def test_other_checksum_needs_to_be_allowed(run, tmp_path):
    rows = "\n".join(f"2016-07-01 {hour:02d}:00:00,1,2,3,4,5,6,7" for hour in range(24))
    (tmp_path / "ETTh1.csv").write_text(f"date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT\n{rows}\n")
    with pytest.raises(InputError, match="--allow-other-checksum"):
        run("get", "etth1", "--from", str(tmp_path))
    assert run("get", "etth1", "--from", str(tmp_path), "--allow-other-checksum").exit_code == 0


def test_store_of_an_own_file_is_repaired_from_the_file(run, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("date,x\n2024-01-01,1\n2024-01-02,2\n2024-01-03,3\n")
    prepare_file(path)
    (store_path("user-mine") / "zarr.json").write_text("{}")
    with pytest.raises(InputError, match="again: tsbench data get user-mine --from FILE --fresh"):
        run("check", "user-mine")
    assert "user-mine is ready" in run("get", "user-mine", "--from", str(path), "--fresh").stderr
    assert run("check", "user-mine").exit_code == 0
    with pytest.raises(InputError, match="mine.csv becomes 'user-mine', not 'user-other'"):
        run("get", "user-other", "--from", str(path))
    with pytest.raises(InputError, match="tsbench data get user-mine --from FILE"):
        run("get", "user-mine")


def test_damage_is_found_and_repaired(run):
    run("get", "load_demo", "--size", "tiny")
    chunk = store_path("load_demo", "tiny") / "load" / "c" / "0"
    content = bytearray(chunk.read_bytes())
    content[40] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(InputError, match="tsbench data get load_demo --fresh"):
        run("check", "load_demo", "--size", "tiny")
    run("get", "load_demo", "--size", "tiny", "--fresh")
    assert run("check", "load_demo", "--size", "tiny").exit_code == 0
