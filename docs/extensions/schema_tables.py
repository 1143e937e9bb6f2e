"""Appends to reference/schemas a table of the fields of each JSON Schema in reference/schemas/."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = "reference/schemas"


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _append)
    return {"parallel_read_safe": True}


def markdown(folder: Path) -> str:
    """All schemas of a folder as Markdown: a section a schema, a table a type."""
    return "\n".join(line for path in sorted(folder.glob("*.json")) for line in _schema(path))


def _append(app: Any, docname: str, source: list[str]) -> None:
    if docname == PAGE:
        folder = Path(app.srcdir) / PAGE
        for path in folder.glob("*.json"):
            app.env.note_dependency(str(path))
        source[0] += "\n" + markdown(folder)


def _schema(path: Path) -> Iterator[str]:
    schema = json.loads(path.read_text(encoding="utf-8"))
    yield f"## {schema['title']}\n\n[schemas/{path.name}](schemas/{path.name})\n"
    yield from _type(schema)
    for name, one in schema.get("$defs", {}).items():
        if "properties" in one:
            yield f"### {schema['title']}: {name}\n"
            yield from _type(one)


def _type(schema: dict[str, Any]) -> Iterator[str]:
    about = schema.get("description", "").split("\n\n")[0]
    if about:
        yield _escaped(about) + "\n"
    required = schema.get("required", [])
    yield "| field | type | default | meaning |\n|---|---|---|---|"
    for name, one in schema.get("properties", {}).items():
        default = "required" if name in required else f"`{json.dumps(one.get('default'))}`"
        yield f"| `{name}` | {_escaped(_kind(one))} | {default} | {_escaped(one.get('description', ''))} |"
    yield ""


def _kind(schema: dict[str, Any]) -> str:
    """A type in words: `string or null`, `list of Split`."""
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[-1]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_kind(one) for one in schema[several]))
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(json.dumps(one) for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if schema.get("items") else "list"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"mapping to {_kind(values)}" if isinstance(values, dict) and values else "mapping"
    return schema.get("type", "any")


def _escaped(text: str) -> str:
    joined = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in r"\*_<>[]|#" else letter for letter in joined)
