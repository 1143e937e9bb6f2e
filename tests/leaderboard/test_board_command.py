"""`tsbench board`: a table on the terminal, JSON for machines, and where the pages are."""

import json

import pytest
from typer.testing import CliRunner

from tsbench import registry
from tsbench.cli import board
from tsbench.contracts import InputError


@pytest.fixture
def command(bench, monkeypatch, tmp_path):
    """Runs the command in a world where the synthetic suite is the only one."""
    suite_folder = registry.Folder("synthetic", tmp_path / "suite", "none")
    (suite_folder.path / "results").mkdir(parents=True)
    monkeypatch.setattr(registry, "suite", lambda name: {"synthetic": bench.suite}[name])
    monkeypatch.setattr(registry, "suites", lambda: {"synthetic": bench.suite})
    monkeypatch.setattr(registry, "suite_folder", lambda name: suite_folder)
    monkeypatch.setattr(registry, "tasks", lambda: bench.declared.tasks)
    monkeypatch.setattr(registry, "models", lambda: bench.declared.cards)

    def run(*arguments):
        return CliRunner().invoke(board.app, [*arguments, "--runs", str(bench.root)], catch_exceptions=True)

    return run


def test_build_prints_the_table_and_where_the_pages_are(bench, command, tmp_path):
    bench.save_all()
    result = command("build", "synthetic", "--out", str(tmp_path / "pages"))
    assert result.exit_code == 0
    assert "Synthetic suite: skill against naive" in result.stdout
    assert f"Pages: {tmp_path / 'pages' / 'index.html'}" in result.stderr
    assert (tmp_path / "pages" / "suites" / "synthetic.html").is_file()


def test_build_without_a_suite_builds_those_that_have_results(bench, command, tmp_path):
    bench.save_all()
    result = command("build", "--json", "--out", str(tmp_path / "pages"))
    data = json.loads(result.stdout)
    assert list(data["suites"]) == ["synthetic"]
    assert data["suites"]["synthetic"][0]["entry"] in {"naive", "linear", "deep"}


def test_results_checked_in_with_the_suite_count(bench, command, tmp_path, make):
    make.result(tmp_path / "suite" / "results" / "one", "deep", bench.tasks[0], 0)
    rows = json.loads(command("show", "synthetic", "--json").stdout)
    assert [row["entry"] for row in rows] == ["deep"]
    assert rows[0]["skill"] is None  # no baseline yet


def test_without_any_result_the_error_says_what_to_run(command, tmp_path):
    result = command("build", "--out", str(tmp_path / "pages"))
    assert isinstance(result.exception, InputError)
    assert "tsbench run quick" in str(result.exception)
    assert not (tmp_path / "pages").exists()


def test_a_wrong_choice_for_missing_is_named(bench, command):
    bench.save_all()
    result = command("show", "synthetic", "--missing", "ignore")
    assert isinstance(result.exception, InputError)
    assert "error, drop, impute" in str(result.exception)


def test_a_build_from_the_cache_has_the_same_bytes_as_one_without(bench, command, tmp_path):
    bench.save_all()
    for name, option in (("first", "--cache"), ("second", "--cache"), ("third", "--no-cache")):
        assert command("build", option, "--no-track", "--out", str(tmp_path / name)).exit_code == 0
    first = {one.relative_to(tmp_path / "first"): one for one in (tmp_path / "first").rglob("*.*")}
    for name in ("second", "third"):
        found = {one.relative_to(tmp_path / name): one for one in (tmp_path / name).rglob("*.*")}
        assert found.keys() == first.keys()
        assert all(found[path].read_bytes() == first[path].read_bytes() for path in first)
    assert list((bench.root / board.CACHE).glob("??/*"))


def test_serving_without_pages_says_how_to_build_them(command):
    result = command("serve")
    assert isinstance(result.exception, InputError)
    assert "tsbench board build" in str(result.exception)
