"""The code hash: blind to comments and form, not to code; it covers the modules that a run imports."""

import shutil
from pathlib import Path

import pytest

from tsbench.cuda_ops import build
from tsbench.jobs import code
from tsbench.jobs.code import ROOTS, code_hash, modules_of

SOURCE = '''"""A module."""

import math


def area(radius):
    """Of a circle."""
    return math.pi * radius**2


class Circle:
    """Round."""

    corners = 0
'''
SAME = {
    "without docstrings": SOURCE.replace('    """Of a circle."""\n', "").replace('"""A module."""\n', ""),
    "with other docstrings": SOURCE.replace("Of a circle.", "Of a disc, in square metres."),
    "with comments": SOURCE.replace("import math", "import math  # for pi\n# and no more"),
    "in another form": SOURCE.replace("math.pi * radius**2", "(math.pi\n        * (radius ** 2))"),
}
OTHER = {
    "another number": SOURCE.replace("radius**2", "radius**3"),
    "another name": SOURCE.replace("area", "surface"),
    "another attribute": SOURCE.replace("corners = 0", "corners = 1"),
    "a text that is no docstring": SOURCE.replace("corners = 0", 'corners = "0"'),
    "a further statement": SOURCE + "\nCircle.corners = 2\n",
    "another default": SOURCE.replace("area(radius)", "area(radius=1)"),
}


def hash_of(text: str, folder: Path, name: str = "model.py") -> str:
    (folder / "planted").mkdir(exist_ok=True)
    path = folder / "planted" / f"{len(list((folder / 'planted').iterdir()))}"
    path.mkdir()
    (path / name).write_text(text)
    return code_hash([], [path / name])


@pytest.mark.parametrize("form", SAME)
def test_comments_docstrings_and_form_do_not_count(tmp_path, form):
    assert hash_of(SAME[form], tmp_path) == hash_of(SOURCE, tmp_path)


@pytest.mark.parametrize("change", OTHER)
def test_every_change_of_code_counts(tmp_path, change):
    assert hash_of(OTHER[change], tmp_path) != hash_of(SOURCE, tmp_path)


def test_the_cache_of_digests_changes_nothing_and_a_broken_one_is_ignored(tmp_path):
    cache = tmp_path / ".code.json"
    plain = code_hash(["tsbench.data.missing"])

    assert code_hash(["tsbench.data.missing"], cache_file=cache) == plain
    assert code_hash(["tsbench.data.missing"], cache_file=cache) == plain
    cache.write_text("{")
    assert code_hash(["tsbench.data.missing"], cache_file=cache) == plain


def test_what_a_file_of_the_users_own_imports_of_ours_counts_too(tmp_path):
    plain = hash_of("x = 1\n", tmp_path)

    assert hash_of("from tsbench.data.missing import fill_forward\nx = 1\n", tmp_path) != plain


def test_a_job_counts_the_path_from_data_to_scores_and_not_what_only_shows_them():
    found = modules_of([*ROOTS, "tsbench.models.tpgn.model"])

    assert {
        "tsbench.contracts.task",
        "tsbench.data.calendar",
        "tsbench.data.disturbances",
        "tsbench.data.normalisation",
        "tsbench.data.task_data",
        "tsbench.data.windows",
        "tsbench.evaluation.evaluate",
        "tsbench.evaluation.metrics.relative",
        "tsbench.evaluation.tally",
        "tsbench.jobs.execute",
        "tsbench.models.tpgn.model",
        "tsbench.training.checkpoint",
        "tsbench.training.fit",
        "tsbench.training.module",
    } <= found
    shown = ("tsbench.leaderboard", "tsbench.tracking", "tsbench.models.dlinear")
    assert [name for name in found if name.startswith(shown)] == []


def test_a_run_imports_no_module_of_ours_that_its_code_hash_does_not_cover(waves_at_hand, python, quick):
    modules = python(
        """
tb.run("dlinear", task, conduct=conduct, **options)
print(json.dumps([name for name in sys.modules if name.startswith("tsbench.")]))
""",
        quick,
    )

    covered = modules_of([*ROOTS, "tsbench.models.dlinear.model"])
    # These decide which job it is and whether it is done already; no number passes through them.
    around = {"tsbench.folders"} | {
        f"tsbench.jobs.{name}" for name in ("api", "command", "pretrained", "run")
    }
    # The list of operators imports all of them; the run calls those that it names.
    not_called = ("tsbench.cuda_ops.moe_ffn", "tsbench.cuda_ops.pgn_gate")
    unexplained = set(modules) - covered - around
    assert {name for name in unexplained if not name.startswith(not_called)} == set()


