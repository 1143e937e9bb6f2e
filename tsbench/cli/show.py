"""`tsbench list|info|doctor`: what there is, what one of it is, and what this machine lacks."""

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from . import output


class Kind(StrEnum):
    """What can be listed."""

    models = "models"
    datasets = "datasets"
    tasks = "tasks"
    suites = "suites"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the program."""
    app.command("list")(list_)
    app.command()(info)
    app.command()(doctor)


def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    words: Annotated[
        list[str] | None, typer.Argument(help="List only what holds all of these words.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List models, datasets, tasks or suites."""
    from tsbench.contracts import InputError

    columns, rows = _LISTINGS[kind]()
    rows = [row for row in rows if _holds(row, words or [])]
    if words and not rows:
        raise InputError(f"No {kind.removesuffix('s')} holds {' and '.join(map(repr, words))}")
    if as_json:
        output.as_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    shown = [index for index, name in enumerate(columns) if name not in _TOO_WIDE.get(kind, ())]
    output.table([columns[index] for index in shown], [[row[index] for index in shown] for row in rows])
    narrower = "" if words else f", fewer of them: tsbench list {kind} WORD"
    output.note(f"More on one of them: tsbench info NAME{narrower}")


def info(
    name: Annotated[str, typer.Argument(help="A model, dataset, task or suite.")],
    scenarios: Annotated[
        bool, typer.Option("--scenarios", help="List the keys of a task's scenarios instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show everything that is declared about a model, dataset, task or suite."""
    import yaml

    from tsbench import registry

    if scenarios:
        keys = [one.key for one in registry.task(name).scenarios()]
        output.as_json(keys) if as_json else sys.stdout.write("".join(f"{key}\n" for key in keys))
        return
    declared: dict[str, Any] = {}
    if name in registry.models():
        declared["model"] = registry.model(name).model_dump(mode="json", exclude_defaults=True)
    if name in registry.tasks():
        declared["task"] = registry.task(name).model_dump(mode="json", exclude_defaults=True)
    if name in registry.suites():
        declared["suite"] = registry.suite(name).model_dump(mode="json", exclude_defaults=True)
    own = None if name in registry.datasets() else registry.member(name)
    if own is not None:
        declared["task"] = registry.task(name).model_dump(mode="json", exclude_defaults=True)
    if name in registry.datasets() or own is not None:
        entry = registry.dataset(name)
        card = entry.card.model_dump(mode="json", exclude_defaults=True, exclude={"variants"})
        declared["dataset"] = card | {"variant": entry.variant.model_dump(mode="json", exclude_defaults=True)}
    if not declared:
        known = [*registry.models(), *registry.tasks(), *registry.suites(), *registry.datasets()]
        raise registry.unknown("model", name, known)
    if as_json:
        output.as_json(declared)
        return
    sys.stdout.write(yaml.safe_dump(declared, sort_keys=False, allow_unicode=True, width=78))


def doctor(
    build_ops: Annotated[
        bool, typer.Option("--build-ops", help="Build the kernels of the operators ahead instead.")
    ] = False,
    architecture: Annotated[
        str | None,
        typer.Option(help="Build for this one, for example sm_90, instead of the CUDA devices here."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show versions, devices, compilers and settings, and what is missing and how to get it."""
    from tsbench.contracts import InputError

    from .doctor import build_operators, examine

    if architecture and not build_ops:
        raise InputError("--architecture belongs to --build-ops")
    checks = build_operators(architecture) if build_ops else examine()
    if as_json:
        output.as_json([check.__dict__ for check in checks])
        _fail_where_not_built(checks if build_ops else [])
        return
    output.table(
        ["", "what", "found"], [["ok" if check.ok else "–", check.what, check.found] for check in checks]
    )
    for check in checks:
        if not check.ok and check.remedy:
            output.note(f"{check.what}: {check.remedy}")
    _fail_where_not_built(checks if build_ops else [])


def _fail_where_not_built(checks: list[Any]) -> None:
    from tsbench.contracts import JobFailed

    if missing := [check.what for check in checks if not check.ok]:
        raise JobFailed(f"not built: {', '.join(missing)}")


def _models() -> tuple[list[str], list[list[Any]]]:
    from tsbench import registry

    return ["name", "kind", "summary"], [
        [one.name, one.kind, one.summary] for one in registry.models().values()
    ]


def _datasets() -> tuple[list[str], list[list[Any]]]:
    from tsbench import registry

    rows = [
        [name, one.card.field, one.origin, one.variant.title] for name, one in registry.datasets().items()
    ]
    return ["name", "field", "origin", "title"], rows


def _tasks() -> tuple[list[str], list[list[Any]]]:
    from tsbench import registry

    rows = [
        [one.name, one.kind, one.dataset, one.horizon, one.primary, len(one.scenarios())]
        for one in registry.tasks().values()
    ]
    return ["name", "kind", "dataset", "horizon", "primary", "scenarios"], rows


def _suites() -> tuple[list[str], list[list[Any]]]:
    from tsbench import registry

    rows = [
        [one.name, len(one.tasks), len(one.models), len(one.seeds), one.title]
        for one in registry.suites().values()
    ]
    return ["name", "tasks", "models", "seeds", "title"], rows


def _holds(row: list[Any], words: list[str]) -> bool:
    text = " ".join(map(str, row)).lower()
    return all(word.lower() in text for word in words)


_TOO_WIDE = {Kind.tasks: ("dataset", "kind")}
"""Columns that are searched and given to machines, and for which 80 characters leave no room."""
_LISTINGS = {Kind.models: _models, Kind.datasets: _datasets, Kind.tasks: _tasks, Kind.suites: _suites}
