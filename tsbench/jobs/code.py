"""The hash of the code that a run uses: syntax trees, without comments and docstrings, of its modules.

The modules are found by following imports from a few roots (the job itself, the model, the adapters) without
importing anything, so that a finished run is recognised in a fraction of a second. Of the operators, those
count that a run imports by name, with their CUDA sources.
"""

import ast
import hashlib
import importlib.util
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tsbench import atomic
from tsbench.contracts import InputError
from tsbench.contracts.kinds import Kind, modules_of_kind

PACKAGE = "tsbench"
MAPPED = ("datasets", "models", "cuda_ops", "leaderboards")
ROOTS = ("tsbench.jobs.execute", "tsbench.jobs.together")
OPERATORS = "tsbench.cuda_ops"
"""A package that lists operators: an import of one of its names is an import of what the name stands for."""
OPERATOR, CUDA = "op.py", (".cu", ".cuh")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_hash(modules: Iterable[str], files: Iterable[Path] = (), cache_file: Path | None = None) -> str:
    """Hash of the syntax trees of modules, and of all of ours that they import.

    Args:
        modules: dotted names below `tsbench`.
        files: further source files (a model of the user's own); what they import of ours counts too.
        cache_file: where digests of unchanged files are kept between runs, or None.

    Returns:
        16 hexadecimal digits, independent of comments, docstrings and formatting.
    """
    sources = {name: path for name, path in _closure(modules, files)}
    digests = _Digests(cache_file)
    whole = hashlib.blake2b(digest_size=8)
    for name in sorted(sources):
        whole.update(f"{name}:{digests.of(sources[name])}\n".encode())
    digests.save()
    return whole.hexdigest()


def roots(kind: Kind = "forecast") -> tuple[str, ...]:
    """Where the code of a run on a task of that kind begins, beside adapters and model."""
    return *ROOTS, *modules_of_kind(kind)


def modules_of(modules: Iterable[str]) -> set[str]:
    """Names of our modules that these import, directly or not, themselves included."""
    return {name for name, _ in _closure(modules, ())}


def syntax(text: str) -> str:
    """The syntax tree of a source, without comments, docstrings and what differs between Pythons."""
    parts: list[str] = []
    _write_node(ast.parse(text), parts)
    return "".join(parts)


def words(text: str) -> str:
    """A CUDA source without comments and spacing."""
    return " ".join(COMMENT.sub(" ", text).split())


def _write_node(node: ast.AST, parts: list[str]) -> None:
    parts.append(f"({type(node).__name__}")
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(node, DOCUMENTED):
            value = _without_docstring(value)
        # Empty fields are left out: newer Pythons add some to old nodes (type_params, kind, …).
        if value is None or value == [] or name in ("ctx", "type_comment"):
            continue
        parts.append(f" {name}=")
        _write_value(value, parts)
    parts.append(")")


def _write_value(value: Any, parts: list[str]) -> None:
    if isinstance(value, ast.AST):
        _write_node(value, parts)
    elif isinstance(value, list):
        parts.append("[")
        for item in value:
            _write_value(item, parts)
            parts.append(",")
        parts.append("]")
    else:
        parts.append(repr(value))


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    described = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    return body[1:] if described else body


def _closure(modules: Iterable[str], files: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    waiting = list(modules)
    # A third party's package counts as ours: its adapter or model is one of the roots.
    ours = {PACKAGE, *(name.split(".")[0] for name in waiting)}
    for path in files:
        yield f"file:{path.name}", path
        waiting += _imports(path, package="")
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        path = _file_of(name) if name.split(".")[0] in ours and name not in seen else None
        if path is None:
            continue
        seen.add(name)
        yield name, path
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        if name != OPERATORS:
            waiting += _imports(path, package)
        if package.startswith(f"{OPERATORS}.") and path.name == OPERATOR:
            yield from _cuda_sources(package, path.parent)
        if "." in name:
            waiting.append(name.rpartition(".")[0])


def _cuda_sources(package: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Sources beside an operator, and the headers that they share."""
    source, header = CUDA
    sources = sorted(folder.glob(f"*{source}"))
    for path in [*sources, *(sorted(folder.parent.glob(f"*{header}")) if sources else [])]:
        yield f"{package}/{path.name}", path


def _imports(path: Path, package: str) -> tuple[str, ...]:
    """Names that a file imports, anywhere in it but for type checkers, with submodules taken for possible."""
    return _imports_of(path.read_bytes(), path, package)


@cache
def _imports_of(text: bytes, path: Path, package: str) -> tuple[str, ...]:
    found: list[str] = []
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise InputError(f"{path}{line}: this is not Python: {getattr(error, 'msg', error)}") from error
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
            found += _operators() if OPERATORS in found else []
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parts, *([node.module] if node.module else [])])
            found += _named(base, [alias.name for alias in node.names])
    return tuple(found)


def _named(base: str, names: list[str]) -> list[str]:
    """Modules that `from base import names` may import."""
    below = [f"{base}.{name}" for name in names]
    if base == OPERATORS:
        homes = _operator_homes()
        below = [homes.get(name, one) for name, one in zip(names, below, strict=True)]
    return [base, *below, *(_operators() if OPERATORS in below else [])]


def _operators() -> list[str]:
    return list(_operator_homes().values())


@cache
def _operator_homes() -> dict[str, str]:
    """Name that the package of operators lists → the module that it is imported from."""
    path = _file_of(OPERATORS)
    tree = ast.parse(path.read_bytes()) if path else ast.Module([], [])
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1]
    return {alias.name: f"{OPERATORS}.{node.module}" for node in imports for alias in node.names}


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below, without what stands under `if TYPE_CHECKING:`."""
    yield node
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        children: Iterable[ast.AST] = node.orelse
    else:
        children = ast.iter_child_nodes(node)
    for child in children:
        yield from _executed(child)


def _file_of(module: str) -> Path | None:
    parts = module.split(".")
    # The mapped folders lie elsewhere than the package that they belong to.
    depth = 2 if parts[0] == PACKAGE and len(parts) > 1 and parts[1] in MAPPED else 1
    base, rest = ".".join(parts[:depth]), parts[depth:]
    for folder in _locations(base):
        path = folder.joinpath(*rest)
        if (path / "__init__.py").is_file():
            return path / "__init__.py"
        if rest and path.with_suffix(".py").is_file():
            return path.with_suffix(".py")
    return None


def _locations(package: str) -> tuple[Path, ...]:
    spec = importlib.util.find_spec(package)
    return tuple(Path(one) for one in spec.submodule_search_locations or ()) if spec else ()


class _Digests:
    """Digest of each file's syntax tree, remembered by the hash of its text."""

    def __init__(self, cache_file: Path | None) -> None:
        self.file, self.changed = cache_file, False
        self.known: dict[str, str] = {}
        if cache_file is not None and cache_file.is_file():
            try:
                self.known = json.loads(cache_file.read_text(encoding="utf-8"))
            except ValueError:
                # Only a cache: what cannot be read is computed again.
                self.known = {}

    def of(self, path: Path) -> str:
        text = path.read_bytes()
        key = hashlib.blake2b(text, digest_size=16).hexdigest()
        if key not in self.known:
            read = words if path.suffix in CUDA else syntax
            self.known[key] = hashlib.blake2b(read(text.decode("utf-8")).encode(), digest_size=8).hexdigest()
            self.changed = True
        return self.known[key]

    def save(self) -> None:
        if self.file is not None and self.changed:
            atomic.remove_abandoned(self.file)
            atomic.write_text(self.file, json.dumps(self.known))
