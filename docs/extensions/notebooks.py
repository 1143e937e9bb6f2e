"""Reads a notebook as Markdown: its cells in order, code as blocks. Nothing is executed; a test does that."""

import json
from pathlib import Path
from typing import Any


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _convert)
    return {"parallel_read_safe": True}


def markdown(notebook: str) -> str:
    """The cells of a notebook, given as JSON, as Markdown."""
    cells = json.loads(notebook)["cells"]
    return "\n\n".join(_cell(one["cell_type"], "".join(one["source"])) for one in cells) + "\n"


def _convert(app: Any, docname: str, source: list[str]) -> None:
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".ipynb":
        source[0] = markdown(source[0]) + f"\nThis page is a notebook: {{download}}`{path.name}`.\n"


def _cell(kind: str, text: str) -> str:
    if kind != "code":
        return text
    if text.startswith("!"):
        return "\n".join("    " + line.removeprefix("!") for line in text.splitlines())
    if text.startswith("%%writefile "):
        name, text = text.removeprefix("%%writefile ").split("\n", 1)
        return f"`{name}`:\n\n```python\n{text}\n```"
    return f"```python\n{text}\n```"