def test_the_modules_of_a_kind_of_task_count_for_that_kind_alone():
    from tsbench.contracts.kinds import FURTHER, modules_of_kind
    from tsbench.jobs.code import roots

    of_series = modules_of(roots())
    for kind in FURTHER:
        assert set(modules_of_kind(kind)) <= modules_of(roots(kind))
        assert not set(modules_of_kind(kind)) & of_series


@pytest.fixture
def operators(tmp_path, monkeypatch):
    """A copy of the operators' folder, which code hashes read instead."""
    folder = tmp_path / "cuda_ops"
    shutil.copytree(build.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    there = code._locations
    monkeypatch.setattr(code, "_locations", lambda one: (folder,) if one == code.OPERATORS else there(one))
    code._operator_homes.cache_clear()
    yield folder
    code._operator_homes.cache_clear()


USERS = {
    "window_gather": "tsbench.data.windows",
    "ensemble_crps": "tsbench.evaluation.metrics.ensemble",
    "pgn_gate": "tsbench.models.tpgn.model",
    "moe_ffn": "tsbench.models.time_moe.experts",
}
"""Operator → a module that imports it by name."""


@pytest.mark.parametrize("operator", USERS)
def test_a_run_counts_the_kernels_of_operators_that_it_names_and_no_others(operators, operator):
    kernels = {
        "window_gather": "window_gather.cu",
        "ensemble_crps": "ensemble_crps.cu",
        "pgn_gate": "gate.cu",
        "moe_ffn": "kernels.py",
    }
    before = {user: code_hash([user]) for user in USERS.values()}
    path = operators / operator / kernels[operator]
    added = "\nCHANGED = 1\n" if path.suffix == ".py" else "\n#define CHANGED 1\n"
    path.write_text(path.read_text() + added)

    after = {user: code_hash([user]) for user in USERS.values()}

    named = {name for name, user in USERS.items() if operator in operators_of(user)}
    assert operator in named
    assert {name for name, user in USERS.items() if after[user] != before[user]} == named


def operators_of(user):
    found = modules_of([user])
    return {name for name in USERS if any(one.startswith(f"tsbench.cuda_ops.{name}") for one in found)}


def test_models_without_experts_do_not_count_those_of_others():
    found = modules_of([*ROOTS, "tsbench.models.dlinear.model"])

    assert {"tsbench.cuda_ops.window_gather.op", "tsbench.cuda_ops.ensemble_crps.op"} <= found
    assert {one for one in found if one.startswith(("tsbench.cuda_ops.moe", "tsbench.cuda_ops.pgn"))} == set()


def test_a_shared_header_counts_and_comments_of_a_source_do_not(operators):
    plain = code_hash(["tsbench.data.windows"])
    source = operators / "window_gather" / "window_gather.cu"
    source.write_text("// A comment.\n/* And\nanother. */\n" + source.read_text().replace("\n", "\n\n"))
    assert code_hash(["tsbench.data.windows"]) == plain

    header = next(operators.glob("*.cuh"))
    header.write_text(header.read_text() + "\n#define FURTHER 1\n")
    assert code_hash(["tsbench.data.windows"]) != plain


@pytest.mark.parametrize(
    "form",
    ["import tsbench.cuda_ops", "from tsbench import cuda_ops", "from tsbench.cuda_ops import moe_ffn"],
)
def test_every_form_of_import_finds_the_operator(tmp_path, form):
    path = tmp_path / "model.py"
    path.write_text(form + "\n")

    found = {name for name, _ in code._closure([], [path])}

    assert "tsbench.cuda_ops.moe_ffn.op" in found
    assert "tsbench.cuda_ops.moe_ffn.kernels" in found
    assert ("tsbench.cuda_ops.pgn_gate.op" in found) == ("moe_ffn" not in form)
