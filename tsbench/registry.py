"""Finds datasets, tasks, models and suites: built-in ones by their card, third-party ones by entry point.

A built-in dataset is a folder `datasets/<name>` with card.yaml, adapter.py and tasks.yaml; a model is a
folder `models/<name>` with card.yaml and model.py; a suite is a folder `leaderboards/<name>` with suite.yaml.
A third party names its package in an entry point of the group `tsbench.datasets`, `tsbench.models` or
`tsbench.leaderboards`; the package's folder holds the same files. Nothing here imports torch.
"""

import difflib
import importlib
import importlib.metadata
import importlib.util
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from tsbench.contracts import DatasetCard, InputError, ModelCard, Suite, Task, Variant, parse

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
YAML_DEPTH, YAML_NODES, AXES_LIMIT = 50, 1_000_000, 100_000


@dataclass(frozen=True)
class Folder:
    """A folder that holds one dataset, model or suite, and the package that it is imported as."""

    name: str
    path: Path
    package: str


@dataclass(frozen=True)
class DatasetEntry:
    """One named data set: a variant of an adapter."""

    name: str
    card: DatasetCard
    variant: Variant
    folder: Folder

    @property
    def origin(self) -> str:
        """Where the data come from: published, generated or a user's own."""
        return self.variant.origin or self.card.origin


def datasets() -> dict[str, DatasetEntry]:
    """Every data set by name."""
    return {
        name: DatasetEntry(name, card, variant, folder)
        for folder in _folders("datasets", "card.yaml").values()
        for card in [_dataset_card(folder.path)]
        for name, variant in card.variants.items()
    }


def dataset(name: str) -> DatasetEntry:
    """The data set of that name; a member of a family, which only its user knows, is made on the spot.

    Raises:
        InputError: where there is none, with the nearest name.
    """
    found = datasets()
    return found.get(name) or member(name) or _get("dataset", found, name)


def adapter(entry: DatasetEntry) -> ModuleType:
    """The adapter module of a data set; it has a function `build`."""
    return importlib.import_module(f"{entry.folder.package}.adapter")


def tasks() -> dict[str, Task]:
    """Every declared task by name."""
    found: dict[str, Task] = {}
    for folder in _folders("datasets", "tasks.yaml").values():
        found.update(_tasks_of(folder.path / "tasks.yaml"))
    return found


def task(name: str) -> Task:
    """The task of that name; the one of a member of a family is made by its adapter from the prepared data.

    Raises:
        InputError: where there is none, with the nearest name, or where the member is not prepared.
    """
    found = tasks()
    own = None if name in found else member(name)
    return _get("task", found, name) if own is None else adapter(own).task(own.name)


def canonical_name(name: str) -> str:
    """The name of a store or task for `family/its-name`."""
    return name.replace("/", "-", 1).lower() if "/" in name else name


def member(name: str) -> DatasetEntry | None:
    """The member `family/its-name` or `family-its-name` of a family of data sets, or None."""
    canonical = canonical_name(name)
    for family, entry in datasets().items():
        own = canonical.removeprefix(f"{family}-")
        if entry.card.family and own != canonical and _MEMBER.fullmatch(own):
            return replace(entry, name=canonical)
    return None


def models() -> dict[str, ModelCard]:
    """Every model card by name."""
    return {name: _model_card(folder.path) for name, folder in _folders("models", "card.yaml").items()}


def model(name: str) -> ModelCard:
    """The card of the model of that name.

    Raises:
        InputError: where there is none, with the nearest name.
    """
    folders = _folders("models", "card.yaml")
    return _model_card(_get("model", folders, name).path)


def model_folder(name: str) -> Folder:
    """Where the model of that name lives."""
    return _get("model", _folders("models", "card.yaml"), name)


def suites() -> dict[str, Suite]:
    """Every suite by name."""
    return {name: _suite(folder.path) for name, folder in _folders("leaderboards", "suite.yaml").items()}


def suite(name: str) -> Suite:
    """The suite of that name.

    Raises:
        InputError: where there is none, with the nearest name.
    """
    return _suite(suite_folder(name).path)


def suite_folder(name: str) -> Folder:
    """Where the suite of that name and its checked-in Results live."""
    return _get("suite", _folders("leaderboards", "suite.yaml"), name)


def unknown(kind: str, name: str, known: Iterable[str], see: str | None = None) -> InputError:
    """The error for a name that does not exist: with the nearest one, and the command that shows them all."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    return InputError(f"Unknown {kind} '{name}'. {hint}See: tsbench {see or f'list {kind}s'}")


def read_yaml(path: Path) -> Any:
    """Read a YAML file without constructing objects.

    Raises:
        InputError: where the file is not YAML, with the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        _check_size(text, path)
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        reason = str(getattr(error, "problem", None) or error)[:300]
        raise InputError(f"{path}:{line} is not YAML: {reason}") from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        # A date of the 99th of a month, an empty number, a file in another encoding.
        raise InputError(f"{path} is not YAML: {str(error)[:300]}") from error


