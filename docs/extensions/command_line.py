"""Appends to reference/command-line what the typer app declares: commands, arguments, options, defaults."""

from collections.abc import Iterator
from typing import Any

PAGE = "reference/command-line"


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _append)
    return {"parallel_read_safe": True}


def markdown() -> str:
    """All commands of `tsbench` as Markdown, one section a command."""
    import typer.main

    from tsbench.cli.main import app

    return "\n".join(_group(typer.main.get_command(app), "tsbench", 2))


def _append(app: Any, docname: str, source: list[str]) -> None:
    if docname == PAGE:
        source[0] += "\n" + markdown()


def _group(group: Any, path: str, level: int) -> Iterator[str]:
    for name, command in sorted(group.commands.items()):
        full = f"{path} {name}"
        yield f"{'#' * level} {full}\n\n{_text(command.help)}\n"
        if hasattr(command, "commands"):
            yield from _group(command, full, level + 1)
            continue
        arguments = [_shown(one) for one in command.params if one.param_type_name == "argument"]
        yield f"    {' '.join([full, *arguments, '[options]'])}\n"
        if command.params:
            rows = (f"| `{_names(one)}` | {_text(one.help)} | {_default(one)} |" for one in command.params)
            yield "\n".join(["| | meaning | default |", "|---|---|---|", *rows]) + "\n"


def _shown(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required else f"[{name}]"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return _shown(parameter)
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    return "`, `".join(name + value for name in (*parameter.opts, *parameter.secondary_opts))


def _default(parameter: Any) -> str:
    value = parameter.default
    if parameter.required:
        return "must be given"
    if parameter.param_type_name == "option" and parameter.is_flag:
        return (
            f"`{(parameter.opts if value else parameter.secondary_opts)[0]}`"
            if parameter.secondary_opts
            else ""
        )
    return "" if value is None or isinstance(value, (list, tuple)) or callable(value) else f"`{value}`"


def _text(help: str | None) -> str:
    """Help as Markdown that shows every letter as it is."""
    joined = " ".join((help or "").split())
    return "".join(f"\\{letter}" if letter in r"\*_`<>[]|#" else letter for letter in joined)
