"""The code hash: blind to comments and form, not to code; it covers the modules that a run imports."""

from pathlib import Path

import pytest

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
    around = {"tsbench.jobs.api", "tsbench.jobs.command", "tsbench.jobs.run", "tsbench.folders"}
    assert set(modules) - covered - around == set()


def test_the_modules_of_a_kind_of_task_count_for_that_kind_alone():
    from tsbench.contracts.kinds import FURTHER, modules_of_kind
    from tsbench.jobs.code import roots

    of_series = modules_of(roots())
    for kind in FURTHER:
        assert set(modules_of_kind(kind)) <= modules_of(roots(kind))
        assert not set(modules_of_kind(kind)) & of_series