def _check_size(text: str, path: Path) -> None:
    """Refuse what is nested too deeply, or grows too large once its aliases are followed.

    The loader in C follows nesting on the stack until the process dies, and aliases of aliases double a
    structure with every line.
    """
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []  # anchor and nodes so far of every structure that is open
    for event in yaml.parse(text, Loader=_Loader):
        nodes = 1
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, 1))
            if len(open_) > YAML_DEPTH:
                raise InputError(f"{path} is nested more than {YAML_DEPTH} levels deep")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, nodes = open_.pop()
            if anchor is not None:
                sizes[anchor] = nodes
        elif isinstance(event, yaml.AliasEvent):
            nodes = sizes.get(event.anchor, YAML_NODES)  # an alias of what is still open has no end
        elif isinstance(event, yaml.ScalarEvent):
            if event.anchor is not None:
                sizes[event.anchor] = 1
        else:
            continue
        if open_:
            open_[-1] = (open_[-1][0], open_[-1][1] + nodes)
            if open_[-1][1] >= YAML_NODES:
                raise InputError(f"{path} holds more than {YAML_NODES} values once its aliases are followed")


def _get(kind: str, found: dict[str, Any], name: str) -> Any:
    if name not in found:
        raise unknown(kind, name, found)
    return found[name]


@cache
def _folders(group: str, marker: str) -> dict[str, Folder]:
    return {folder.name: folder for folder in _all_folders(group) if (folder.path / marker).is_file()}


def _all_folders(group: str) -> Iterator[Folder]:
    package = f"tsbench.{group}"
    spec = importlib.util.find_spec(package)
    for location in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(location).iterdir()):
            if path.is_dir():
                yield Folder(path.name, path, f"{package}.{path.name}")
    for point in importlib.metadata.entry_points(group=package):
        outside = importlib.util.find_spec(point.value)
        for location in (outside.submodule_search_locations or []) if outside else []:
            yield Folder(point.name, Path(location), point.value)


@cache
def _dataset_card(folder: Path) -> DatasetCard:
    path = folder / "card.yaml"
    return parse(DatasetCard, read_yaml(path), path)


@cache
def _model_card(folder: Path) -> ModelCard:
    path = folder / "card.yaml"
    return parse(ModelCard, read_yaml(path), path)


@cache
def _suite(folder: Path) -> Suite:
    path = folder / "suite.yaml"
    return parse(Suite, read_yaml(path), path)


@cache
def _tasks_of(path: Path) -> dict[str, Task]:
    document = read_yaml(path) or {}
    declared = document.get("tasks", []) if isinstance(document, dict) else None
    if not isinstance(declared, list) or not all(isinstance(one, dict) for one in declared):
        raise InputError(f"{path}: 'tasks' must be a list of declarations")
    found: dict[str, Task] = {}
    for number, declaration in enumerate(declared, start=1):
        for filled in _expand(declaration, f"{path}: task {number}"):
            one = parse(Task, filled, f"{path}: task {number}")
            if one.name in found:
                raise InputError(f"{path}: task '{one.name}' is declared twice")
            found[one.name] = one
    return found


def _expand(declaration: dict[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """One declaration per combination of its `axes`; `{name}` in any text is replaced by the axis' value."""
    axes = declaration.get("axes", [])
    if not isinstance(axes, list) or not all(
        isinstance(axis, list) and all(isinstance(point, dict) for point in axis) for axis in axes
    ):
        raise InputError(f"{where}: 'axes' must be a list of lists of points, each a mapping")
    if math.prod(map(len, axes)) > AXES_LIMIT:
        raise InputError(f"{where}: 'axes' span more than {AXES_LIMIT} tasks")
    body = {key: value for key, value in declaration.items() if key != "axes"}
    for combination in itertools.product(*axes):
        values = {key: value for point in combination for key, value in point.items()}
        yield _fill(body, values, where)


def _fill(part: Any, values: dict[str, Any], where: str) -> Any:
    if isinstance(part, dict):
        return {key: _fill(value, values, where) for key, value in part.items()}
    if isinstance(part, list):
        return [_fill(value, values, where) for value in part]
    if not isinstance(part, str):
        return part
    for name in re.findall(r"{(\w+)}", part):
        if name not in values:
            raise InputError(f"{where}: '{{{name}}}' is not an axis; there are {sorted(values)}")
    whole = re.fullmatch(r"{(\w+)}", part)
    # Nothing but names between braces means anything: `format` would also follow attributes.
    return values[whole[1]] if whole else re.sub(r"{(\w+)}", lambda match: str(values[match[1]]), part)
