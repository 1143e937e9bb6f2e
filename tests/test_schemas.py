"""The reference that is generated from, or checked against, the code."""

import ast
import re
from pathlib import Path

import pytest

from tsbench import schemas

ROOT = Path(__file__).resolve().parents[1]
CODE = ("tsbench", "datasets", "models", "leaderboards", "cuda_ops", "benchmarks", "tests")
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]+")


@pytest.mark.parametrize(("name", "text"), schemas.texts().items())
def test_schema_file_is_current(name, text):
    assert (schemas.FOLDER / name).read_text(encoding="utf-8") == text, "run: python -m tsbench.schemas"


def test_no_schema_file_is_left_over():
    assert {path.name for path in schemas.FOLDER.iterdir()} == set(schemas.texts())


def test_a_schema_refuses_unknown_keys_as_the_type_does():
    assert all(schemas.schema(kind)["additionalProperties"] is False for kind in schemas.TYPES.values())


def test_writing_gives_the_same_files(tmp_path):
    for path in schemas.write(tmp_path):
        assert path.read_text(encoding="utf-8") == schemas.texts()[path.name]


def test_every_environment_variable_is_in_the_reference():
    reference = (ROOT / "docs" / "reference" / "environment.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([A-Z0-9_]+)`", reference, flags=re.MULTILINE))
    used = {name for path in _sources() for name in _variables(ast.parse(path.read_text(encoding="utf-8")))}
    assert {"TSBENCH_RUNS", "MLFLOW_TRACKING_URI"} <= used
    assert sorted(used - listed) == []


def _sources():
    return [path for folder in CODE if (ROOT / folder).is_dir() for path in (ROOT / folder).rglob("*.py")]


def _variables(tree):
    """Names that are looked up in `os.environ` or `os.getenv`, and every text named like one of ours."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"(TSBENCH|MLFLOW)_[A-Z0-9_]+", node.value):
                yield node.value
        elif isinstance(node, ast.Call | ast.Subscript | ast.Compare):
            parts = (
                [node.func, *node.args] if isinstance(node, ast.Call) else list(ast.iter_child_nodes(node))
            )
            if any(re.search(r"\benviron\b|\bgetenv\b", ast.unparse(part)) for part in parts):
                for part in parts:
                    if isinstance(part, ast.Constant) and VARIABLE.fullmatch(str(part.value)):
                        yield part.value
